"""Paired tests over users: whether a difference of per-user metrics may be chance."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
DECIMALS = 12
"""Differences are rounded to so many: what arithmetic leaves of an equality is none."""


class Difference(NamedTuple):
    """How two ways compare over the same users.

    Attributes:
        users: how many.
        mean: of first less second.
        low, high: its 95 % interval, by Student's t distribution.
        t_test: two-sided p value of the paired t-test.
        wilcoxon: two-sided p value of the Wilcoxon signed-rank test, users without a
            difference left out.
    """

    users: int
    mean: float
    low: float
    high: float
    t_test: float
    wilcoxon: float


def difference(first: ArrayLike, second: ArrayLike) -> Difference:
    """Return how first less second comes out over users.

    Args:
        first, second: float [n], a metric of each user, in the same order.

    Raises:
        ValueError: as `differences`.
    """
    gaps = differences(first, second)
    mean = float(gaps.mean()) if len(gaps) else 0.0
    low = high = mean
    if len(gaps) < 2:
        low, high = -math.inf, math.inf
    elif np.ptp(gaps):
        interval = stats.ttest_1samp(gaps, 0).confidence_interval(CONFIDENCE)
        low, high = float(interval.low), float(interval.high)
    return Difference(len(gaps), mean, low, high, paired_t(first, second), wilcoxon(first, second))


def differences(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return first less second, float64 [n], without what arithmetic leaves of equalities.

    Raises:
        ValueError: the two differ in length, or hold anything but finite numbers.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"values of the same users are needed, not {one.shape} and {other.shape}")
    gaps = np.round(one - other, DECIMALS)
    if not np.isfinite(gaps).all():
        raise ValueError("a value is not finite")
    return gaps


def paired_t(first: ArrayLike, second: ArrayLike) -> float:
    """Return the two-sided p value of the paired t-test; 1 where there is no difference.

    Args:
        first, second: float [n], a metric of each user, in the same order. Fewer than two users
            tell nothing: 1.
    """
    gaps = differences(first, second)
    if len(gaps) < 2 or not gaps.any():
        return 1.0
    if not np.ptp(gaps):
        return 0.0
    return float(stats.ttest_1samp(gaps, 0).pvalue)


def wilcoxon(first: ArrayLike, second: ArrayLike) -> float:
    """Return the two-sided p value of the Wilcoxon signed-rank test; 1 without a difference.

    Args:
        first, second: as of `paired_t`.
    """
    gaps = differences(first, second)
    if not gaps.any():
        return 1.0
    with warnings.catch_warnings():
        # SciPy would have more users than there are; the p value of few is large anyway.
        warnings.simplefilter("ignore", UserWarning)
        return float(stats.wilcoxon(gaps[gaps != 0]).pvalue)


def adjusted(found: Sequence[Difference]) -> list[Difference]:
    """Return differences that are looked at together, p values adjusted by `holm`."""
    t_tests = holm([each.t_test for each in found])
    wilcoxons = holm([each.wilcoxon for each in found])
    return [
        each._replace(t_test=float(t_test), wilcoxon=float(wilcoxon))
        for each, t_test, wilcoxon in zip(found, t_tests, wilcoxons, strict=True)
    ]


def format_p_value(p_value: float) -> str:
    """Return a p value for people."""
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.4f}"


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Return p values adjusted for being looked at together; their order stays.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none becomes smaller than
    one before it, or larger than 1. Source: S. Holm, "A simple sequentially rejective multiple
    test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
    adjusted = np.empty_like(values)
    factors = np.arange(len(values), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return adjusted
