"""Metrics of each user's ranked list.

The paper reports Recall, NDCG and HR at 20 (§5.1), but does not define them. As in the authors'
code, with T the set of a user's held-out items and rel(r) = 1 if the item at rank r is in T and 0
otherwise:

    Recall@K = Σ_{r ≤ K} rel(r) / |T|
    NDCG@K = Σ_{r ≤ K} rel(r) / log2(r + 1) / Σ_{r ≤ min(K, |T|)} 1 / log2(r + 1)
    HR@K = 1 if rel(r) = 1 for any r ≤ K, else 0

The others are as in RecBole (recbole/evaluator/metrics.py):

    Precision@K = Σ_{r ≤ K} rel(r) / K, also for lists of fewer than K items
    MRR@K = 1 / min {r ≤ K: rel(r) = 1}, or 0 if there is no such r
    MAP@K = Σ_{r ≤ K} rel(r) Precision@r / min(K, |T|), the average precision of a user

Means are taken over the users with at least one held-out item.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.interactions import is_among, keys_of

NO_ITEM = -1
"""Padding at the end of a list with fewer items than places."""

METRICS = {"recall@20": "Recall@20", "ndcg@20": "NDCG@20", "hr@20": "HR@20"}
"""Display names of the metrics in the paper's tables, by their keys in the files of a run."""

METRIC = "recall@20"
"""The metric in the paper's figures."""


def is_member(
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    keys: NDArray[np.int64],
    num_items: int,
) -> NDArray[np.bool_]:
    """Return whether each (user, item) pair is in a set of pairs.

    Args:
        users: integer [n].
        items: integer [n, m], items to look up for each user; NO_ITEM is never a member.
        keys: int64 [p], the pairs as ascending user * num_items + item.
        num_items: number of items, I.

    Returns:
        bool [n, m].
    """
    pairs = users[:, None].astype(np.int64) * num_items + items
    return is_among(pairs, keys) & (items != NO_ITEM)


def metrics_per_user(
    top: NDArray[np.int64],
    users: NDArray[np.integer],
    held_out: csr_array,
    ks: Sequence[int] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return every metric of each user's ranked list, at every K (§5.1).

    Args:
        top: int64 [n, L], items in rank order; NO_ITEM pads short lists.
        users: integer [n], the user of each list; each has at least one held-out item.
        held_out: boolean CSR array [U, I], the relevant items.
        ks: values of K, at most L; None for L alone. Metrics at K use the first K places.

    Returns:
        A dict of "recall@K", "ndcg@K", "hr@K", "precision@K", "mrr@K" and "map@K", each
        float64 [n], from 0 to 1.

    Raises:
        ValueError: a K is larger than L.

    Example:
        >>> held_out = csr_array(np.array([[1, 0, 0, 1]], dtype=bool))
        >>> metrics_per_user(np.array([[3, 2]]), np.array([0]), held_out)["recall@2"]
        array([0.5])
    """
    length = top.shape[1]
    ks = [length] if ks is None else ks
    if max(ks) > length:
        raise ValueError(f"metrics at {max(ks)} need lists of as many places, not {length}")
    relevant = np.diff(held_out.indptr)[users]
    hits = is_member(users, top, keys_of(held_out), held_out.shape[1])
    ranks = np.arange(1, length + 1)
    discount = 1 / np.log2(ranks + 1)
    best = np.concatenate([[0.0], np.cumsum(discount)])
    precisions = np.cumsum(hits, axis=1) / ranks
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.inf)
    found: dict[str, NDArray[np.float64]] = {}
    for k in ks:
        short = np.ascontiguousarray(hits[:, :k])
        count = short.sum(axis=1)
        reachable = np.minimum(relevant, k)
        found |= {
            f"recall@{k}": count / relevant,
            f"ndcg@{k}": short @ discount[:k] / best[reachable],
            f"hr@{k}": (count > 0).astype(np.float64),
            f"precision@{k}": count / k,
            f"mrr@{k}": np.where(first <= k, 1 / first, 0.0),
            f"map@{k}": (short * precisions[:, :k]).sum(axis=1) / reachable,
        }
    return found
