"""Full ranking over all items, exact, and the means of its metrics (§5.1).

Seen items take no place of a list, however many there are. The authors' code searches to a fixed
depth, drops the seen items and keeps what is left, so that a user who has seen much gets a short
list; `depth` does as it does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.evaluation.kernels import keep_unseen
from recns_tf.evaluation.metrics import NO_ITEM, metrics_per_user
from recns_tf.evaluation.search import RANKERS
from recns_tf.interactions import users_with

__all__ = ["NO_ITEM", "evaluate", "metrics_per_user", "top_items"]


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
    """Return the k unseen items with the largest inner product for each user, best first.

    Args:
        user_embeddings: float32 [U, d].
        item_embeddings: float32 [I, d].
        users: [n] the users to rank for.
        seen: boolean CSR array [U, I] of items not to be ranked.
        k: length of the lists.
        ranker: the engine, one of catalog.RANKERS.
        depth: 0 ranks exactly. A number is that of a search which the seen items take part in
            and are then dropped from; what it holds beyond is lost.

    Returns:
        int64 [n, k]; a user with fewer than k unseen items has NO_ITEM at the end, and with a
        `depth` one of whose items of the search fewer than k are unseen.
    """
    queries, items = (
        np.ascontiguousarray(table, dtype=np.float32)
        for table in (user_embeddings[users], item_embeddings)
    )
    rows: Any = seen[users]
    if not depth:
        return RANKERS[ranker](queries, items, rows, k)
    nothing = csr_array(rows.shape, dtype=bool)
    found = RANKERS[ranker](queries, items, nothing, min(depth, len(items)))
    top = np.full((len(queries), k), NO_ITEM, dtype=np.int64)
    everyone = np.arange(len(queries))
    keep_unseen(
        rows.indptr.astype(np.int64), rows.indices, everyone, found, top, np.empty_like(everyone)
    )
    return top


def evaluate(
    user_embeddings: NDArray[np.float32],
    item_embeddings: NDArray[np.float32],
    held_out: csr_array,
    seen: csr_array,
    k: int = 20,
    *,
    ranker: str = "faiss",
    depth: int = 0,
) -> dict[str, float | int]:
    """Return mean Recall, NDCG and HR over all users with held-out items.

    Args:
        user_embeddings, item_embeddings: float32 [U, d] and [I, d].
        held_out: boolean CSR array [U, I], the positives to be found.
        seen: boolean CSR array [U, I], masked: train for validation, train and valid for test.
        k: length of the lists, K.
        ranker, depth: as of `top_items`.

    Returns:
        "recall@K", "ndcg@K", "hr@K" as fractions, and "users", how many were averaged; the
        metrics are 0 where there are none.
    """
    users = users_with(held_out)
    if not len(users):
        return {f"recall@{k}": 0.0, f"ndcg@{k}": 0.0, f"hr@{k}": 0.0, "users": 0}
    top = top_items(user_embeddings, item_embeddings, users, seen, k, ranker=ranker, depth=depth)
    per_user = metrics_per_user(top, users, held_out)
    return {name: float(values.mean()) for name, values in per_user.items()} | {"users": len(users)}
