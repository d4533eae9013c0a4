import itertools

import numpy as np
import pytest
from scipy import stats

from recns_tf.evaluation.significance import (
    difference,
    format_p_value,
    holm,
    paired_t,
    wilcoxon,
)


def holm_step_by_step(p_values):
    """Run Holm's procedure; return the smallest level at which it rejects each hypothesis."""

    def rejected(level):
        left = sorted(range(len(p_values)), key=lambda n: p_values[n])
        out = set()
        while left and p_values[left[0]] <= level / len(left):
            out.add(left.pop(0))
        return out

    levels = sorted({min(p * m, 1.0) for p in p_values for m in range(1, len(p_values) + 1)} | {1})
    return [
        next((level for level in levels if n in rejected(level * (1 + 1e-12))), 1.0)
        for n in range(len(p_values))
    ]


def test_holm_matches_the_step_down_procedure():
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 7):
        for _ in range(20):
            p_values = rng.random(size) ** 3
            np.testing.assert_allclose(holm(p_values), holm_step_by_step(p_values.tolist()))
    # 3 x .01, then 2 x .03; .04 is raised to the value before it. Bonferroni would give .12.
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([]).shape == (0,)


def test_holm_leaves_out_tests_that_could_not_be_made():
    found = holm([0.03, np.nan, 0.01, np.nan])
    np.testing.assert_allclose(found, [0.03, np.nan, 0.02, np.nan])
    assert np.isnan(holm([np.nan])).all()


def test_p_values_as_text():
    assert [format_p_value(p) for p in (0.00009, 0.0001, 0.25, np.nan)] == [
        "< 0.0001",
        "0.0001",
        "0.2500",
        "—",
    ]


def test_t_test_and_interval_match_the_formula():
    rng = np.random.default_rng(1)
    first, second = rng.random(50), rng.random(50) + 0.1
    found = difference(first, second)
    values = first - second
    error = values.std(ddof=1) / np.sqrt(50)
    assert found.users == 50 and found.mean == pytest.approx(values.mean())
    assert found.t_test == pytest.approx(2 * stats.t.sf(abs(values.mean() / error), 49))
    half = stats.t.ppf(0.975, 49) * error
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert found.t_test == pytest.approx(stats.ttest_rel(first, second).pvalue)
    unpaired = stats.ttest_ind(first, second).pvalue
    assert abs(found.t_test - unpaired) > 1e-4, "the test must detect an unpaired test"


def test_wilcoxon_matches_the_exact_distribution():
    """Under the null hypothesis, all signs of the ranks are equally likely."""
    values = np.array([0.3, -0.1, 0.7, 0.45, 0.2, -0.05, 0.9])
    ranks = stats.rankdata(np.abs(values))
    statistic = abs((ranks * np.sign(values)).sum())
    chances = [
        abs((ranks * signs).sum()) >= statistic for signs in itertools.product([-1, 1], repeat=7)
    ]
    assert wilcoxon(values, np.zeros(7)) == pytest.approx(np.mean(chances))
    with_zeros = np.concatenate([values, np.zeros(9)])
    assert wilcoxon(with_zeros, np.zeros(16)) == pytest.approx(np.mean(chances))


@pytest.mark.filterwarnings("error")
def test_equal_values_give_p_values_of_1_without_warnings():
    values = np.random.default_rng(2).random(30)
    same = difference(values, values)
    assert same == (30, 0.0, 0.0, 0.0, 1.0, 1.0)
    noisy = difference(values, values + 1e-16)
    assert noisy == (30, 0.0, 0.0, 0.0, 1.0, 1.0)
    thirds = np.array([0.1, 0.2, 0.3] * 10)
    shifted = difference(thirds + 0.1, thirds)
    assert shifted.mean == pytest.approx(0.1) and shifted.t_test == 0.0
    assert shifted.low == pytest.approx(0.1) and shifted.high == pytest.approx(0.1)
    assert shifted.wilcoxon < 1e-5
    single = difference([1.0], [0.5])
    assert single.t_test == single.wilcoxon == 1.0 and single.high == np.inf
    assert difference([], []).t_test == 1.0


def test_arrays_of_different_shapes_are_an_error():
    for first, second in (([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]])):
        with pytest.raises(ValueError, match="of the same users"):
            paired_t(first, second)
    with pytest.raises(ValueError, match="not finite"):
        wilcoxon([np.nan, 1.0], [0.0, 0.0])
