"""Statistics of a dataset that can be compared with those of Zhihu.

Degrees count the positives of all splits. AUCs measure how hard negatives are: how often a
held-out positive is scored above an exposed item of its user, or above an unobserved one.
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
"""Maps users, int64 [n], and items, int64 [n], to scores, float64 [n]."""

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
EXPOSED_RATIO = "exposed pairs per positive"
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
"""The same statistics of Zhihu, measured on the data published by its authors."""
AUC_TARGETS = {
    "AUC of popularity against exposed": "about 0.60",
    "AUC of popularity against unobserved": "0.70-0.87",
    "AUC of SVD against exposed": "0.60-0.66",
    "AUC of SVD against unobserved": "0.70-0.87",
}
"""Target ranges of the AUCs for data like Zhihu. Those of Zhihu itself were not measured."""


def closeness(
    interactions: Interactions, *, max_pairs: int = 20_000, seed: int = 0, with_svd: bool = True
) -> dict[str, float]:
    """Return the statistics named in ZHIHU, and the AUCs of a dataset.

    Args:
        interactions: the dataset.
        max_pairs: maximum number of held-out pairs for the AUCs.
        seed: seed of the sampled pairs, of the unobserved items and of the SVD.
        with_svd: whether to compute AUCs of a truncated SVD as well, the slowest part.

    Returns:
        Values by name, in display order; an AUC over no pairs is NaN.
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
    """Return a quantile of degrees, linearly interpolated."""
    return float(np.quantile(degrees, level))


def gini(degrees: NDArray[np.integer]) -> float:
    """Return the Gini coefficient: 0 if all degrees are equal, near 1 if one item has them all."""
    ascending = np.sort(degrees)
    ranks = 2 * np.arange(1, len(degrees) + 1) - len(degrees) - 1
    return float(ranks @ ascending / (len(degrees) * ascending.sum()))


def top_share(degrees: NDArray[np.integer], share: float) -> float:
    """Return the share of all clicks on the most popular items.

    Args:
        degrees: integer [I], clicks per item.
        share: fraction of the items, rounded up to a whole number of items.
    """
    number = int(np.ceil(share * len(degrees)))
    return float(np.sort(degrees)[::-1][:number].sum() / degrees.sum())


def beside_each(
    pairs: NDArray[np.int64], rows: csr_array
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Combine each pair with every item in its user's row.

    Args:
        pairs: int64 [n, 2], users and items.
        rows: boolean CSR array [U, I].

    Returns:
        Indices into `pairs`, int64 [m], and an item of the user's row for each, int64 [m].
    """
    counts = np.diff(rows.indptr)[pairs[:, 0]]
    which = np.repeat(np.arange(len(pairs)), counts)
    place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, rows.indices[rows.indptr[pairs[which, 0]] + place].astype(np.int64)


def unobserved_of_each(
    pairs: NDArray[np.int64], observed: csr_array, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Combine each pair with one unobserved item of its user, drawn uniformly.

    Args:
        pairs: int64 [n, 2], users and items. Pairs of users who observed every item are dropped.
        observed: boolean CSR array [U, I].
        rng: generator to draw from.

    Returns:
        Indices into `pairs`, int64 [m], and an item for each, int64 [m].
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
    """Return the share of comparisons in which the item of a pair scores above another item.

    Ties count one half. All comparisons have equal weight.

    Args:
        score: returns scores of users and items.
        pairs: int64 [n, 2], users and items.
        others: int64 [n], the item to compare each pair with.

    Returns:
        The AUC, from 0 to 1; NaN without pairs.
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
    """Return a score function: the number of train positives of an item, for every user."""
    degrees = degrees_of_items(train).astype(np.float64)
    return lambda users, items: degrees[items]


def truncated_svd(train: csr_array, num_factors: int, seed: int) -> Score:
    """Return a score function: the truncated SVD of the train matrix.

    Args:
        train: boolean CSR array [U, I].
        num_factors: rank; reduced to min(U, I) - 1 if that is less.
        seed: seed of the start vector.
    """
    rank = min(num_factors, min(train.shape) - 1)
    start = np.random.default_rng(seed).standard_normal(min(train.shape))
    factors: Any = svds(train.astype(np.float64), k=rank, v0=start)
    user_rows, item_rows = factors[0] * factors[1], np.ascontiguousarray(factors[2].T)
    return lambda users, items: np.einsum("nd,nd->n", user_rows[users], item_rows[items])
