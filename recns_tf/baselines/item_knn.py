"""ItemKNN: score items by their cosine similarity to the user's items.

The score of an item i is the sum of sim(j, i) over those of the user's items j that are neighbors:
among the k nearest items of i (B. Sarwar et al., "Item-Based Collaborative Filtering Recommendation
Algorithms", WWW 2001), or such that i is among the k nearest items of j (M. Deshpande and G.
Karypis, "Item-Based Top-N Recommendation Algorithms", ACM TOIS 22(1), 2004, Figures 2 and 3).
Similarities are not normalized further. They are

    sim(j, i) = |U_j ∩ U_i| / (sqrt(|U_j| |U_i|) + shrink),

the cosine of Deshpande and Karypis with the shrinkage of R. Bell and Y. Koren, "Improved
Neighborhood-based Collaborative Filtering", KDD Cup 2007, in the denominator.

With --itemknn_scores=deviations, the score is a prediction of the rating instead, 1 for an item of
the user and 0 for any other, from item means m (H. Ma et al., "Effective Missing Data Prediction
for Collaborative Filtering", SIGIR 2007, as in BARS' ItemCF):

    m_i + sum over neighbors j of sim(j, i) (x_uj - m_j) / sum over neighbors j of sim(j, i).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.baselines.base import Fit, Scorer, binary
from recns_tf.baselines.settings import BaselineSettings, numbers
from recns_tf.evaluation.scored_lists import blocks
from recns_tf.interactions import degrees_of_items


def fits(train: csr_array, settings: BaselineSettings) -> Iterator[Fit]:
    """Yield one fit per shrinkage and number of neighbors. See Baseline."""
    positives = binary(train)
    sizes = sorted({int(number) for number in numbers(settings.itemknn_neighbors)})
    for shrink in sorted(set(numbers(settings.itemknn_shrink))):
        nearest, similarity = neighbors(positives, shrink, sizes[-1])
        for size in sizes:
            table = to_sparse(nearest[:, :size], similarity[:, :size])
            if settings.itemknn_lists == "scored":
                table = csr_array(table.T)
            offsets = np.zeros(positives.shape[1])
            if settings.itemknn_scores == "deviations":
                table, offsets = deviations(positives, table)
            yield Fit(
                {"itemknn_neighbors": size, "itemknn_shrink": shrink},
                scorer(positives, table, offsets),
            )


def neighbors(
    positives: csr_array, shrink: float, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the k nearest other items of each item, nearest first; ties go to the lower item.

    Args:
        positives: X, float64 CSR array [U, I].
        shrink: added to the denominator of the similarity.
        k: number of neighbors.

    Returns:
        Items, int64 [I, min(k, I)], and their similarities, float64 of the same shape. A
        similarity of 0 marks padding.
    """
    num_items = positives.shape[1]
    k = min(k, num_items)
    roots = np.sqrt(degrees_of_items(positives))
    by_item = csr_array(positives.T)
    nearest = np.zeros((num_items, k), dtype=np.int64)
    similarity = np.zeros((num_items, k))
    for block in blocks(num_items, num_items):
        rows = (by_item[block] @ positives).toarray()
        # Without common users the numerator is 0, so that any positive denominator will do.
        rows /= np.maximum(roots[block, None] * roots + shrink, np.finfo(np.float64).tiny)
        rows[np.arange(len(block)), block] = 0.0
        nearest[block] = np.argsort(-rows, axis=1, kind="stable")[:, :k]
        similarity[block] = np.take_along_axis(rows, nearest[block], axis=1)
    return nearest, similarity


def to_sparse(nearest: NDArray[np.int64], similarity: NDArray[np.float64]) -> csr_array:
    """Return neighbor lists [I, k] as a CSR array [I, I] with one row per item."""
    num_items, k = nearest.shape
    rows = np.repeat(np.arange(num_items), k)
    table = csr_array((similarity.ravel(), (rows, nearest.ravel())), shape=(num_items, num_items))
    table.eliminate_zeros()
    return table


def deviations(positives: csr_array, table: csr_array) -> tuple[csr_array, NDArray[np.float64]]:
    """Return the table and the offsets of scores that are mean deviations from item means.

    Args:
        positives: X, float64 CSR array [U, I].
        table: similarities of neighbors, as in `scorer`.

    Returns:
        The table divided by its column sums, and the offset of each item, float64 [I]. An item
        without neighbors has its mean.
    """
    means = degrees_of_items(positives) / positives.shape[0]
    totals = np.asarray(table.sum(axis=0))
    divisors = np.where(totals > 0, totals, 1.0)
    return csr_array(table / divisors), means - (means @ table) / divisors


def scorer(positives: csr_array, table: csr_array, offsets: NDArray[np.float64]) -> Scorer:
    """Return a scorer: rows of X times the table, plus the offsets.

    Args:
        positives: X, float64 CSR array [U, I].
        table: CSR array [I, I] with sim(j, i) in row j and column i for neighbors.
        offsets: float64 [I].
    """

    def scores(users: NDArray[np.integer]) -> NDArray[np.float64]:
        return np.asarray((positives[users] @ table).toarray()) + offsets

    return scores
