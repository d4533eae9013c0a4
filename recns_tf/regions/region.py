"""The three-region principle (§3.3): which items a user's negatives come from.

With A the adjacency matrix of the user-item graph, the items that a walk of `khop` steps can
reach from user u are the nonzeros of row u of A^khop; khop is odd, as u's odd neighbours are
items. Without u's own train items (the adjacent region) they are the *intermediate* region,
and what the walk cannot reach is the *distant* region. Both together are all unobserved items.

Walks may turn back, so a longer walk reaches all that a shorter one does. The reading "shell"
keeps only what is first reached at exactly khop steps, as Algorithm 1 would with a visited
set; "walk", the paper's formula, is the default. The distant region is what no walk reaches
under either reading.

A user whose region is smaller than the M candidates asked for has them drawn with replacement;
a user whose region is empty (one without train items, say) draws from all unobserved items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.errors import UserError
from recns_tf.interactions import degrees_of_items
from recns_tf.regions.cache import cached
from recns_tf.regions.kernels import BLOCK_WORDS
from recns_tf.regions.storage import RegionBuilder, StoredRegion
from recns_tf.regions.walks import Bits, Block, Graph, ones
from recns_tf.registry import REGION_DEFINITIONS, REGIONS
from recns_tf.utils.program import program

NEARLY_ALL = 0.9
"""Share of the unobserved items from which on a region is said to restrict little."""


@dataclass(frozen=True, eq=False)
class Region:
    """One item set a user, to draw candidates from.

    Attributes:
        train: boolean CSR array [num_users, num_items] of train positives.
        kind: "intermediate", "distant" or "all".
        khop: length of the walk; it has no meaning for "all".
        reading: "walk" or "shell".
        counts: [num_users] int64, size of each user's region. A user with none draws from all
            unobserved items.
        form: how the sets are stored; None for "all", where train says everything.
    """

    train: csr_array
    kind: str
    khop: int
    reading: str
    counts: NDArray[np.int64]
    form: StoredRegion | None

    def coverage(self) -> dict[str, float]:
        """Return how much of the catalogue a user's region holds: mean and quantiles, in [0, 1]."""
        return quantiles_of(self.counts / self.train.shape[1])

    def share_of_unobserved(self) -> float:
        """Return the region's share of the items that its user has no train positive on, in [0, 1].

        The mean over users who have any such item.
        """
        unobserved = self.train.shape[1] - np.diff(self.train.indptr)
        some = unobserved > 0
        return float((self.counts[some] / unobserved[some]).mean()) if some.any() else 0.0

    def describe(self, num_candidates: int) -> dict[str, Any]:
        """Return what a result says of its region; coverage is a share of the catalogue."""
        return {
            "kind": self.kind,
            "khop": self.khop,
            "reading": self.reading,
            "coverage": self.coverage(),
            "share_of_unobserved": self.share_of_unobserved(),
            "users_under_num_candidates": int((self.counts < num_candidates).sum()),
            "users_without": int((self.counts == 0).sum()),
            "stored_as": self.form.name if self.form else "train",
        }

    def out_of_reach(self) -> int:
        """Return how many items have no train positive, so that no walk reaches them."""
        return int((degrees_of_items(self.train) == 0).sum())

    def summary(self, num_candidates: int) -> str:
        """Return one line for the screen, and warnings.

        They are where the region restricts little, and where it leaves items out for all users,
        whose scores nothing then pushes down.
        """
        coverage = self.coverage()
        name = "all unobserved items"
        if self.kind != "all":
            name = f"{self.kind} region, khop {self.khop}, {self.reading} reading"
        text = (
            f"{name}: {coverage['mean']:.1%} of the items a user on average "
            f"(5%–95% of users: {coverage['p5']:.1%}–{coverage['p95']:.1%}); "
            f"users with under {num_candidates} items: {(self.counts < num_candidates).sum()}"
        )
        share = self.share_of_unobserved()
        if self.kind != "all" and share >= NEARLY_ALL:
            text += (
                f"\nwarning: that is {share:.1%} of a user's unobserved items, so that the region "
                f"restricts little; '{program()} regions' shows what other khop would hold."
            )
        out_of_reach = self.out_of_reach()
        if self.kind == "intermediate" and out_of_reach:
            text += (
                f"\nwarning: {out_of_reach:,} of the {self.train.shape[1]:,} items have no train "
                "positive: negatives of this region leave them out, and a model may rank them "
                "high; --region=all draws them too."
            )
        return text


def quantiles_of(shares: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean and the 5 %, 50 % and 95 % quantiles of a number a user."""
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
    reading: str = "walk",
    *,
    memory: float = 2.0,
    cache: Path | None = None,
) -> Region:
    """Return the region of every user, built or read from the cache.

    Args:
        train: boolean CSR array [num_users, num_items] of train positives.
        kind: "intermediate", "distant" or "all" (§5.4.1).
        khop: odd number of steps, 3 or more.
        reading: "walk" or "shell".
        memory: gigabytes that the sets may take; beyond, only their sizes are kept, and draws
            are from pools.
        cache: folder to keep built regions in, if any.

    Raises:
        UserError: an argument is none of these, or the cache is damaged.
    """
    if kind not in REGIONS:
        raise UserError(f"--region={kind}: choose one of {', '.join(REGIONS)}.")
    if reading not in REGION_DEFINITIONS:
        raise UserError(
            f"--region_definition={reading}: choose one of {', '.join(REGION_DEFINITIONS)}."
        )
    if khop < 3 or khop % 2 == 0:
        raise UserError(f"--khop={khop}: choose an odd number of steps, 3, 5, 7, …")
    if kind == "all":
        counts = train.shape[1] - np.diff(train.indptr).astype(np.int64)
        return Region(train, kind, khop, reading, counts, None)

    def build() -> StoredRegion:
        graph = Graph(train)
        collector = RegionBuilder(graph, int(memory * 1e9))
        for block, bits in region_blocks(graph, kind, khop, reading):
            collector.add(block, bits)
        return collector.close(train)

    settings = {"kind": kind, "khop": khop, "reading": reading, "memory": memory}
    form = cached(cache, train, settings, build)
    return Region(train, kind, khop, reading, form.counts, form)


def region_blocks(
    graph: Graph,
    kind: str,
    khop: int,
    reading: str,
    *,
    unrestricted: NDArray[np.bool_] | None = None,
    description: str = "regions",
) -> Iterator[tuple[Block, Bits]]:
    """Yield each user's region, block of items by block, as bits [num_users, BLOCK_WORDS].

    Args:
        graph: of train positives.
        kind: "intermediate" or "distant".
        khop, reading: as in build_region.
        unrestricted: [num_users], users who get all unobserved items instead.
        description: of the progress bar.
    """
    shell = kind == "intermediate" and reading == "shell"
    for block in graph.walks((khop - 2, khop) if shell else (khop,), description):
        bits = block.reached[khop]
        everything = ones(block.width, BLOCK_WORDS)
        if shell:
            bits &= ~block.reached[khop - 2]
        elif kind == "distant":
            np.invert(bits, out=bits)
            bits &= everything
        if unrestricted is not None:
            bits[unrestricted] = everything
        graph.set_train(block.items, bits, False)
        yield block, bits
