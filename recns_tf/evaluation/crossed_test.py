"""A paired test over seeds and users: whether new seeds and new users would show a difference, too.

A test over users alone treats the trained models as fixed, and rejects far too often when training
itself varies. Here the seeds and the users are both random, and crossed: every model serves every
user. Sources: H. H. Clark, "The language-as-fixed-effect fallacy", Journal of Verbal Learning and
Verbal Behavior 12, 1973, for the quasi F ratio over two random factors; B. J. Winer, "Statistical
Principles in Experimental Design", 1971, for its form with a single mean square in the numerator;
F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics
Bulletin 2, 1946, for its degrees of freedom.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from recns_tf.evaluation.significance import DECIMALS


class CrossedTest(NamedTuple):
    """The result of `crossed_t`.

    Attributes:
        mean: mean difference over seeds and users.
        standard_error: of that mean, for new seeds and new users.
        degrees_of_freedom: of the t distribution, by Satterthwaite.
        p_value: two-sided p value.
    """

    mean: float
    standard_error: float
    degrees_of_freedom: float
    p_value: float


UNDEFINED = CrossedTest(math.nan, math.nan, math.nan, math.nan)


def crossed_t(differences: ArrayLike) -> CrossedTest:
    """Test whether a mean difference over S seeds and U users is 0.

    With the mean squares of a two-way layout without replication, the variance of the mean is

        (MS_seeds + MS_users - MS_residual) / (S · U),

    the error term of a quasi F ratio. A component of variance whose estimate is negative,
    MS_seeds - MS_residual or MS_users - MS_residual, counts as 0. The variance is thus never below
    any of the three mean squares over S · U, also when MS_seeds + MS_users is less than
    MS_residual. Clark's ratio adds MS_residual to its numerator instead of subtracting it from the
    error; with the subtraction, the test is a t-test of the mean with a standard error.

    The test is approximate. In simulations at level 0.05 with 100 or 938 users, it rejected true
    null hypotheses in up to 12 % of cases with 2 seeds, in 1 to 8 % with 3, and in 1 to 6 % with 5;
    the low values are those where seeds and users hardly differ.

    Args:
        differences: float [S, U], first minus second; a row is a seed, which both were trained
            with, and a column is a user.

    Returns:
        The test. All its values are NaN with fewer than two seeds or two users, where the variance
        is unknown. If all differences are equal, the p value is 1 if they are 0, and else 0.

    Raises:
        ValueError: the array does not have two dimensions, or holds non-finite values.

    Example:
        >>> test = crossed_t([[0.3, 0.1, 0.2], [0.2, 0.1, 0.3]])
        >>> round(test.mean, 3), round(test.standard_error, 3), round(test.p_value, 3)
        (0.2, 0.05, 0.068)
    """
    unrounded = np.asarray(differences, np.float64)
    values = np.round(unrounded, DECIMALS)
    if values.ndim != 2:
        raise ValueError(f"differences [seeds, users] are needed, not {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("a difference is not finite")
    if min(values.shape) < 2:
        return UNDEFINED
    mean = float(values.mean())
    if not np.ptp(values):
        return CrossedTest(mean, 0.0, math.inf, 0.0 if values.any() else 1.0)
    seeds, users, residual = mean_squares(values)
    error = residual + max(0.0, seeds - residual) + max(0.0, users - residual)
    more_seeds, more_users = (number - 1 for number in values.shape)
    freedom = error**2 / (
        seeds**2 / more_seeds + users**2 / more_users + residual**2 / (more_seeds * more_users)
    )
    standard_error = math.sqrt(error / values.size)
    p_value = 2 * float(stats.t.sf(abs(mean) / standard_error, freedom))
    return CrossedTest(mean, standard_error, freedom, p_value)


def mean_squares(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean squares of seeds, users and residual of float64 [S, U], both at least 2."""
    num_seeds, num_users = values.shape
    of_seeds = values.mean(axis=1, keepdims=True)
    of_users = values.mean(axis=0, keepdims=True)
    mean = values.mean()
    residual = values - of_seeds - of_users + mean
    return (
        float(num_users * np.square(of_seeds - mean).sum() / (num_seeds - 1)),
        float(num_seeds * np.square(of_users - mean).sum() / (num_users - 1)),
        float(np.square(residual).sum() / ((num_seeds - 1) * (num_users - 1))),
    )
