"""The user-item graph whose walks a Ray cluster follows, a block of items a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from recns_tf.regions.walks import Block, Graph, Reached, Result
from recns_tf.utils.ray_tasks import ordered_results

OfBlock = Callable[[Graph, Block, Reached], Result]


class RayGraph(Graph):
    """A graph that follows its walks on a Ray cluster, to which `connected` connects.

    Each machine of the cluster has the graph in memory once, and each task one block. The results
    are those of `Graph`, in the same order.

    Args:
        train: boolean CSR array [num_users, num_items] of train positives.

    Example:
        >>> with connected("10.0.0.5:6379"):
        ...     region = build_region(train, make_graph=RayGraph)
    """

    def over_blocks(
        self, function: OfBlock[Result], khops: Sequence[int], description: str
    ) -> Iterator[tuple[Block, Result]]:
        blocks = self.blocks()
        results = ordered_results(
            walk_block,
            blocks,
            shared=Walk(self, function, khops),
            description=description,
            unit="block",
        )
        yield from zip(blocks, results, strict=True)


class Walk(NamedTuple):
    """What all tasks share: the arguments of `over_blocks`."""

    graph: Graph
    function: OfBlock
    khops: Sequence[int]


def walk_block(walk: Walk, block: Block) -> object:
    """Follow the walks to one block, and return what the function makes of it."""
    ((_, reached),) = walk.graph.walks([block], walk.khops)
    return walk.function(walk.graph, block, reached)
