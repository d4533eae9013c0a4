"""The flags of the encoders."""

from __future__ import annotations

import dataclasses

from recns_tf import registry
from recns_tf.config.flags import A_RATE, NUMBERS, Checked, at_least, one_of, one_of_or_own, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderSettings(Checked):
    """Settings of E_θ. Defaults are the paper's (§5.1) except where the help says more."""

    encoder: str = option(
        "lightgcn", "E_theta, the graph encoder", one_of_or_own(*registry.ENCODERS)
    )
    dim: int = option(64, "d, embedding dimension", at_least(1), alias="embed_size")
    num_layers: int = option(3, "L, propagation layers", at_least(1))
    layer_weights: str = option(
        "mean",
        "lightgcn: of the layers in the final embedding; mean is 1 / (L + 1) each",
        one_of(*registry.LAYER_WEIGHTS),
    )
    adjacency: str = option(
        "symmetric",
        "lightgcn, ngcf: symmetric is D^-1/2 A D^-1/2, row is D^-1 (A + I), the authors' code's",
        one_of(*registry.ADJACENCIES),
    )
    initializer: str = option(
        "glorot",
        "of layer-0 embeddings: glorot (Xavier) uniform, or normal of deviation 0.01, as the "
        "authors' LightGCN",
        one_of(*registry.INITIALIZERS),
    )
    message_dropout: float = option(
        0.1, "ngcf: share of the numbers in a layer's output set to 0 in training", A_RATE
    )
    node_dropout: float = option(
        0.0, "ngcf: share of the nodes that send nothing to others in training", A_RATE
    )
    num_neighbors: str = option(
        "25,10",
        "pinsage: neighbours drawn for the first layer, the second, …; the last number stands "
        "for all further layers",
        NUMBERS,
    )
    feature_dim: int = option(50, "pinsage: columns of a node's own features", at_least(1))
    ranking_neighbors: str = option(
        "all",
        "pinsage: which neighbours make the embeddings to rank with; drawn: the same at every "
        "check",
        one_of(*registry.RANKING_NEIGHBORS),
    )
    neighbor_draw: str = option(
        "own",
        "pinsage: own is every node's, shared the authors' code's, columns of a table drawn once",
        one_of(*registry.NEIGHBOR_DRAWS),
    )
    table_steps: int = option(
        0,
        "pinsage: steps between two encodings of all nodes for samplers that score many items; 0 "
        "for one at the start of each epoch",
        at_least(0),
    )
    sparse_engine: str = option(
        "csr",
        "kernels of the propagation: csr (CPU), or coo, slower, where csr has none",
        one_of(*registry.SPARSE_ENGINES),
    )
