"""Random item sets of the size of each user's intermediate region.

They are a control for the three-region principle: negatives from them differ from those of the
intermediate region only in where they come from, not in how many items they are drawn from.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from recns_tf.regions.kernels import select
from recns_tf.regions.walks import Bits, Block, Graph, Reached
from recns_tf.utils.parallel import CORES

SEED = 0
"""Seed of the sets. Like the regions of walks, they are the same in all runs on the same data."""

USERS_PER_STREAM = 4096


def random_blocks(
    graph: Graph, sizes: NDArray[np.int64], description: str, seed: int = SEED
) -> Iterator[tuple[Block, Bits]]:
    """Yield random sets of unobserved items block by block, as bits [num_users, BLOCK_WORDS].

    All subsets of sizes[u] of user u's unobserved items are equally likely. Every USERS_PER_STREAM
    users have their own generator, so that the result does not depend on the number of cores.

    Args:
        graph: the graph of train positives.
        sizes: int64 [num_users], at most the number of unobserved items of each user.
        description: label of the progress bar.
        seed: seed of the sets.
    """
    needed = sizes.copy()
    left = graph.num_items - np.diff(graph.items_of.starts)
    firsts = range(0, graph.num_users, USERS_PER_STREAM)
    rngs = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(len(firsts))]

    def select_in(graph: Graph, block: Block, reached: Reached) -> Bits:
        bits = reached[1]  # the train items

        def draw(rng: np.random.Generator, first: int) -> None:
            last = min(first + USERS_PER_STREAM, graph.num_users)
            select(rng, block.width, needed, left, bits, first, last)

        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(draw, rngs, firsts))
        return bits

    # The draws in a block depend on those in the blocks before it.
    yield from Graph.over_blocks(graph, select_in, (1,), description)
