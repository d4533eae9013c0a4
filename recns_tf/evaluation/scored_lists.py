"""Lists of items with scores, in an order that does not depend on how the scores are computed.

A score is the inner product of two float32 embeddings, computed in float64 and rounded to float32.
Lists are ordered by descending score, and equal scores by ascending item number. Every program that
follows this rule, such as an exported model, gives the same lists to the last item.

`ranking.top_items` is faster where only the items matter. It multiplies in float32, so that items
of almost equal score may swap.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.evaluation.metrics import NO_ITEM
from recns_tf.evaluation.search import merging, search_numpy

Table = NDArray[np.float32]
"""Embeddings, float32 [rows, d]."""

SPARE = 12
"""Items found in float32 beyond k. With more, fewer lists need all scores in float64."""

ROUNDING = 2.0**-23
"""Twice the largest relative error of a float32 product or sum."""

BLOCK_BYTES = 128_000_000
"""Largest block of float64 scores."""


def scored_items(
    queries: Table, items: Table, seen: csr_array, k: int, largest: float | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k unseen items with the largest scores for each query, and their scores.

    A search in float32 finds slightly more than k items, whose scores are then computed exactly.
    Where rounding may have hidden an item of the list, all scores are computed exactly.

    Args:
        queries: float32 [n, d].
        items: float32 [I, d].
        seen: boolean CSR array [n, I], the items to exclude.
        k: length of the lists.
        largest: `largest_norm(items)`, where many calls share it.

    Returns:
        int64 [n, k] and float32 [n, k]. NO_ITEM and minus infinity pad the lists of queries with
        fewer than k unseen items.

    Example:
        >>> users = np.array([[1.0]], np.float32)
        >>> items = np.array([[3.0], [2.0], [1.0]], np.float32)
        >>> scored_items(users, items, csr_array(np.array([[1, 0, 0]], dtype=bool)), k=2)
        (array([[1, 2]]), array([[2., 1.]], dtype=float32))
    """
    top = np.full((len(queries), k), NO_ITEM, dtype=np.int64)
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    if largest is None:
        largest = largest_norm(items)
    uncertain = [np.zeros(0, dtype=np.int64)]
    for block in blocks(len(queries), (k + SPARE) * items.shape[1]):
        some = np.ascontiguousarray(queries[block])
        found = search_numpy(some, items, seen[block], k + SPARE)
        exact = scores_of(some, items, found)
        # Items that were not found score less than the last one found, up to rounding.
        error = ROUNDING * items.shape[1] * largest * np.linalg.norm(some, axis=1)
        bound = np.where(found[:, -1] == NO_ITEM, -np.inf, exact.min(axis=1) + 2 * error)
        top[block], scores[block] = best_first(found, exact, k)
        uncertain.append(block[~(scores[block, -1] > bound) & np.isfinite(bound)])
    rest = np.concatenate(uncertain)
    for block in blocks(len(rest), len(items)):
        rows = rest[block]
        top[rows], scores[rows] = search_exactly(queries[rows], items, seen[rows], k)
    return top, scores


def best_first(
    items: NDArray[np.int64], scores: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k items with the largest scores of each row, in the order of all lists.

    Args:
        items, scores: [n, m] each, in any order.
        k: length of the lists, at most m.
    """
    order = np.lexsort((items, -scores), axis=1)[:, :k]
    return np.take_along_axis(items, order, axis=1), np.take_along_axis(scores, order, axis=1)


def largest_norm(items: Table) -> float:
    """Return the largest Euclidean norm of a row; 0 if there is none."""
    return float(np.sqrt(np.einsum("nd,nd->n", items, items).max(initial=0)))


def search_exactly(
    queries: Table, items: Table, seen: csr_array, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what `scored_items` does, from the scores of all items."""
    scores = (queries.astype(np.float64) @ items.T.astype(np.float64)).astype(np.float32)
    merge, top = merging(len(queries), seen, k)
    merge(scores, 0, 0)
    found = np.take_along_axis(scores, np.maximum(top, 0), axis=1)
    return top, np.where(top == NO_ITEM, np.float32(-np.inf), found)


def scores_of(queries: Table, items: Table, lists: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the scores of each query's items.

    Args:
        queries: float32 [n, d].
        items: float32 [I, d].
        lists: int64 [n, m]; the score of NO_ITEM is minus infinity.

    Returns:
        float32 [n, m].
    """
    scores = np.einsum(
        "nd,nmd->nm", queries, items[lists], dtype=np.float64, casting="safe", optimize=False
    ).astype(np.float32)
    return np.where(lists == NO_ITEM, np.float32(-np.inf), scores)


def blocks(count: int, width: int) -> Iterator[NDArray[np.int64]]:
    """Yield 0 … count - 1 in blocks small enough for float64 [block, width] in memory."""
    size = max(1, BLOCK_BYTES // (8 * max(width, 1)))
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))
