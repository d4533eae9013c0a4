"""Metrics within the items that a user was shown: held-out positives against held-out exposures.

A user's items are the held-out positives and the exposures that training has not used either. For a
user with p > 0 of the former and n > 0 of the latter, p + n = m:

    AUC = Σ over the p · n pairs of 1 if the positive has the higher score, 1/2 if equal / (p · n)
    NDCG = Σ_r rel(r) / log2(r + 1) / Σ_{r ≤ p} 1 / log2(r + 1), over all m ranks r

An exposure that is a positive of the user counts as the positive alone. Items of equal score share
the mean of their discounts, so that neither metric depends on an order of ties. Means are taken
over the users with both kinds of items.

Sources: T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006, for
the AUC as a rank statistic; F. McSherry and M. Najork, "Computing Information Retrieval Performance
Measures Efficiently in the Presence of Tied Scores", ECIR 2008, for the discounts of ties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.interactions import Interactions, subtract_pairs, to_pairs, users_with
from recns_tf.registry import SHOWN_METRICS

USERS = "shown_users"
"""The key of the number of users in the means."""

CHUNK = 1 << 16
"""Pairs whose embeddings are in memory at a time."""

Embeddings = tuple[NDArray[np.float32], NDArray[np.float32]]


def shown_metrics(embeddings: Embeddings, interactions: Interactions) -> dict[str, float]:
    """Return the mean metrics of the test part within the items that users were shown.

    Args:
        embeddings: float32 [U, d] and [I, d]; a score is an inner product.
        interactions: the dataset.

    Returns:
        A dict of "shown_auc" and "shown_ndcg", from 0 to 1, and "shown_users", the number of users
        with both kinds of items; without any, the metrics are 0. The dict is empty if no exposures
        are held out.
    """
    if interactions.test_exposed is None:
        return {}
    per_user = shown_metrics_per_user(embeddings, interactions)
    users = len(per_user["shown_auc"])
    means = {name: float(values.mean()) if users else 0.0 for name, values in per_user.items()}
    return means | {USERS: users}


def shown_metrics_per_user(
    embeddings: Embeddings, interactions: Interactions
) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of each user with held-out positives and exposures, in ascending order.

    Args:
        embeddings, interactions: see `shown_metrics`; exposures are held out.

    Returns:
        A dict of "shown_auc" and "shown_ndcg", each float64 [n].
    """
    assert interactions.test_exposed is not None, "exposures are held out"
    positives = interactions.test
    exposures = subtract_pairs(interactions.test_exposed, interactions.positives)
    both = np.intersect1d(users_with(positives), users_with(exposures))
    pairs = [to_pairs(csr_array(rows[both])) for rows in (positives, exposures)]
    rows = np.concatenate([each[:, 0] for each in pairs])
    items = np.concatenate([each[:, 1] for each in pairs])
    relevant = np.repeat([True, False], [len(each) for each in pairs])
    found = rank_metrics(rows, scores_of(embeddings, both[rows], items), relevant, len(both))
    return dict(zip(SHOWN_METRICS, found, strict=True))


def scores_of(
    embeddings: Embeddings, users: NDArray[np.integer], items: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Return the inner products of user and item embeddings, float32 [n], for integers [n]."""
    user, item = embeddings
    scores = np.empty(len(users), dtype=np.float32)
    for start in range(0, len(users), CHUNK):
        part = slice(start, start + CHUNK)
        scores[part] = np.einsum("nd,nd->n", user[users[part]], item[items[part]])
    return scores


def rank_metrics(
    rows: NDArray[np.integer],
    scores: NDArray[np.floating],
    relevant: NDArray[np.bool_],
    num_rows: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the AUC and the NDCG of some rankings without a cutoff.

    Args:
        rows: integers [n], from 0 to num_rows - 1: the ranking of each item.
        scores: [n], the score of each item.
        relevant: bool [n]; each ranking has at least one item that is relevant, and one that is
            not.
        num_rows: number of rankings, R.

    Returns:
        Two arrays, float64 [R].

    Example:
        >>> relevant = np.array([True, False, False])
        >>> auc, ndcg = rank_metrics(np.zeros(3, int), np.array([2.0, 3.0, 1.0]), relevant, 1)
        >>> float(auc[0]), round(float(ndcg[0]), 4)
        (0.5, 0.6309)
    """
    order = np.lexsort((-scores, rows))
    rows, scores, relevant = rows[order], scores[order], relevant[order]
    sizes = np.bincount(rows, minlength=num_rows)
    ranks = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1

    new = np.ones(len(rows), dtype=bool)
    new[1:] = (np.diff(rows) != 0) | (np.diff(scores) != 0)
    tie = np.cumsum(new) - 1
    mean_rank, mean_discount = (
        (np.bincount(tie, values) / np.bincount(tie))[tie] for values in (ranks, discount(ranks))
    )

    positives = np.bincount(rows, relevant, num_rows)
    negatives = sizes - positives
    # Of the items below the positives, those that are positives themselves are no pairs.
    below = np.bincount(rows, relevant * (sizes[rows] - mean_rank), num_rows)
    auc = (below - positives * (positives - 1) / 2) / (positives * negatives)
    best = np.cumsum(discount(np.arange(1, sizes.max(initial=0) + 1)))
    gain = np.bincount(rows, relevant * mean_discount, num_rows)
    return auc, gain / best[positives.astype(np.int64) - 1]


def discount(ranks: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the weight of each rank in the NDCG, 1 / log2(rank + 1)."""
    return 1 / np.log2(ranks + 1)
