"""Recall@K, NDCG@K and HR@K of ranked lists, per user.

Source: section 5.1 of the RecNS paper, which names the metrics but does not define them. As in the
authors' code, with T the set of a user's held-out items and rel(r) = 1 if the item at rank r is in
T and 0 otherwise:

    Recall@K = Σ_{r ≤ K} rel(r) / |T|
    NDCG@K = Σ_{r ≤ K} rel(r) / log2(r + 1) / Σ_{r ≤ min(K, |T|)} 1 / log2(r + 1)
    HR@K = 1 if any rel(r) = 1, else 0

Means are taken over the users with at least one held-out item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.interactions import is_among, keys_of

NO_ITEM = -1
"""Padding at the end of a list with fewer items than places."""

METRICS = {"recall@20": "Recall@20", "ndcg@20": "NDCG@20", "hr@20": "HR@20"}
"""Display names of the reported metrics, by their keys in the files of a run."""

METRIC = "recall@20"
"""The validation metric that selects epochs, settings and hyperparameters (§5.1)."""


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
    top: NDArray[np.int64], users: NDArray[np.integer], held_out: csr_array
) -> dict[str, NDArray[np.float64]]:
    """Return Recall, NDCG and HR of each user's ranked list (§5.1).

    Args:
        top: int64 [n, K], items in rank order; NO_ITEM pads short lists.
        users: integer [n], the user of each list; each has at least one held-out item.
        held_out: boolean CSR array [U, I], the relevant items.

    Returns:
        A dict of "recall@K", "ndcg@K" and "hr@K", each float64 [n], from 0 to 1.

    Example:
        >>> held_out = csr_array(np.array([[1, 0, 0, 1]], dtype=bool))
        >>> metrics_per_user(np.array([[3, 2]]), np.array([0]), held_out)["recall@2"]
        array([0.5])
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


def metric_lines(named: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """Format metrics as text: a header and one line per name.

    Args:
        named: metrics by name, such as "valid" and "test". A name with None, or with metrics over
            no users, gets no line.
    """
    lines = [f"{'':8}" + "".join(f"{label:>11}" for label in (*METRICS.values(), "users"))]
    for name, metrics in named.items():
        if metrics and metrics.get("users") != 0:
            cells = "".join(f"{metrics[key]:>11.4f}" for key in METRICS)
            lines.append(f"{name:8}{cells}{metrics.get('users', ''):>11}")
    return lines
