"""The three-region principle (§3.3): the items that a user's negatives are drawn from.

With A the adjacency matrix of the user-item graph, the items that a walk of `khop` steps reaches
from user u are the nonzeros of row u of A^khop. khop is odd, because walks of odd length lead from
users to items. Without u's own train items (the adjacent region) these items are the *intermediate*
region. The items that no such walk reaches are the *distant* region. Together the two are all
unobserved items.

Walks may turn back, so a longer walk reaches everything that a shorter one does. The definition
"shell" keeps only items that are first reached at exactly khop steps, like Algorithm 1 with a
visited set; "walk", the paper's formula, is the default. The distant region is the same under both
definitions.

"random" is a control that the paper does not have: as many items as the intermediate region has,
drawn from the user's unobserved items.

Users whose region has fewer than M items draw their candidates with replacement. Users whose region
is empty (for example, because they have no train items) draw from all unobserved items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.errors import UserError
from recns_tf.interactions import degrees_of_items
from recns_tf.regions import walks
from recns_tf.regions.cache import cached
from recns_tf.regions.kernels import BLOCK_WORDS
from recns_tf.regions.random_regions import random_blocks
from recns_tf.regions.storage import RegionBuilder, StoredRegion
from recns_tf.regions.walks import Bits, Block, Graph, Reached, ones
from recns_tf.registry import REGION_DEFINITIONS, REGIONS
from recns_tf.utils.program import program
from recns_tf.utils.text import count

NEARLY_ALL = 0.9
"""Share of the unobserved items above which a warning says that the region restricts little."""


@dataclass(frozen=True, eq=False)
class Region:
    """An item set for every user, from which candidates are drawn.

    Attributes:
        train: boolean CSR array [num_users, num_items] of train positives.
        kind: "intermediate", "distant", "random" or "all".
        khop: length of the walks; ignored for "all".
        definition: "walk" or "shell".
        counts: int64 [num_users], size of each user's region. Users whose region is empty draw
            from all unobserved items.
        form: the stored sets; None for "all", which `train` determines.
    """

    train: csr_array
    kind: str
    khop: int
    definition: str
    counts: NDArray[np.int64]
    form: StoredRegion | None

    def coverage(self) -> dict[str, float]:
        """Return the share of all items in a user's region: mean and quantiles, in [0, 1]."""
        return quantiles_of(self.counts / self.train.shape[1])

    def share_of_unobserved(self) -> float:
        """Return the region's mean share of its user's unobserved items, in [0, 1].

        Users without unobserved items are left out.
        """
        unobserved = self.train.shape[1] - np.diff(self.train.indptr)
        some = unobserved > 0
        return float((self.counts[some] / unobserved[some]).mean()) if some.any() else 0.0

    def describe(self, num_candidates: int) -> dict[str, Any]:
        """Return the description of the region for results.json; coverage is a share of all items.

        Args:
            num_candidates: M, to count the users whose region is smaller.
        """
        return {
            "kind": self.kind,
            "khop": self.khop,
            "reading": self.definition,
            "coverage": self.coverage(),
            "share_of_unobserved": self.share_of_unobserved(),
            "users_under_num_candidates": int((self.counts < num_candidates).sum()),
            "users_without": int((self.counts == 0).sum()),
            "stored_as": self.form.name if self.form else "train",
        }

    def count_unreachable(self) -> int:
        """Return the number of items without a train positive, which no walk reaches."""
        return int((degrees_of_items(self.train) == 0).sum())

    def summary(self, num_candidates: int) -> str:
        """Return a one-line description, followed by warnings.

        A warning says that the region restricts little, or that it excludes items for all users, so
        that no negative pushes their scores down.
        """
        coverage = self.coverage()
        name = "all unobserved items"
        if self.kind != "all":
            what = self.kind
            if what == "random":
                what = "random items, as many as in the intermediate"
            name = f"{what} region, khop {self.khop}, {self.definition} definition"
        text = (
            f"{name}: {coverage['mean']:.1%} of the items per user on average "
            f"(5%–95% of users: {coverage['p5']:.1%}–{coverage['p95']:.1%}); "
            f"users with fewer than {count(num_candidates, 'item')}: "
            f"{(self.counts < num_candidates).sum()}"
        )
        share = self.share_of_unobserved()
        if self.kind != "all" and share >= NEARLY_ALL:
            text += (
                f"\nwarning: that is {share:.1%} of a user's unobserved items, so the region "
                f"restricts little; '{program()} regions' shows the coverage for other khop."
            )
        unreachable = self.count_unreachable()
        if self.kind == "intermediate" and unreachable:
            text += (
                f"\nwarning: {unreachable:,} of the {self.train.shape[1]:,} items "
                f"{'has' if unreachable == 1 else 'have'} no train positive: they are never "
                "drawn as negatives from this region, and a model may rank them high; "
                "--region=all draws them too."
            )
        return text


def quantiles_of(shares: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean and the 5 %, 50 % and 95 % quantiles of per-user values."""
    low, middle, high = np.quantile(shares, [0.05, 0.5, 0.95])
    return {
        "mean": float(shares.mean()),
        "p5": float(low),
        "median": float(middle),
        "p95": float(high),
    }


def build_region(
    train: csr_array,
    kind: str = "intermediate",
    khop: int = 3,
    definition: str = "walk",
    *,
    memory: float = 2.0,
    cache: Path | None = None,
    make_graph: Callable[[csr_array], Graph] = Graph,
) -> Region:
    """Build the region of every user, or read it from the cache.

    Args:
        train: boolean CSR array [num_users, num_items] of train positives.
        kind: "intermediate", "distant" or "all" (§5.4.1), or "random".
        khop: length of the walks, an odd number of at least 3.
        definition: "walk" or "shell".
        memory: gigabytes available for the sets; if they need more, only their sizes are stored,
            and candidates are drawn from pools.
        cache: folder of cached regions; None disables the cache.
        make_graph: makes the graph whose walks are followed; RayGraph follows them on a cluster.

    Raises:
        UserError: an argument is illegal, or the cached region is damaged.

    Example:
        >>> region = build_region(interactions.train, "intermediate", khop=3)
        >>> print(region.summary(num_candidates=20))
    """
    if kind not in REGIONS:
        raise UserError(f"--region={kind}: choose one of {', '.join(REGIONS)}.")
    if definition not in REGION_DEFINITIONS:
        raise UserError(
            f"--region_definition={definition}: choose one of {', '.join(REGION_DEFINITIONS)}."
        )
    if khop < 3 or khop % 2 == 0:
        raise UserError(f"--khop={khop}: choose an odd number of steps, 3, 5, 7, …")
    if kind == "all":
        counts = train.shape[1] - np.diff(train.indptr).astype(np.int64)
        return Region(train, kind, khop, definition, counts, None)

    def build() -> StoredRegion:
        graph = make_graph(train)
        collector = RegionBuilder(graph, int(memory * 1e9))
        for block, bits in region_blocks(graph, kind, khop, definition):
            collector.add(block, bits)
        return collector.close(train)

    # The key "reading" keeps existing caches valid.
    settings = {"kind": kind, "khop": khop, "reading": definition, "memory": memory}
    form = cached(cache, train, settings, build)
    return Region(train, kind, khop, definition, form.counts, form)


def region_blocks(
    graph: Graph,
    kind: str,
    khop: int,
    definition: str,
    *,
    sizes: NDArray[np.int64] | None = None,
    unrestricted: NDArray[np.bool_] | None = None,
    description: str = "regions",
) -> Iterator[tuple[Block, Bits]]:
    """Yield the regions block of items by block, as bits [num_users, BLOCK_WORDS].

    Args:
        graph: the graph of train positives.
        kind: "intermediate", "distant" or "random".
        khop: as for `build_region`.
        definition: as for `build_region`.
        sizes: int64 [num_users], sizes of the random regions; None computes them, which takes as
            long as the intermediate regions.
        unrestricted: [num_users], users who get all unobserved items instead of their region.
        description: label of the progress bar.
    """
    if kind == "random":
        if sizes is None:
            sizes = np.zeros(graph.num_users, np.int64)
            for _, bits in region_blocks(graph, "intermediate", khop, definition):
                sizes += walks.count(bits)
        for block, bits in random_blocks(graph, sizes, description):
            yield block, unobserved(graph, block, bits, unrestricted)
        return
    shell = kind == "intermediate" and definition == "shell"
    inside = partial(region_of_block, kind=kind, shell=shell, unrestricted=unrestricted)
    yield from graph.over_blocks(inside, (khop - 2, khop) if shell else (khop,), description)


def region_of_block(
    graph: Graph,
    block: Block,
    reached: Reached,
    *,
    kind: str,
    shell: bool,
    unrestricted: NDArray[np.bool_] | None,
) -> Bits:
    """Return the region in a block as bits, from what walks reach; see `region_blocks`."""
    bits = reached[max(reached)]
    if shell:
        bits &= ~reached[min(reached)]
    elif kind == "distant":
        np.invert(bits, out=bits)
        bits &= ones(block.width, BLOCK_WORDS)
    return unobserved(graph, block, bits, unrestricted)


def unobserved(
    graph: Graph, block: Block, bits: Bits, unrestricted: NDArray[np.bool_] | None
) -> Bits:
    """Return the bits of a block without train items, with all others of unrestricted users."""
    if unrestricted is not None:
        bits[unrestricted] = ones(block.width, BLOCK_WORDS)
    graph.set_train(block.items, bits, False)
    return bits
