"""EASE against ridge regressions, and the memory it takes."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.baselines import ease
from recns_tf.baselines.fit import select
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.errors import UserError
from tests.conftest import make_toy

ALL_USERS = np.arange(40)
RNG = np.random.default_rng(4)


def regressions(x, l2):
    """Return B: column j is the ridge regression of item j on all other items, as in eq. (8)."""
    num_items = x.shape[1]
    found = np.zeros((num_items, num_items))
    for j in range(num_items):
        others = np.delete(np.arange(num_items), j)
        a = x[:, others]
        found[others, j] = np.linalg.solve(a.T @ a + l2 * np.eye(num_items - 1), a.T @ x[:, j])
    return found


@pytest.mark.parametrize("l2", [0.5, 30])
@pytest.mark.parametrize("block", [1, 7, 60, 1000])
def test_ease_is_the_constrained_ridge_regression(toy, monkeypatch, l2, block):
    """Whatever the size of the blocks that the matrix is filled and mirrored in."""
    monkeypatch.setattr(ease, "MIRRORED", block)
    monkeypatch.setattr("recns_tf.evaluation.scored_lists.BLOCK_BYTES", 8 * 60 * block)
    x = toy.train.toarray().astype(float)
    expected = regressions(x, l2)
    (fit,) = ease.fits(toy.train, BaselineSettings(ease_l2=str(l2)))
    assert fit.settings == {"ease_l2": l2}
    np.testing.assert_allclose(fit.scores(ALL_USERS), x @ expected, atol=1e-10)
    np.testing.assert_allclose(fit.scores(np.array([7, 3])), (x @ expected)[[7, 3]], atol=1e-10)


def test_weights_are_in_rows_with_a_zero_diagonal(toy):
    x = csr_array(toy.train.astype(float))
    found = ease.weights(x, 2.0)
    np.testing.assert_allclose(found, regressions(x.toarray(), 2.0), atol=1e-12)
    assert not found.diagonal().any()
    # SciPy would copy a matrix in columns each time that it multiplies by it.
    assert found.flags.c_contiguous


def test_each_fit_has_its_own_weights_in_any_order(toy):
    x = toy.train.toarray().astype(float)
    fits = {fit.settings["ease_l2"]: fit for fit in ease.fits(toy.train, grid("9,1,3"))}
    assert list(fits) == [1, 3, 9]
    for l2 in (3, 1, 9, 9, 1):
        expected = x @ regressions(x, l2)
        np.testing.assert_allclose(fits[l2].scores(ALL_USERS), expected, atol=1e-10)


def grid(l2, **limits):
    return BaselineSettings(ease_l2=l2, **limits)


def count_inversions(monkeypatch):
    made = []
    weights = ease.weights
    monkeypatch.setattr(ease, "weights", lambda x, l2: made.append(l2) or weights(x, l2))
    return made


@pytest.mark.parametrize("best", [1, 3, 9])
def test_only_the_best_fit_is_computed_again(toy, toy_config, monkeypatch, best):
    made = count_inversions(monkeypatch)

    def valid(fit, *_):
        fit.scores(ALL_USERS)
        return {toy_config.selection_metric: float(fit.settings["ease_l2"] == best)}, None

    monkeypatch.setattr("recns_tf.baselines.fit.evaluate_part", valid)
    fit, _ = select(ease.fits(toy.train, grid("1,3,9")), toy, toy_config)
    assert made == [1, 3, 9], "scores of the fit in memory need no inversion"
    assert fit.settings == {"ease_l2": best}
    fit.scores(ALL_USERS)
    fit.scores(ALL_USERS)
    assert made == ([1, 3, 9] if best == 9 else [1, 3, 9, best])


def test_one_matrix_is_in_memory(monkeypatch):
    """Also while one λ follows another, and while users are scored."""
    num_items = 700
    x = csr_array(RNG.random((30, num_items)) < 0.1)
    monkeypatch.setattr("recns_tf.evaluation.scored_lists.BLOCK_BYTES", 8 * num_items * 16)
    monkeypatch.setattr(ease, "MIRRORED", 16)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        fits = list(ease.fits(x, grid("1,2,3")))
        for fit in fits:
            fit.scores(np.arange(3))
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert 1 <= peak / (8 * num_items**2) < 1.25


def test_catalogs_that_exceed_the_memory_limit_are_refused(monkeypatch):
    wide = csr_array((3, 40_000), dtype=bool)
    with pytest.raises(UserError, match=r"ease needs 12\.8 GB .* 31,622 items at most"):
        ease.fits(wide, BaselineSettings())
    monkeypatch.setattr(ease, "available_bytes", lambda: 12_799_999_999)
    with pytest.raises(UserError, match=r"ease needs 12\.8 GB .* 12\.8 GB of memory are available"):
        ease.fits(wide, grid("1", ease_memory=13))
    monkeypatch.setattr(ease, "available_bytes", lambda: 12_800_000_000)
    ease.fits(wide, grid("1", ease_memory=12.8))


def test_long_inversions_are_announced(monkeypatch, capsys):
    toy = make_toy()
    ease.weights(csr_array(toy.train.astype(float)), 2.0)
    assert not capsys.readouterr().err
    monkeypatch.setattr(ease, "MANY", 60)
    ease.weights(csr_array(toy.train.astype(float)), 2.5)
    said = capsys.readouterr().err
    assert said == "ease_l2 2.5: inverting a matrix of 60 x 60 items (0.0 MB)\n"


def test_a_penalty_that_leaves_the_matrix_singular_is_an_error():
    twins = csr_array(np.array([[1, 1, 0], [1, 1, 1], [1, 1, 0]], dtype=bool))
    fits = ease.fits(twins, grid("1e-20"))
    with pytest.raises(UserError, match=r"^--ease_l2=1e-20 is too small to invert .* larger"):
        next(fits)
