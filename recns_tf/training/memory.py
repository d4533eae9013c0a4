"""A lower bound on the memory that training takes, from the settings and the size of the data.

It counts the large arrays that exist at the same time and whose sizes are known beforehand. A run
may need more: besides 0.2 GB for TensorFlow's own code, one with large embeddings was measured to
take 1.0 to 1.25 times as much.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from recns_tf.config.config import Config
from recns_tf.encoders.columns import columns_of
from recns_tf.interactions import Interactions
from recns_tf.regions.storage import bitmap_bytes
from recns_tf.utils.memory import available_bytes, require_memory

FLOAT = INT = 4
"""Bytes of a float32 and of an int32."""
WHOLE = "the whole model, to be saved"
"""The part of the chief of several workers."""
LAYERED = ("mixgcf", "dens")
"""The samplers that choose in each layer of the encoder."""
REDUCIBLE = (
    "dim",
    "feature_dim",
    "num_layers",
    "batch_size",
    "num_negatives",
    "num_candidates",
    "generator_dim",
    "generator_candidates",
    "bns_items",
    "simns_pool",
    "srns_memory",
    "srns_window",
    "mcns_list",
    "ppr_list",
    "region_memory",
)
"""The flags that a message may advise to lower."""


class Size(NamedTuple):
    """The size of a dataset.

    Attributes:
        users, items: U and I.
        pairs: number of train pairs.
    """

    users: int
    items: int
    pairs: int

    @property
    def nodes(self) -> int:
        """U + I."""
        return self.users + self.items


def require_enough(config: Config, interactions: Interactions) -> None:
    """Raise UserError if training certainly needs more memory than is available.

    The message names a flag to lower, and a value that fits.
    """
    size = Size(interactions.num_users, interactions.num_items, interactions.train.nnz)
    available = available_bytes()
    parts = estimate(config, size)
    if sum(parts.values()) > available:
        require_memory("training", parts, available, advice(config, size, available))


def require_pools(config: Config, num_users: int) -> None:
    """Raise UserError if the pools of all users need more memory than is available."""
    available = available_bytes()
    parts = {"the pools": pool_bytes(config.pool_size, num_users)}
    most = available // pool_bytes(1, num_users)
    require_memory("drawing candidates", parts, available, f"choose --pool_size={most} or less")


def pool_bytes(pool_size: int, num_users: int) -> int:
    """Return the bytes of the pools of all users."""
    return pool_size * num_users * INT


def estimate(config: Config, size: Size) -> dict[str, int]:
    """Return a lower bound on the bytes of each part, by what it is.

    With --strategy=columns it is that of this worker, which keeps some columns, and also the whole
    model if it is the chief.
    """
    columns, own = columns_of(config), config
    if columns is not None:
        own = dataclasses.replace(config, dim=columns.width(config.dim))
    parts = {
        "the weights, their gradient and Adam's moments": weight_bytes(own, size),
        "the embeddings of a step": embedding_bytes(own, size),
        "the graph": graph_bytes(own, size),
        "the regions": region_bytes(own, size),
        "a batch and the scores of its items": batch_bytes(own, size),
        "the state of the sampler": sampler_bytes(own, size),
    }
    if columns is not None and columns.group.is_chief:
        parts[WHOLE] = weight_count(config, size) * FLOAT * 3
    return parts


def weight_count(config: Config, size: Size) -> int:
    """Return the number of weights of the encoder; 0 for a user-defined one."""
    d, layers, features = config.dim, config.num_layers, config.feature_dim
    if config.encoder == "lightgcn":
        return size.nodes * d + (layers + 1) * (config.layer_weights == "learned")
    if config.encoder == "ngcf":
        biases = 2 * d if config.ngcf_form == "code" else 0
        return size.nodes * d + layers * (2 * d * d + biases)
    if config.encoder == "pinsage":
        rows = size.nodes + (config.neighbor_draw == "shared")
        kernels = 2 * (d // 2) * (features + (layers - 1) * d)
        return rows * features + kernels
    return size.nodes * d if config.encoder == "mf" else 0


def weight_bytes(config: Config, size: Size) -> int:
    """Return the bytes of the weights, their gradient, Adam's two moments, and stale weights."""
    return weight_count(config, size) * FLOAT * (4 + config.stale_scores)


def embedding_bytes(config: Config, size: Size) -> int:
    """Return the bytes of the embeddings that a step computes and keeps for the gradient.

    These are tables [U + I, d], and arrays with a final embedding for each pair of a batch. Their
    numbers are somewhat below those that were measured.
    """
    d, layers, nodes = config.dim, config.num_layers, size.nodes
    if config.encoder == "pinsage":
        return min(nodes, batch_rows(config, size)) * d * layers * FLOAT
    counts = {"lightgcn": (4, 2), "ngcf": (6 * layers + 3 * (layers + 1), 4), "mf": (2, 4)}
    tables, arrays = counts.get(config.encoder, (0, 0))
    if config.encoder == "lightgcn" and config.sampler in LAYERED:
        # Horner's rule, which others use, keeps no layers.
        tables += layers
    width = final_width(config)
    scaled = nodes * width * (config.scores == "cosine")
    return (tables * nodes * d + scaled + arrays * batch_rows(config, size) * width) * FLOAT


def final_width(config: Config) -> int:
    """Return the number of columns of the final embeddings."""
    return config.dim * (config.num_layers + 1 if config.encoder == "ngcf" else 1)


def graph_bytes(config: Config, size: Size) -> int:
    """Return the bytes of the adjacency: a value and a column for each of its entries."""
    if config.encoder not in ("lightgcn", "ngcf"):
        return 0
    entries = 2 * size.pairs
    matrices = 1
    if config.adjacency == "row":
        # It has a diagonal, and its adjoint is another matrix.
        entries, matrices = entries + size.nodes, 2
    return matrices * entries * (FLOAT + INT)


def region_bytes(config: Config, size: Size) -> int:
    """Return the bytes of the bitmap of all regions, if it is built, or of nothing."""
    if region_kind(config) == "all":
        return 0
    bitmap = bitmap_bytes(size.users, size.items)
    return bitmap if bitmap <= config.region_memory * 1e9 else 0


def region_kind(config: Config) -> str:
    """Return the region that negatives are drawn from; "all" for a user-defined sampler."""
    if config.region != "auto":
        return config.region
    return "intermediate" if config.sampler in ("recns", "recns-o", "recns-w") else "all"


def batch_rows(config: Config, size: Size) -> int:
    """Return the number of pairs of a batch."""
    if config.pair_sampling == "edges":
        return min(config.batch_size, size.pairs)
    return config.batch_size


def batch_bytes(config: Config, size: Size) -> int:
    """Return the bytes of the items of a batch, int32, and of their scores, float32."""
    k, m = config.num_negatives, config.num_candidates
    if config.sampler == "inbatch":
        # Of the scores of all pairs of rows, two arrays and their mask exist at a time.
        return batch_rows(config, size) ** 2 * (2 * FLOAT + 1)
    items = {
        "recns": k + 2 * m,
        "recns-o": k + m,
        "recns-w": k + 2 * m,
        **dict.fromkeys(("dns", "dns-mn", "ahns"), k + k * m),
        "mixgcf": k * layer_count(config) + k * m,
        # For one candidate of each pair: mapped rows, gates and their products with rows.
        "dens": k * layer_count(config) + k * m + 3 * config.dim // 2,
        "bns": k + k * m + min(config.bns_items or size.items, size.items),
        "ppr-hard": k + min(config.ppr_list, size.items),
        "simns": k + min(config.simns_pool, size.items) // 2,
        "advns": k + config.generator_candidates,
        "rns-as": k + config.generator_candidates,
        "srns": k + memory_size(config),
    }
    return batch_rows(config, size) * items.get(config.sampler, k) * (INT + FLOAT)


def layer_count(config: Config) -> int:
    """Return the number of layers, with layer 0, that a sampler may choose in."""
    return 1 if config.encoder == "mf" else config.num_layers + 1


def memory_size(config: Config) -> int:
    """Return the number of items in a user's memory of srns."""
    return config.srns_memory or 8 * config.num_negatives


def sampler_bytes(config: Config, size: Size) -> int:
    """Return the bytes of a sampler's weights, with the moments of those that are trained."""
    if config.sampler == "srns":
        snapshots = config.srns_window * size.nodes * final_width(config) * FLOAT
        return size.users * memory_size(config) * INT + snapshots
    if config.sampler in ("advns", "rns-as"):
        return (size.nodes * config.generator_dim + size.items) * FLOAT * 3
    if config.sampler == "ppr-hard":
        return size.items * min(config.ppr_list, size.items) * INT
    if config.sampler == "dens":
        # Four gates, their gradient and Adam's moments; the epoch.
        return 4 * (config.dim + 1) * config.dim * FLOAT * 4 + INT
    if config.sampler == "mcns":
        return size.items * config.mcns_list * INT
    return 0


def advice(config: Config, size: Size, available: int) -> str:
    """Return which flag to lower, to a value with which the estimate is at most `available`.

    It is the flag that needs the fewest halvings.
    """
    fitting = []
    for name in REDUCIBLE:
        for halvings, value in enumerate(halves(getattr(config, name)), 1):
            change: dict[str, Any] = {name: value}
            smaller = dataclasses.replace(config, **change)
            if sum(estimate(smaller, size).values()) <= available:
                fitting.append((halvings, f"choose --{name}={value} or less"))
                break
    if not fitting:
        return "lower several flags, or use a machine with more memory"
    return min(fitting, key=lambda each: each[0])[1]


def halves(value: float) -> list[float]:
    """Return a number halved once, twice, and so on: 12, 6 and 2 for 25, which all but 1 are even.

    PinSage needs an even dimension.
    """
    if isinstance(value, float):
        return [value / 2**power for power in range(1, 11)]
    found = []
    while value > 1:
        value //= 2
        value -= value % 2 if value > 1 else 0
        found.append(value)
    return found
