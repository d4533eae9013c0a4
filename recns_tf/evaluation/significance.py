"""Paired significance tests over users for differences of per-user metrics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Compared = TypeVar("Compared", bound=NamedTuple)

CONFIDENCE = 0.95
DECIMALS = 12
"""Differences are rounded to this many decimals, so that rounding errors count as ties."""


class Difference(NamedTuple):
    """A paired comparison of one metric over the same users.

    Attributes:
        users: number of users.
        mean: mean of first minus second.
        low, high: 95 % confidence interval of the mean, by Student's t distribution.
        t_test: two-sided p value of the paired t-test.
        wilcoxon: two-sided p value of the Wilcoxon signed-rank test; ties are left out.
    """

    users: int
    mean: float
    low: float
    high: float
    t_test: float
    wilcoxon: float


def difference(first: ArrayLike, second: ArrayLike) -> Difference:
    """Compare a metric of the same users under two conditions.

    Args:
        first, second: float [n], the metric of each user, in the same order.

    Raises:
        ValueError: the arrays differ in length or hold non-finite values.

    Example:
        >>> difference([0.5, 0.75], [0.25, 0.5]).mean
        0.25
    """
    values = differences(first, second)
    mean = float(values.mean()) if len(values) else 0.0
    low = high = mean
    if len(values) < 2:
        low, high = -math.inf, math.inf
    elif np.ptp(values):
        interval = stats.ttest_1samp(values, 0).confidence_interval(CONFIDENCE)
        low, high = float(interval.low), float(interval.high)
    t_test, signed_rank = paired_t(first, second), wilcoxon(first, second)
    return Difference(len(values), mean, low, high, t_test, signed_rank)


def differences(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return first minus second, float64 [n], with rounding errors removed.

    Raises:
        ValueError: the arrays differ in length or hold non-finite values.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"values of the same users are needed, not {one.shape} and {other.shape}")
    values = np.round(one - other, DECIMALS)
    if not np.isfinite(values).all():
        raise ValueError("a value is not finite")
    return values


def paired_t(first: ArrayLike, second: ArrayLike) -> float:
    """Return the two-sided p value of the paired t-test.

    It is 1 if there is no difference, or if there are fewer than two users.

    Args:
        first, second: float [n], the metric of each user, in the same order.
    """
    values = differences(first, second)
    if len(values) < 2 or not values.any():
        return 1.0
    if not np.ptp(values):
        return 0.0
    return float(stats.ttest_1samp(values, 0).pvalue)


def wilcoxon(first: ArrayLike, second: ArrayLike) -> float:
    """Return the two-sided p value of the Wilcoxon signed-rank test; 1 without a difference.

    Args:
        first, second: see `paired_t`.
    """
    values = differences(first, second)
    if not values.any():
        return 1.0
    with warnings.catch_warnings():
        # SciPy warns about small samples, whose p values are large anyway.
        warnings.simplefilter("ignore", UserWarning)
        return float(stats.wilcoxon(values[values != 0]).pvalue)


def adjust_p_values(
    family: Sequence[Compared], tests: Sequence[str] = ("t_test", "wilcoxon")
) -> list[Compared]:
    """Return a family of comparisons with p values adjusted by `holm`, separately per test.

    Args:
        family: named tuples, all of one kind.
        tests: the fields that hold p values.
    """
    adjusted = {test: holm([getattr(each, test) for each in family]).tolist() for test in tests}
    return [
        each._replace(**{test: adjusted[test][index] for test in tests})
        for index, each in enumerate(family)
    ]


def format_p_value(p_value: float) -> str:
    """Return a p value as text, with four decimals; a dash for NaN."""
    if math.isnan(p_value):
        return "—"
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.4f}"


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Return p values adjusted for multiple comparisons by Holm's step-down method.

    The smallest of m values is multiplied by m, the next by m - 1, and so on. No adjusted value is
    smaller than the one before it, or larger than 1. Source: S. Holm, "A simple sequentially
    rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.

    Args:
        p_values: values in any order; NaN stands for a test that could not be made, which is not
            one of the m.

    Returns:
        float64 [number of values], in the order of `p_values`; NaN where they are.

    Example:
        >>> holm([0.04, 0.01, 0.03])
        array([0.06, 0.03, 0.06])
    """
    values = np.asarray(p_values, dtype=np.float64)
    # NaN sorts last.
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    adjusted = np.full_like(values, np.nan)
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return adjusted
