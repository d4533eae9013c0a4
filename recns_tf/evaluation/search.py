"""Engines for exact top-k search with seen items excluded; RANKERS has two of them by name.

All have the same signature and return the same lists, except for the order of equal scores.
`search_faiss` uses Faiss, as the paper does, and searches deep enough to leave k unseen items.
`search_tensorflow` multiplies the tables, and a compiled loop selects from the scores.
`search_numpy` does so block by block, without TensorFlow. It is the fastest of them where there are
many items.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import ThreadpoolController

from recns_tf.evaluation.kernels import best_unseen, keep_unseen
from recns_tf.evaluation.metrics import NO_ITEM
from recns_tf.utils.parallel import over_rows, row_cuts

LARGEST_GROUP = 4096
SMALLEST_GROUP = 256
"""Bounds on the number of users that share a Faiss search. Faiss is fastest with many queries."""
GROWTH = 1.5
"""A shared search is at most this many times as deep as the least demanding user needs."""

SHARE_SERVED = 0.95
"""Share of users for whom a depth estimated from earlier groups should suffice."""

TILE_USERS, TILE_ITEMS = 512, 2048
"""Users and items of the blocks of `search_numpy`, whose scores stay in the processor's cache."""

TILE_SHARED = 16
"""Users that share a read of the items' embeddings, at least. Few users take longer to search on
several cores, each of which reads all items."""

BLOCK_USERS = 64
"""Users per matrix product. Their scores stay in the processor's cache until they are ranked."""


def search_faiss(
    queries: NDArray[np.float32], items: NDArray[np.float32], seen: csr_array, k: int
) -> NDArray[np.int64]:
    """Return the k unseen items with the largest inner products for each query, best first.

    A search of depth k plus the number of seen items always suffices. Less is enough if seen items
    do not fill the first places. How much less is estimated from earlier groups, and users left
    with fewer than k items are searched again at the full depth.

    Args:
        queries: float32 [n, d].
        items: float32 [I, d].
        seen: boolean CSR array [n, I], the items to exclude.
        k: length of the lists.

    Returns:
        int64 [n, k]; NO_ITEM pads the lists of users with fewer than k unseen items.
    """
    # Training takes its first step before it is needed.
    import faiss

    num_items, dim = items.shape
    index = faiss.IndexFlatIP(dim)
    index.add(items)
    starts = seen.indptr.astype(np.int64)
    counts = np.diff(starts)
    top = np.full((len(queries), k), NO_ITEM, dtype=np.int64)
    crowding: list[NDArray[np.float64]] = []

    def search(users: NDArray[np.integer], learn: bool) -> NDArray[np.integer]:
        """Search for users, sorted by their number of seen items; return those to search again."""
        short = [users[:0]]
        start, share = 0, 1.0
        while start < len(users):
            group = users[start : start + LARGEST_GROUP]
            depths = np.minimum(k + np.ceil(share * counts[group]).astype(np.int64), num_items)
            similar = int(np.searchsorted(depths, depths[0] * GROWTH, side="right"))
            group = group[: max(similar, SMALLEST_GROUP)]
            depth = int(depths[len(group) - 1])
            start += len(group)
            _, found = index.search(queries[group], depth)
            used = np.empty(len(group), dtype=np.int64)
            keep_unseen(starts, seen.indices, group, found, top, used)
            short.append(group[(used > depth) & (depth < np.minimum(k + counts[group], num_items))])
            if learn:
                crowding.append((used - k) / np.maximum(counts[group], 1))
                share = min(float(np.quantile(np.concatenate(crowding), SHARE_SERVED)), 1.0)
        return np.concatenate(short)

    search(search(np.argsort(counts, kind="stable"), learn=True), learn=False)
    return top


def search_tensorflow(
    queries: NDArray[np.float32], items: NDArray[np.float32], seen: csr_array, k: int
) -> NDArray[np.int64]:
    """Return the same lists as `search_faiss`; ties go to the lower item number.

    Args:
        queries, items, seen, k: see `search_faiss`.
    """
    # TensorFlow takes seconds to import, and ranking with Faiss does not need it.
    import tensorflow as tf

    from recns_tf.utils.devices import grow_memory

    grow_memory()
    merge, top = merging(len(queries), seen, k)
    table = tf.constant(items)

    def rank(first: int, last: int) -> None:
        for start in range(first, last, BLOCK_USERS):
            block = queries[start : min(start + BLOCK_USERS, last)]
            scores = tf.matmul(block, table, transpose_b=True)
            merge(np.asarray(memoryview(scores)), start, 0)

    over_rows(rank, row_cuts(len(queries)))
    return top


def search_numpy(
    queries: NDArray[np.float32], items: NDArray[np.float32], seen: csr_array, k: int
) -> NDArray[np.int64]:
    """Return the same lists as `search_faiss`; ties go to the lower item number.

    Args:
        queries, items, seen, k: see `search_faiss`.
    """
    merge, top = merging(len(queries), seen, k)

    def rank(first: int, last: int) -> None:
        for start in range(first, last, TILE_USERS):
            block = queries[start : min(start + TILE_USERS, last)]
            for item in range(0, len(items), TILE_ITEMS):
                scores = block @ items[item : item + TILE_ITEMS].T
                merge(scores, start, item)

    # OpenBLAS's own threads wait in a loop, which takes twice the processor time.
    with loaded_libraries().limit(limits=1, user_api="blas"):
        over_rows(rank, row_cuts(len(queries), TILE_SHARED))
    return top


@cache
def loaded_libraries() -> ThreadpoolController:
    """Return what sets the number of threads of the BLAS that NumPy has loaded.

    Finding the libraries takes longer than searching for one user.
    """
    return ThreadpoolController()


def merging(rows: int, seen: csr_array, k: int) -> tuple[Callable[..., None], NDArray[np.int64]]:
    """Return a function that merges a block of scores into lists, and the lists, int64 [rows, k].

    Its arguments are scores, float32 [n, m], and the row and the item of the first one.
    """
    sorted_seen = seen if seen.has_sorted_indices else seen.sorted_indices()
    starts = sorted_seen.indptr.astype(np.int64)
    best = np.full((rows, k), -np.inf, dtype=np.float32)
    top = np.full((rows, k), NO_ITEM, dtype=np.int64)

    def merge(scores: NDArray[np.float32], row: int, item: int) -> None:
        best_unseen(starts, sorted_seen.indices, scores, row, item, best, top)

    return merge, top


Ranker = Callable[[NDArray[np.float32], NDArray[np.float32], csr_array, int], NDArray[np.int64]]

RANKERS: dict[str, Ranker] = {"faiss": search_faiss, "tensorflow": search_tensorflow}
