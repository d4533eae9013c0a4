"""Exact full ranking over all items, and mean metrics over users (§5.1).

Seen items are excluded before the top K are taken, so that every user with K unseen items gets a
full list. The authors' code instead searches to a fixed depth and then drops the seen items, so
that a user with many seen items gets a short list. The argument `depth` reproduces that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.evaluation.kernels import keep_unseen
from recns_tf.evaluation.metrics import NO_ITEM, metrics_per_user
from recns_tf.evaluation.part_metrics import part_metrics
from recns_tf.evaluation.search import RANKERS
from recns_tf.evaluation.shown_metrics import shown_metrics
from recns_tf.interactions import Interactions, users_with

__all__ = ["NO_ITEM", "evaluate", "evaluate_part", "metrics_per_user", "top_items"]


def top_items(
    user_embeddings: NDArray[np.float32],
    item_embeddings: NDArray[np.float32],
    users: NDArray[np.integer],
    seen: csr_array,
    k: int = 20,
    *,
    ranker: str = "faiss",
    depth: int = 0,
) -> NDArray[np.int64]:
    """Return the k unseen items with the largest inner products for each user.

    Args:
        user_embeddings: float32 [U, d].
        item_embeddings: float32 [I, d].
        users: integer [n], the users to rank for.
        seen: boolean CSR array [U, I], the items to exclude.
        k: length of the lists.
        ranker: search engine, one of registry.RANKERS.
        depth: 0 ranks exactly. Otherwise the `depth` best of all items are searched, seen items
            included; the seen ones are then dropped, and up to k of the rest are kept.

    Returns:
        int64 [n, k], best item first. NO_ITEM pads the lists of users with fewer than k unseen
        items (with a `depth`: fewer than k among the items searched).

    Example:
        >>> users = np.array([[1.0]], np.float32)
        >>> items = np.array([[3.0], [2.0], [1.0]], np.float32)
        >>> seen = csr_array(np.array([[1, 0, 0]], dtype=bool))
        >>> top_items(users, items, np.array([0]), seen, k=2)
        array([[1, 2]])
    """
    queries, items = (
        np.ascontiguousarray(table, dtype=np.float32)
        for table in (user_embeddings[users], item_embeddings)
    )
    rows: Any = seen[users]
    if not depth:
        return RANKERS[ranker](queries, items, rows, k)
    nothing_seen = csr_array(rows.shape, dtype=bool)
    found = RANKERS[ranker](queries, items, nothing_seen, min(depth, len(items)))
    top = np.full((len(queries), k), NO_ITEM, dtype=np.int64)
    all_rows = np.arange(len(queries))
    keep_unseen(
        rows.indptr.astype(np.int64), rows.indices, all_rows, found, top, np.empty_like(all_rows)
    )
    return top


Rank = Callable[..., NDArray[np.int64]]
"""A function with the arguments and the result of `top_items`."""


def evaluate(
    user_embeddings: NDArray[np.float32],
    item_embeddings: NDArray[np.float32],
    held_out: csr_array,
    seen: csr_array,
    k: int | Sequence[int] = 20,
    *,
    train: csr_array | None = None,
    ranker: str = "faiss",
    depth: int = 0,
    rank: Rank | None = None,
) -> dict[str, Any]:
    """Return all metrics over the users with held-out items (§5.1).

    Args:
        user_embeddings: float32 [U, d].
        item_embeddings: float32 [I, d].
        held_out: boolean CSR array [U, I], the relevant items.
        seen: boolean CSR array [U, I], the items to exclude: train for validation, train and
            valid for test.
        k: K of the metrics, or several; lists have as many places as the largest.
        train: boolean CSR array [U, I], the train positives; None leaves out popularity and cold
            users.
        ranker, depth: see `top_items`.
        rank: returns the lists, like `top_items`; None for that.

    Returns:
        The dict of `part_metrics`: "recall@K", "ndcg@K" and the other metrics, and "users", the
        number of users averaged. Without such users the metrics are 0.

    Example:
        >>> users = np.array([[1.0]], np.float32)
        >>> items = np.array([[3.0], [2.0], [1.0]], np.float32)
        >>> seen = csr_array(np.array([[1, 0, 0]], dtype=bool))
        >>> held_out = csr_array(np.array([[0, 1, 0]], dtype=bool))
        >>> evaluate(users, items, held_out, seen, k=[1, 2])["recall@1"]
        1.0
    """
    ks = [k] if isinstance(k, int) else k
    users = users_with(held_out)
    top = (rank or top_items)(
        user_embeddings, item_embeddings, users, seen, max(ks), ranker=ranker, depth=depth
    )
    return part_metrics(top, held_out, seen, ks, train, depth=depth)


def evaluate_part(
    user_embeddings: NDArray[np.float32],
    item_embeddings: NDArray[np.float32],
    interactions: Interactions,
    part: str,
    k: int | Sequence[int] = 20,
    *,
    ranker: str = "faiss",
    depth: int = 0,
    rank: Rank | None = None,
) -> dict[str, Any]:
    """Return the metrics of `evaluate` on a held-out part of a dataset.

    Args:
        user_embeddings, item_embeddings, k, ranker, depth, rank: see `evaluate`.
        interactions: the dataset.
        part: "valid", which excludes train from the rankings, or "test", which excludes train and
            valid.

    Returns:
        The dict of `evaluate`; for "test", also the metrics of `shown_metrics` if the dataset has
        held-out exposures.
    """
    found = evaluate(
        user_embeddings,
        item_embeddings,
        getattr(interactions, part),
        interactions.seen(part),
        k,
        train=interactions.train,
        ranker=ranker,
        depth=depth,
        rank=rank,
    )
    if part == "test":
        found |= shown_metrics((user_embeddings, item_embeddings), interactions)
    return found
