"""Full ranking over all items, exact, with Faiss; Recall, NDCG and HR (§5.1).

Conventions: averages over the users with at least one held-out item; Recall divides by their
number; binary NDCG with the ideal list cut at min(K, number of held-out items); HR is 1 for a
user with any hit. Items seen before are masked by searching K plus as many items as the user
has seen and dropping the seen ones, which loses no place however many there are.
"""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.interactions import is_among, keys_of

BLOCK_USERS = 1024
NO_ITEM = -1


def top_items(
    user_embeddings: NDArray[np.float32],
    item_embeddings: NDArray[np.float32],
    users: NDArray[np.integer],
    seen: csr_array,
    k: int = 20,
) -> NDArray[np.int64]:
    """Return the k unseen items with the largest inner product for each user, best first.

    Args:
        user_embeddings: float32 [U, d].
        item_embeddings: float32 [I, d].
        users: [n] the users to rank for.
        seen: boolean CSR array [U, I] of items not to be ranked.
        k: length of the lists.

    Returns:
        int64 [n, k]; a user with fewer than k unseen items has NO_ITEM at the end.
    """
    num_items, dim = item_embeddings.shape
    index = faiss.IndexFlatIP(dim)
    index.add(np.ascontiguousarray(item_embeddings, dtype=np.float32))
    seen_counts = np.diff(seen.indptr)[users]
    seen_keys = keys_of(seen)
    top = np.full((len(users), k), NO_ITEM, dtype=np.int64)
    # Users with like numbers of seen items share a search: none looks much deeper than it must.
    by_seen = np.argsort(seen_counts, kind="stable")
    for start in range(0, len(users), BLOCK_USERS):
        block = by_seen[start : start + BLOCK_USERS]
        depth = min(k + int(seen_counts[block[-1]]), num_items)
        queries = np.ascontiguousarray(user_embeddings[users[block]], dtype=np.float32)
        _, found = index.search(queries, depth)
        unseen = ~is_member(users[block], found, seen_keys, num_items)
        place = np.cumsum(unseen, axis=1) - 1
        row, column = np.nonzero(unseen & (place < k))
        top[block[row], place[row, column]] = found[row, column]
    return top


def is_member(
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    keys: NDArray[np.int64],
    num_items: int,
) -> NDArray[np.bool_]:
    """Return whether each pair is among `keys`.

    Args:
        users: [n].
        items: [n, m]; NO_ITEM belongs to no user.
        keys: ascending user * num_items + item.
        num_items: I.

    Returns:
        bool [n, m].
    """
    sought = users[:, None].astype(np.int64) * num_items + items
    return is_among(sought, keys) & (items != NO_ITEM)


def metrics_per_user(
    top: NDArray[np.int64], users: NDArray[np.integer], held_out: csr_array
) -> dict[str, NDArray[np.float64]]:
    """Return Recall, NDCG and HR of each user's list.

    Args:
        top: [n, K] ranked items, NO_ITEM where a list is short.
        users: [n], each with at least one held-out item.
        held_out: boolean CSR array [U, I] of the items to be found.

    Returns:
        "recall@K", "ndcg@K" and "hr@K", each float64 [n], fractions.
    """
    k = top.shape[1]
    relevant = np.diff(held_out.indptr)[users]
    hits = is_member(users, top, keys_of(held_out), held_out.shape[1])
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(relevant, k)]
    return {
        f"recall@{k}": hits.sum(axis=1) / relevant,
        f"ndcg@{k}": hits @ discount / ideal,
        f"hr@{k}": hits.any(axis=1).astype(np.float64),
    }


def evaluate(
    user_embeddings: NDArray[np.float32],
    item_embeddings: NDArray[np.float32],
    held_out: csr_array,
    seen: csr_array,
    k: int = 20,
) -> dict[str, float | int]:
    """Return mean Recall, NDCG and HR over all users with held-out items.

    Args:
        user_embeddings, item_embeddings: float32 [U, d] and [I, d].
        held_out: boolean CSR array [U, I], the positives to be found.
        seen: boolean CSR array [U, I], masked: train for validation, train and valid for test.
        k: length of the lists, K.

    Returns:
        "recall@K", "ndcg@K", "hr@K" as fractions, and "users", how many were averaged; the
        metrics are 0 where there are none.
    """
    users = np.flatnonzero(np.diff(held_out.indptr))
    if not len(users):
        return {f"recall@{k}": 0.0, f"ndcg@{k}": 0.0, f"hr@{k}": 0.0, "users": 0}
    top = top_items(user_embeddings, item_embeddings, users, seen, k)
    per_user = metrics_per_user(top, users, held_out)
    return {name: float(values.mean()) for name, values in per_user.items()} | {"users": len(users)}
