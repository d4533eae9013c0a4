"""Evidence for the three-region principle (§3.3): which regions hold the held-out positives.

A user's items form shells by the length of the shortest walk that reaches them: 3, 5, 7, … steps,
or more. If future positives concentrate in the intermediate region, its share of the valid and
test positives exceeds its share of the items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.interactions import Interactions
from recns_tf.regions.kernels import WORD
from recns_tf.regions.region import quantiles_of
from recns_tf.regions.walks import Bits, Block, Graph, Reached, count

PARTS = ("valid", "test")

KHOPS = (3, 5, 7)
"""Walk lengths that are measured by default."""


@dataclass(frozen=True, eq=False)
class RegionCoverage:
    """Share of the items and of the held-out positives in the intermediate region.

    The region follows the walk definition.

    Attributes:
        khops: walk lengths, ascending.
        coverage: by khop, the region's share of all items per user, float64 [U].
        inside: by split ("valid" and "test"), the share of its positives inside the region,
            float64 [len(khops)]; NaN without positives.
        by_chance: the same, expected if each user's positives were drawn uniformly from the
            unobserved items.
        pairs: by split, the number of positives.
    """

    khops: tuple[int, ...]
    coverage: dict[int, NDArray[np.float64]]
    inside: dict[str, NDArray[np.float64]]
    by_chance: dict[str, NDArray[np.float64]]
    pairs: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the shares as JSON values."""
        return {
            f"khop {khop}": {
                "coverage": quantiles_of(self.coverage[khop]),
                **{
                    part: {
                        "inside": float(self.inside[part][n]),
                        "by_chance": float(self.by_chance[part][n]),
                    }
                    for part in PARTS
                    if self.pairs[part]
                },
            }
            for n, khop in enumerate(self.khops)
        }

    def report(self) -> str:
        """Return the shares as a text table."""
        parts = [part for part in PARTS if self.pairs[part]]
        lines = [
            "intermediate region, walk definition: share of the items, and of held-out positives "
            "inside (by chance)",
            f"{'khop':>4}{'items, mean':>14}{'5%–95% of users':>20}"
            + "".join(f"{part + ' positives':>22}" for part in parts),
        ]
        for n, khop in enumerate(self.khops):
            spread = quantiles_of(self.coverage[khop])
            quantiles = f"{spread['p5']:.1%}–{spread['p95']:.1%}"
            found = [(self.inside[part][n], self.by_chance[part][n]) for part in parts]
            cells = [f"{inside:.1%} ({by_chance:.1%})" for inside, by_chance in found]
            lines.append(
                f"{khop:>4}{spread['mean']:>14.1%}{quantiles:>20}"
                + "".join(f"{cell:>22}" for cell in cells)
            )
        return "\n".join(lines)

    def shells(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share first reached with each khop, and the share never reached.

        Args:
            shares: float64 [len(khops)], cumulative shares such as inside["test"].

        Returns:
            float64 [len(khops) + 1], with sum 1.
        """
        return np.diff(shares, prepend=0, append=1)


def measure_coverage(
    interactions: Interactions,
    khops: Sequence[int],
    make_graph: Callable[[csr_array], Graph] = Graph,
) -> RegionCoverage:
    """Measure the coverage exactly, in one pass of walks from every user.

    Args:
        interactions: the dataset.
        khops: odd walk lengths of at least 3, ascending.
        make_graph: as for `build_region`.
    """
    train = interactions.train
    graph = make_graph(train)
    held_out = {part: getattr(interactions, part).T.tocsr() for part in PARTS}
    reached = {khop: np.zeros(graph.num_users, np.int64) for khop in khops}
    hits = {part: np.zeros(len(khops), np.int64) for part in PARTS}
    measure = partial(count_in_block, held_out=held_out)
    for _, (counts, found) in graph.over_blocks(measure, khops, "walks"):
        for khop in khops:
            reached[khop] += counts[khop]
        for part in PARTS:
            hits[part] += found[part]
    degrees = np.diff(train.indptr)
    unobserved = np.maximum(graph.num_items - degrees, 1)
    inside, by_chance, pairs = {}, {}, {}
    for part in PARTS:
        positives = np.diff(getattr(interactions, part).indptr)
        pairs[part] = int(positives.sum())
        with np.errstate(invalid="ignore"):
            inside[part] = hits[part] / np.float64(pairs[part])
            by_chance[part] = np.array(
                [positives @ ((reached[khop] - degrees) / unobserved) for khop in khops]
            ) / np.float64(pairs[part])
    coverage = {khop: (reached[khop] - degrees) / graph.num_items for khop in khops}
    return RegionCoverage(tuple(khops), coverage, inside, by_chance, pairs)


def count_in_block(
    graph: Graph, block: Block, reached: Reached, *, held_out: dict[str, csr_array]
) -> tuple[dict[int, NDArray[np.uint16]], dict[str, list[int]]]:
    """Count the items of a block that walks reach.

    Args:
        graph: the graph; not needed.
        block: the items.
        reached: what walks of each length reach.
        held_out: by split, boolean CSR array [I, U], its positives.

    Returns:
        By khop, the number of items, uint16 [U]; and by split, the number of positives among them,
        for each khop.
    """
    counts = {khop: count(bits) for khop, bits in reached.items()}
    hits = {
        part: [count_hits(users_of, block.items, bits) for bits in reached.values()]
        for part, users_of in held_out.items()
    }
    return counts, hits


def count_hits(users_of: csr_array, items: slice, bits: Bits) -> int:
    """Return the number of pairs in a block of items whose bit is set.

    Args:
        users_of: boolean CSR array [I, U], the pairs.
        items: the items of the block.
        bits: uint64 [U, words], the bits of the block.
    """
    starts = users_of.indptr[items.start : items.stop + 1]
    users = users_of.indices[starts[0] : starts[-1]]
    offsets = np.repeat(np.arange(items.stop - items.start), np.diff(starts))
    words = bits[users, offsets // WORD]
    return int((words >> (offsets % WORD).astype(np.uint64) & np.uint64(1)).sum())
