"""All metrics of a part of the data, and the users for whom they say little.

Cold users have no train positive, so that no model has learned anything about them. A user is
saturated at K if at most K items are unseen: every held-out item is then in the list, and Recall@K
and HR@K are 1 for any model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.evaluation.display import WARM
from recns_tf.evaluation.list_metrics import list_metrics
from recns_tf.evaluation.metrics import metrics_per_user
from recns_tf.interactions import Interactions, degrees_of_items, users_with
from recns_tf.registry import USER_METRICS

UNTRAINED = "their embeddings are untrained"
UNKNOWN = "nothing is known about their taste"
"""What it means for a trained model, and in general, that a user has no train positive."""


def part_metrics(
    top: NDArray[np.int64],
    held_out: csr_array,
    seen: csr_array,
    ks: Sequence[int],
    train: csr_array | None = None,
    *,
    depth: int = 0,
) -> dict[str, Any]:
    """Return the metrics of the lists of all users with held-out items.

    Args:
        top: int64 [n, L], the lists of users_with(held_out), best item first; NO_ITEM pads them.
        held_out: boolean CSR array [U, I], the relevant items.
        seen: boolean CSR array [U, I], the items that the lists exclude.
        ks: values of K, at most L.
        train: boolean CSR array [U, I], the train positives; None leaves out popularity and cold
            users.
        depth: see `user_counts`.

    Returns:
        A dict of every metric at every K, a float; the counts of `user_counts`; and, if there are
        cold users, "warm", the metrics and the number of the other users. Without users the
        metrics are 0.
    """
    users = users_with(held_out)
    if not len(users):
        per_user = {f"{metric}@{k}": np.zeros(0) for metric in USER_METRICS for k in ks}
    else:
        per_user = metrics_per_user(top, users, held_out, ks)
    degrees = None if train is None else degrees_of_items(train)

    def average(chosen: NDArray[np.bool_] | slice) -> dict[str, float]:
        lists = top[chosen]
        means = {
            name: float(values[chosen].mean()) if len(lists) else 0.0
            for name, values in per_user.items()
        }
        return means | list_metrics(lists, ks, held_out.shape[1], degrees)

    counts = user_counts(held_out, seen, ks, train, depth=depth)
    found: dict[str, Any] = average(slice(None)) | counts
    if train is not None and counts["cold_users"]:
        warm = np.diff(train.indptr)[users] > 0
        found[WARM] = average(warm) | {"users": int(warm.sum())}
    return found


def user_counts(
    held_out: csr_array,
    seen: csr_array,
    ks: Sequence[int],
    train: csr_array | None = None,
    *,
    depth: int = 0,
) -> dict[str, int]:
    """Return how many users there are, and for how many of them metrics say little.

    Args:
        held_out, seen, ks, train: see `part_metrics`.
        depth: search depth, as in `ranking.top_items`. If it is less than the number of items,
            even a short list may miss unseen items, so that no user is saturated.

    Returns:
        A dict of "users", those with held-out items; "cold_users", those of them without a train
        positive; "saturated_users@K", those with at most K unseen items; and
        "median_unseen_items", the median number of unseen items, rounded down.
    """
    users = users_with(held_out)
    num_items = seen.shape[1]
    unseen = num_items - np.diff(seen.indptr)[users]
    counts = {"users": len(users)}
    if train is not None:
        counts["cold_users"] = int((np.diff(train.indptr)[users] == 0).sum())
    exact = not depth or depth >= num_items
    for k in ks:
        counts[f"saturated_users@{k}"] = int((unseen <= k).sum()) if exact else 0
    counts["median_unseen_items"] = int(np.median(unseen)) if len(users) else 0
    return counts


def caveats(
    interactions: Interactions, ks: Sequence[int], *, depth: int = 0, meaning: str = UNTRAINED
) -> list[str]:
    """Return what limits the test metrics of a dataset, before anything is ranked.

    Args:
        interactions: the dataset.
        ks, depth: see `user_counts`.
        meaning: see `cold_sentences`.
    """
    counts = user_counts(
        interactions.test, interactions.seen("test"), ks, interactions.train, depth=depth
    )
    return cold_sentences(counts, meaning) + saturation_sentences(counts)


def cold_sentences(counts: Mapping[str, Any], meaning: str = UNTRAINED) -> list[str]:
    """Return a sentence on cold users, if there are any.

    Args:
        counts: metrics or counts of the test part.
        meaning: what it means for the model that a user has no train positive.
    """
    cold, users = counts.get("cold_users", 0), counts.get("users", 0)
    if not cold:
        return []
    others = (
        "Metrics are also given without them."
        if cold < users
        else "There are no other tested users."
    )
    have = "has" if cold == 1 else "have"
    return [f"{cold} of {users} tested users {have} no train positive: {meaning}. {others}"]


def saturation_sentences(counts: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each K at which more than half of the tested users are saturated.

    Args:
        counts: metrics or counts of the test part.
    """
    sentences: list[str] = []
    if not {"users", "median_unseen_items"} <= counts.keys():
        return sentences  # of an earlier version
    for key, saturated in counts.items():
        name, _, k = key.partition("@")
        if name != "saturated_users" or 2 * saturated <= counts["users"]:
            continue
        smaller = counts["median_unseen_items"] // 2
        advice = (
            f"choose a smaller K, such as --topk={smaller}"
            if smaller
            else "no K can tell models apart"
        )
        sentences.append(
            f"{saturated} of {counts['users']} tested users have at most {k} unseen items, so that "
            f"their Recall@{k} and HR@{k} are 1 for any model: {advice}."
        )
    return sentences
