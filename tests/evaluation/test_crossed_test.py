"""The test over seeds and users: its formula, its size and power, and its limits."""

import math

import numpy as np
import pytest
from scipy import stats

from recns_tf.evaluation.crossed_test import UNDEFINED, crossed_t, mean_squares
from recns_tf.evaluation.significance import paired_t

WORLDS = 1_000
"""Simulated tables per test."""


def simulated(rng, shape, of_seeds, of_users=0.2, mean=0.0):
    """Return differences with these deviations between seeds and users; that of the rest is 1."""
    seeds = of_seeds * rng.normal(size=(shape[0], 1))
    users = of_users * rng.normal(size=(1, shape[1]))
    return mean + seeds + users + rng.normal(size=shape)


def users_only(values):
    """Return the p value of the test that averages over seeds and ignores that they vary."""
    return paired_t(values.mean(axis=0), np.zeros(values.shape[1]))


def rejections(test, shape, **world):
    """Return how many simulated tables a test rejects at the level .05."""
    rng = np.random.default_rng(0)
    return sum(test(simulated(rng, shape, **world)) < 0.05 for _ in range(WORLDS))


def p_value(values):
    return crossed_t(values).p_value


def test_mean_squares_match_sums_over_cells():
    values = np.random.default_rng(1).normal(size=(4, 7))
    mean = values.sum() / 28
    rows = [row.sum() / 7 for row in values]
    columns = [column.sum() / 4 for column in values.T]
    seeds = users = rest = 0.0
    for s in range(4):
        for u in range(7):
            seeds += (rows[s] - mean) ** 2
            users += (columns[u] - mean) ** 2
            rest += (values[s, u] - rows[s] - columns[u] + mean) ** 2
    assert seeds + users + rest == pytest.approx(((values - mean) ** 2).sum())
    assert mean_squares(values) == pytest.approx((seeds / 3, users / 6, rest / 18))


def test_a_table_computed_by_hand():
    """Rows have the means 2 and 4, columns 1, 3 and 5; the rest is ±1, ∓1 and 0."""
    values = [[1, 1, 4], [1, 5, 6]]
    seeds, users, rest = 6.0, 8.0, 2.0
    assert mean_squares(np.array(values, float)) == pytest.approx((seeds, users, rest))
    found = crossed_t(values)
    freedom = 12**2 / (6**2 / 1 + 8**2 / 2 + 2**2 / 2)
    assert found.mean == pytest.approx(3) and found.degrees_of_freedom == pytest.approx(freedom)
    assert found.standard_error == pytest.approx(math.sqrt(12 / 6))
    expected = 2 * stats.t.sf(3 / math.sqrt(12 / 6), freedom)
    assert found.p_value == pytest.approx(expected)


def test_size_where_seeds_vary_and_a_test_over_users_rejects_too_often():
    world = {"shape": (5, 100), "of_seeds": 0.2}
    low, high = stats.binom.ppf([0.0005, 0.9995], WORLDS, 0.05)
    assert low <= rejections(p_value, **world) <= high
    assert rejections(users_only, **world) > 4 * high, "mutant: seeds as if they did not vary"


def test_size_is_at_most_nominal_where_seeds_do_not_vary():
    most = stats.binom.ppf(0.9995, WORLDS, 0.05)
    assert rejections(p_value, (5, 100), of_seeds=0.0) <= most
    # Users that differ much and seeds that do not: the test is as good as the one over users.
    world = {"shape": (5, 100), "of_seeds": 0.0, "of_users": 2.0}
    assert abs(rejections(p_value, **world) - rejections(users_only, **world)) <= 0.01 * WORLDS


def test_power_grows_with_the_difference_and_with_seeds():
    of = {"of_seeds": 0.1}
    small = rejections(p_value, (5, 100), mean=0.15, **of)
    large = rejections(p_value, (5, 100), mean=0.4, **of)
    assert large > 0.99 * WORLDS and small < large
    assert rejections(p_value, (15, 100), mean=0.15, **of) > small + 0.2 * WORLDS


def test_order_of_seeds_and_users_and_sign_do_not_matter():
    rng = np.random.default_rng(2)
    values = simulated(rng, (4, 30), of_seeds=0.1, of_users=1.0, mean=0.3)
    found = crossed_t(values)
    mixed = values[rng.permutation(4)][:, rng.permutation(30)]
    assert crossed_t(mixed) == pytest.approx(found)
    assert crossed_t(-values) == pytest.approx(found._replace(mean=-found.mean))
    assert crossed_t(100 * values).p_value == pytest.approx(found.p_value)
    # Seeds and users have the same part in the test.
    assert crossed_t(values.T) == pytest.approx(found)
    apart = np.array([rng.permutation(row) for row in values])
    assert abs(crossed_t(apart).p_value - found.p_value) > 1e-3, "users must be aligned"


def test_no_mean_square_exceeds_the_variance():
    """Seeds that balance each other have a residual larger than the sum of the other two."""
    values = np.array([[1.0, -1.0, 1.2, -0.9], [-0.9, 1.1, -1.0, 1.0]])
    seeds, users, rest = mean_squares(values)
    assert seeds + users < rest
    found = crossed_t(values)
    assert found.standard_error == pytest.approx(math.sqrt(rest / 8)) and found.p_value > 0.5
    rng = np.random.default_rng(3)
    for _ in range(200):
        values = simulated(rng, (3, 10), of_seeds=0.3)
        error = crossed_t(values).standard_error ** 2 * 30
        seeds, users, rest = mean_squares(values)
        assert error == pytest.approx(max(seeds + users - rest, seeds, users, rest))


def test_equal_seeds_give_the_test_over_users():
    users = np.random.default_rng(4).normal(0.3, 1, 40)
    assert crossed_t([users] * 3).p_value == pytest.approx(users_only(np.array([users])))


def test_a_mean_of_0_is_never_significant():
    rng = np.random.default_rng(5)
    for _ in range(200):
        values = rng.normal(size=(2, 200))
        assert p_value(values - values.mean()) > 0.99


def test_undefined_and_constant_differences():
    for shape in ((1, 5), (5, 1), (0, 5), (5, 0)):
        assert all(math.isnan(value) for value in crossed_t(np.ones(shape))), shape
    assert all(math.isnan(value) for value in UNDEFINED)
    assert crossed_t(np.zeros((3, 4))) == (0.0, 0.0, math.inf, 1.0)
    assert p_value(np.full((3, 4), 1e-16)) == 1.0, "rounding errors are no difference"
    assert crossed_t(np.full((3, 4), -0.5)) == (-0.5, 0.0, math.inf, 0.0)


def test_malformed_differences_are_an_error():
    with pytest.raises(ValueError, match=r"\[seeds, users\] are needed, not \(3,\)"):
        crossed_t([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="not finite"):
        crossed_t([[1.0, np.nan], [2.0, 3.0]])
