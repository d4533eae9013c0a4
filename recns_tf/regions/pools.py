"""Pools of candidates, for regions that are too large to store.

A user's pool is a uniform subset, without replacement, of the user's region. The ranks of its items
are drawn first, then replaced by items while the walks pass over all blocks of items. Only P
numbers per user and one block are in memory.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.regions.kernels import WORD, floyd, replace_ranks
from recns_tf.regions.region import Region, region_blocks
from recns_tf.regions.walks import Graph
from recns_tf.utils.parallel import CORES, over_rows, row_cuts

POOLS = 1
"""Branch of the run's seed from which pools are drawn."""

USERS_PER_STREAM = 4096


def draw_pools(
    region: Region, size: int, seed: int, generation: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Draw a pool for every user.

    Args:
        region: the region; users whose region is empty draw from all unobserved items.
        size: P, maximum number of items in a pool.
        seed: the run's seed.
        generation: number of this set of pools; generations are independent of each other.

    Returns:
        The pools, int32 [num_users, P], each row ascending and padded with zeros, and their sizes,
        int32 [num_users]: P, or the size of the set if that is smaller.

    Example:
        >>> items, sizes = draw_pools(build_region(train, memory=0), size=512, seed=0)
    """
    train: csr_array = region.train
    num_users, num_items = train.shape
    empty = region.counts == 0
    counts = np.where(empty, num_items - np.diff(train.indptr), region.counts).astype(np.int64)
    sizes = np.minimum(counts, size).astype(np.int32)
    pools = np.zeros((num_users, size), np.int32)
    draw_ranks(np.random.SeedSequence([seed, POOLS, generation]), counts, sizes, pools)
    passed = np.zeros(num_users, np.int64)
    replaced = np.zeros(num_users, np.int32)
    blocks = region_blocks(
        Graph(train),
        region.kind,
        region.khop,
        region.definition,
        sizes=region.counts,
        unrestricted=empty,
        description="pools",
    )
    for block, bits in blocks:
        over_rows(
            replace_ranks,
            row_cuts(num_users),
            *(bits, block.items.start, sizes, passed, replaced, pools),
        )
    return pools, sizes


def draw_ranks(
    seed: np.random.SeedSequence,
    counts: NDArray[np.int64],
    sizes: NDArray[np.int32],
    pools: NDArray[np.int32],
) -> None:
    """Draw sizes[u] of the ranks 0 … counts[u] - 1, all subsets equally likely, ascending.

    Every USERS_PER_STREAM users have their own generator, so that the result does not depend on the
    number of cores.
    """
    firsts = range(0, len(counts), USERS_PER_STREAM)
    most = int(counts.max())

    def draw(first: int, child: np.random.SeedSequence) -> None:
        drawn = np.zeros(-(-most // WORD), np.uint64)
        last = min(first + USERS_PER_STREAM, len(counts))
        floyd(np.random.default_rng(child), counts, sizes, drawn, pools, first, last)

    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(draw, firsts, seed.spawn(len(firsts))))
