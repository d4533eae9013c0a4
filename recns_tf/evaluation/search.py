"""Two engines for the exact top of all items, of which RANKERS holds one by name.

Both take the same and return equal lists, up to items of equal score: Faiss, the paper's own
choice, searches so deep that unseen items are left; TensorFlow multiplies the tables, and a
compiled loop chooses of the scores.
"""

from __future__ import annotations

from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.evaluation.kernels import best_unseen, keep_unseen
from recns_tf.evaluation.metrics import NO_ITEM
from recns_tf.utils.parallel import over_rows, row_cuts

LARGEST_GROUP = 4096
SMALLEST_GROUP = 256
GROWTH = 1.5
"""Users share a search that is at most so many times as deep as the least of them needs; large
groups, of queries and not of depths, are what Faiss is fast with."""

MOST = 0.95
"""How many of the users a depth that was learned from others should be enough for."""

BLOCK_USERS = 64
"""Users a product: their scores stay in the processor's cache until they are chosen from."""


def with_faiss(
    queries: NDArray[np.float32], items: NDArray[np.float32], seen: csr_array, k: int
) -> NDArray[np.int64]:
    """Return the k unseen items with the largest inner product for each query, best first.

    k and as many places as a user has seen items are enough whatever the scores are. Seen items
    that do not crowd the first places need less, and how much less is learned from the groups
    before; who is left without k items is searched again, as deep as is enough.

    Args:
        queries: float32 [n, d].
        items: float32 [I, d].
        seen: boolean CSR array [n, I] of items not to be ranked.
        k: length of the lists.

    Returns:
        int64 [n, k]; a user with fewer than k unseen items has NO_ITEM at the end.
    """
    num_items, dim = items.shape
    index = faiss.IndexFlatIP(dim)
    index.add(items)
    starts = seen.indptr.astype(np.int64)
    counts = np.diff(starts)
    top = np.full((len(queries), k), NO_ITEM, dtype=np.int64)
    crowding: list[NDArray[np.float64]] = []

    def search(users: NDArray[np.integer], learn: bool) -> NDArray[np.integer]:
        """Search for users, in ascending number of seen items; return those to do again."""
        short = [users[:0]]
        start, share = 0, 1.0
        while start < len(users):
            group = users[start : start + LARGEST_GROUP]
            depths = np.minimum(k + np.ceil(share * counts[group]).astype(np.int64), num_items)
            like = int(np.searchsorted(depths, depths[0] * GROWTH, side="right"))
            group = group[: max(like, SMALLEST_GROUP)]
            depth = int(depths[len(group) - 1])
            start += len(group)
            _, found = index.search(queries[group], depth)
            used = np.empty(len(group), dtype=np.int64)
            keep_unseen(starts, seen.indices, group, found, top, used)
            short.append(group[(used > depth) & (depth < np.minimum(k + counts[group], num_items))])
            if learn:
                crowding.append((used - k) / np.maximum(counts[group], 1))
                share = min(float(np.quantile(np.concatenate(crowding), MOST)), 1.0)
        return np.concatenate(short)

    search(search(np.argsort(counts, kind="stable"), learn=True), learn=False)
    return top


def with_tensorflow(
    queries: NDArray[np.float32], items: NDArray[np.float32], seen: csr_array, k: int
) -> NDArray[np.int64]:
    """Return what `with_faiss` returns; of items with equal scores the lowest number first.

    Args:
        queries, items, seen, k: as of `with_faiss`.
    """
    # It takes seconds to import: those who rank with Faiss need not wait.
    import tensorflow as tf

    starts = seen.indptr.astype(np.int64)
    top = np.full((len(queries), k), NO_ITEM, dtype=np.int64)
    table = tf.constant(items)

    def rank(first: int, last: int) -> None:
        for start in range(first, last, BLOCK_USERS):
            block = queries[start : min(start + BLOCK_USERS, last)]
            scores = tf.matmul(block, table, transpose_b=True)
            best_unseen(starts, seen.indices, np.asarray(memoryview(scores)), start, top)

    over_rows(rank, row_cuts(len(queries)))
    return top


Ranker = Callable[[NDArray[np.float32], NDArray[np.float32], csr_array, int], NDArray[np.int64]]

RANKERS: dict[str, Ranker] = {"faiss": with_faiss, "tensorflow": with_tensorflow}
