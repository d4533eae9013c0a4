"""What a dataset looks like, in numbers that can be set beside Zhihu's.

Degrees are counted over the positives of all splits. The AUCs tell how hard negatives are: how
often a held-out positive is scored above an item that the user was shown and left, and above one
that the user never met.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

from recns_tf.interactions import (
    Interactions,
    degrees_of_items,
    is_among,
    keys_of,
    subtract_pairs,
    to_pairs,
)

Score = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]
"""Scores of users [n] and items [n], float64 [n]."""

LEVELS = {
    "1%": 0.01,
    "5%": 0.05,
    "10%": 0.1,
    "25%": 0.25,
    "50%": 0.5,
    "75%": 0.75,
    "90%": 0.9,
    "95%": 0.95,
    "99%": 0.99,
    "99.9%": 0.999,
    "max": 1.0,
}
GINI = "Gini of item degrees"
TOP_SHARE = "share of clicks on the top 1% of items"
EXPOSED_RATIO = "exposed pairs a positive"
NUM_FACTORS = 32
MOST_COMPARISONS = 20_000_000
BLOCK_PAIRS = 1 << 16

_USER_DEGREES = (21, 61, 81, 116, 171, 261, 371, 461, 676, 980, 2_031)
_ITEM_DEGREES = (1, 1, 2, 5, 14, 64, 202, 349, 792, 1_800, 3_460)
ZHIHU: dict[str, float] = {
    **{f"user degree {level}": n for level, n in zip(LEVELS, _USER_DEGREES, strict=True)},
    **{f"item degree {level}": n for level, n in zip(LEVELS, _ITEM_DEGREES, strict=True)},
    GINI: 0.76,
    TOP_SHARE: 0.17,
    EXPOSED_RATIO: 3_796_551 / 3_284_734,
}
"""The same figures of Zhihu, as measured on its authors' published data."""
AUC_AIMS = {
    "AUC of popularity against exposed": "about 0.60",
    "AUC of popularity against unobserved": "0.70-0.87",
    "AUC of SVD against exposed": "0.60-0.66",
    "AUC of SVD against unobserved": "0.70-0.87",
}
"""What the AUCs of data like Zhihu are; its own were not measured."""


def closeness(
    interactions: Interactions, *, max_pairs: int = 20_000, seed: int = 0, with_svd: bool = True
) -> dict[str, float]:
    """Return the figures of a dataset under the names of ZHIHU, and its AUCs.

    Args:
        interactions: the dataset.
        max_pairs: how many held-out pairs the AUCs are taken over, at most.
        seed: of their choice, of the unobserved items and of the SVD.
        with_svd: whether to score by a truncated SVD, too, which takes longest.

    Returns:
        One number a name, in the order to print them in; an AUC is nan where there is no pair to
        take it over.
    """
    positives = interactions.positives
    user_degrees = np.diff(positives.indptr)
    item_degrees = degrees_of_items(positives)
    figures = {f"user degree {n}": quantile(user_degrees, at) for n, at in LEVELS.items()}
    figures |= {f"item degree {n}": quantile(item_degrees, at) for n, at in LEVELS.items()}
    figures[GINI] = gini(item_degrees)
    figures[TOP_SHARE] = top_share(item_degrees, 0.01)
    figures[EXPOSED_RATIO] = interactions.exposed.nnz / positives.nnz

    rng = np.random.default_rng(seed)
    held_out = rng.permutation(to_pairs(interactions.held_out))[:max_pairs]
    compared = np.diff(interactions.exposed.indptr)[held_out[:, 0]]
    held_out = held_out[np.cumsum(compared) <= MOST_COMPARISONS]
    against = {
        "exposed": beside_each(held_out, subtract_pairs(interactions.exposed, positives)),
        "unobserved": unobserved_of_each(held_out, positives + interactions.exposed, rng),
    }
    scores = {"popularity": popularity(interactions.train)}
    if with_svd and min(interactions.train.shape) > 1:
        scores["SVD"] = truncated_svd(interactions.train, NUM_FACTORS, seed)
    for scored, score in scores.items():
        for kind, (rows, others) in against.items():
            figures[f"AUC of {scored} against {kind}"] = auc(score, held_out[rows], others)
    return figures


def quantile(degrees: NDArray[np.integer], level: float) -> float:
    """Return a quantile of degrees, interpolated linearly between neighbours."""
    return float(np.quantile(degrees, level))


def gini(degrees: NDArray[np.integer]) -> float:
    """Return the Gini coefficient: 0 where all are equal, near 1 where one has everything."""
    ascending = np.sort(degrees)
    ranks = 2 * np.arange(1, len(degrees) + 1) - len(degrees) - 1
    return float(ranks @ ascending / (len(degrees) * ascending.sum()))


def top_share(degrees: NDArray[np.integer], share: float) -> float:
    """Return the part of all clicks that falls on the largest `share` of items, rounded up."""
    number = int(np.ceil(share * len(degrees)))
    return float(np.sort(degrees)[::-1][:number].sum() / degrees.sum())


def beside_each(
    pairs: NDArray[np.int64], rows: csr_array
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Set every item of the user's row beside each pair.

    Args:
        pairs: int64 [n, 2].
        rows: boolean CSR array [U, I].

    Returns:
        int64 [m] which of the pairs, and int64 [m] an item of `rows` for its user.
    """
    counts = np.diff(rows.indptr)[pairs[:, 0]]
    which = np.repeat(np.arange(len(pairs)), counts)
    place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, rows.indices[rows.indptr[pairs[which, 0]] + place].astype(np.int64)


def unobserved_of_each(
    pairs: NDArray[np.int64], observed: csr_array, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Set one item that is not in the user's row beside each pair, uniformly at random.

    Args:
        pairs: int64 [n, 2]; those of users who observed every item are left out.
        observed: boolean CSR array [U, I].
        rng: consumed.

    Returns:
        int64 [m] which of the pairs, and int64 [m] the item.
    """
    num_items = observed.shape[1]
    keys = keys_of(observed)
    which = np.flatnonzero(np.diff(observed.indptr)[pairs[:, 0]] < num_items)
    items = np.full(len(which), -1, dtype=np.int64)
    while (open_places := np.flatnonzero(items < 0)).size:
        users = pairs[which[open_places], 0]
        proposed = rng.integers(num_items, size=len(open_places))
        free = ~is_among(users * num_items + proposed, keys)
        items[open_places[free]] = proposed[free]
    return which, items


def auc(score: Score, pairs: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    """Return how often pairs [n, 2] score above the items `others` [n] of the same users.

    A tie counts half; every comparison counts alike, so that pairs of users with more items to
    compare with count more. nan for no pair.
    """
    if not len(pairs):
        return float("nan")
    above = 0.0
    for start in range(0, len(pairs), BLOCK_PAIRS):
        users, items = pairs[start : start + BLOCK_PAIRS].T
        difference = score(users, items) - score(users, others[start : start + BLOCK_PAIRS])
        above += float(np.sign(difference).sum())
    return 0.5 + 0.5 * above / len(pairs)


def popularity(train: csr_array) -> Score:
    """Return the score that is an item's number of train positives, the same for all users."""
    degrees = degrees_of_items(train).astype(np.float64)
    return lambda users, items: degrees[items]


def truncated_svd(train: csr_array, num_factors: int, seed: int) -> Score:
    """Return the score of the train matrix's best approximation of a low rank.

    The rank is `num_factors`, or the most that the matrix allows if that is less.
    """
    rank = min(num_factors, min(train.shape) - 1)
    start = np.random.default_rng(seed).standard_normal(min(train.shape))
    factors: Any = svds(train.astype(np.float64), k=rank, v0=start)
    user_rows, item_rows = factors[0] * factors[1], np.ascontiguousarray(factors[2].T)
    return lambda users, items: np.einsum("nd,nd->n", user_rows[users], item_rows[items])
