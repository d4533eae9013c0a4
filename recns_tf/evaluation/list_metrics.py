"""Metrics of all lists of a part of the data together.

With c(i) the number of lists whose first K places hold item i, over all I items of the catalog:

    Coverage@K = |{i: c(i) > 0}| / I
    Gini@K = Σ_j (2 j - I - 1) c_j / (I Σ_j c_j), with c_1 ≤ … ≤ c_I the sorted counts
    Popularity@K = mean over users of the mean number of train positives of their listed items

Source: ItemCoverage, GiniIndex and AveragePopularity in RecBole (recbole/evaluator/metrics.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recns_tf.evaluation.metrics import NO_ITEM


def list_metrics(
    top: NDArray[np.int64],
    ks: Sequence[int],
    num_items: int,
    degrees: NDArray[np.integer] | None = None,
) -> dict[str, float]:
    """Return coverage, Gini index and, with `degrees`, popularity of some lists at every K.

    Args:
        top: int64 [n, L], items in rank order; NO_ITEM pads short lists.
        ks: values of K, at most L.
        num_items: number of items, I.
        degrees: integer [I], the number of train positives of each item.

    Returns:
        A dict of "coverage@K" and "gini@K", from 0 to 1, and "popularity@K", at least 0. Lists
        without an item have no part in the popularity. All are 0 if no list has an item.

    Example:
        >>> list_metrics(np.array([[0], [0]]), [1], num_items=2)
        {'coverage@1': 0.5, 'gini@1': 0.5}
    """
    found: dict[str, float] = {}
    for k in ks:
        short = top[:, :k]
        listed = short != NO_ITEM
        counts = np.bincount(short[listed], minlength=num_items)
        found[f"coverage@{k}"] = int((counts > 0).sum()) / num_items
        found[f"gini@{k}"] = gini(counts)
        if degrees is not None:
            found[f"popularity@{k}"] = popularity(short, listed, degrees)
    return found


def gini(counts: NDArray[np.integer]) -> float:
    """Return the Gini index of counts, integer [n]: 0 if all are equal, or all are 0.

    It is (n - 1) / n, its largest value, if a single count is not 0.
    """
    total = int(counts.sum())
    places = np.arange(1, len(counts) + 1)
    weighted = int(((2 * places - len(counts) - 1) * np.sort(counts)).sum())
    return weighted / (len(counts) * total) if total else 0.0


def popularity(
    short: NDArray[np.int64], listed: NDArray[np.bool_], degrees: NDArray[np.integer]
) -> float:
    """Return the mean over lists of the mean degree of their items; 0 if all are empty.

    Args:
        short: int64 [n, K], the lists.
        listed: bool [n, K], False for padding.
        degrees: integer [I], the degree of each item.
    """
    lengths = listed.sum(axis=1)
    # Padding, -1, reads the last item's degree, which the mask then removes.
    sums = np.where(listed, degrees[short], 0).sum(axis=1)
    full = lengths > 0
    return float((sums[full] / lengths[full]).mean()) if full.any() else 0.0
