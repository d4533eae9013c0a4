"""Recall, NDCG and HR of ranked lists (§5.1), user by user.

Conventions: averages over the users with at least one held-out item; Recall divides by their
number; binary NDCG with the ideal list cut at min(K, number of held-out items); HR is 1 for a
user with any hit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.interactions import is_among, keys_of

NO_ITEM = -1
"""Fills the places of a list that has no more items."""

METRICS = {"recall@20": "Recall@20", "ndcg@20": "NDCG@20", "hr@20": "HR@20"}
"""The metrics of a run's files, and how they are written for people."""

METRIC = "recall@20"
"""The metric that epochs, settings and hyperparameters are chosen by on validation (§5.1)."""


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


def metric_lines(named: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """Return metrics for the screen: a head, and a line each by name, without those of no users."""
    lines = [f"{'':8}" + "".join(f"{label:>11}" for label in (*METRICS.values(), "users"))]
    for name, metrics in named.items():
        if metrics and metrics.get("users") != 0:
            cells = "".join(f"{metrics[key]:>11.4f}" for key in METRICS)
            lines.append(f"{name:8}{cells}{metrics.get('users', ''):>11}")
    return lines
