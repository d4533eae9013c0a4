import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recns_tf.datasets.synthetic import preferences, weighted_sampling
from recns_tf.datasets.synthetic.generate import PRESETS
from recns_tf.datasets.synthetic.preferences import Shape, sample_preference_model
from recns_tf.datasets.synthetic.weighted_sampling import Rates

SHAPE = Shape(1_500, 4_000, 80_000, 92_000)


@pytest.fixture(scope="module")
def model():
    return sample_preference_model(SHAPE, np.random.SeedSequence(0))


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30), st.integers(0, 3), st.floats(0, 1))
def test_scaled_integers_have_the_requested_sum_and_bounds(sizes, low, at):
    sizes = np.array(sizes)
    high = np.arange(len(sizes)) % 4 + 3.0
    total = int(len(sizes) * low + at * (high.sum() - len(sizes) * low))
    shares = preferences.scale_to_integers(sizes, total, np.full(len(sizes), float(low)), high)
    assert shares.sum() == total
    assert np.all(shares >= low) and np.all(shares <= high)
    exact = preferences.scale_to_sum(sizes, total, np.full(len(sizes), float(low)), high)
    assert np.abs(shares - exact).max() < 1 + 1e-9


def test_sums_are_exact_and_item_targets_match_zhihu(model):
    assert model.clicks.sum() == 80_000 and model.exposures.sum() == 92_000
    assert model.clicks.min() >= 1
    assert np.all(model.clicks + model.exposures <= 4_000)
    zhihu = preferences.target_item_degrees(PRESETS["zhihu"])
    assert zhihu.sum() == pytest.approx(3_284_734)
    for level, degree in zip(preferences.ITEM_LEVELS, preferences.ITEM_DEGREES, strict=True):
        assert np.quantile(zhihu, level) == pytest.approx(degree, rel=0.06)


def test_user_degrees_are_log_normal():
    clicks = sample_preference_model(
        Shape(20_000, 500, 1_000_000, 0), np.random.SeedSequence(1)
    ).clicks
    logs = np.log(clicks)
    assert logs.std() == pytest.approx(preferences.USER_SIGMA, rel=0.02)
    assert np.median(clicks) == pytest.approx(
        50 * np.exp(-(preferences.USER_SIGMA**2) / 2), rel=0.04
    )


def test_distribution_of_tastes_and_traits(model):
    rates = model.click_rates
    np.testing.assert_allclose(np.linalg.norm(rates.tastes, axis=1), 1)
    assert np.abs(rates.tastes.mean(axis=0)).max() < 0.06
    assert rates.traits.std() == pytest.approx(1, abs=0.03)
    assert rates.strength == 1.25 and rates.tastes.shape == (1_500, 4)
    shown = model.exposure_rates
    np.testing.assert_allclose(shown.weights, rates.weights**0.85)
    assert shown.strength == 0.75 * 1.25
    assert shown.tastes is rates.tastes and shown.traits is rates.traits


def test_weights_are_shuffled(model):
    targets = np.log(model.click_rates.weights)
    assert abs(np.corrcoef(targets, np.arange(len(targets)))[0, 1]) < 0.06
    assert (np.diff(targets) > 0).mean() == pytest.approx(0.5, abs=0.04)


def test_expected_degrees_match_sampled_degrees():
    num_users, num_items = 6_000, 1_500
    rng = np.random.default_rng(0)
    weights, traits = rng.lognormal(0, 1.5, num_items), rng.normal(size=(num_items, 4))
    tastes = rng.normal(size=(num_users, 4))
    tastes /= np.linalg.norm(tastes, axis=1, keepdims=True)
    clicks = rng.integers(20, 100, num_users)
    keys = weighted_sampling.weighted_sampling_without_replacement(
        Rates(weights, tastes, traits, 1.25), clicks, rng
    )
    found = np.bincount(keys % num_items, minlength=num_items)
    expected = preferences.expected_degrees(weights, 1.25 * np.linalg.norm(traits, axis=1), clicks)
    often = expected > 100
    assert often.sum() > 300
    assert np.sqrt(np.mean(np.log(found[often] / expected[often]) ** 2)) < 0.08
    assert expected.sum() == pytest.approx(clicks.sum(), rel=1e-3)


def test_calibrated_weights_reach_the_target_degrees():
    rng = np.random.default_rng(0)
    targets = preferences.target_item_degrees(SHAPE)
    scales = 1.25 * np.linalg.norm(rng.normal(size=(4_000, 4)), axis=1)
    clicks = rng.lognormal(3.8, 0.6, SHAPE.num_users).astype(np.int64)
    targets *= clicks.sum() / targets.sum()

    def error(weights):
        expected = preferences.expected_degrees(weights, scales, clicks)
        return np.sqrt(np.mean(np.log(expected / targets) ** 2))

    assert error(targets) > 0.3
    assert error(preferences.calibrate_weights(targets, scales, clicks)) < 0.01


def test_expected_degrees_of_a_model_match_the_targets(model):
    """The length of an item's trait has no effect."""
    rates = model.click_rates
    scales = rates.strength * np.linalg.norm(rates.traits, axis=1)
    expected = preferences.expected_degrees(rates.weights, scales, model.clicks)
    np.testing.assert_allclose(np.sort(expected), preferences.target_item_degrees(SHAPE), rtol=0.1)
    assert abs(np.corrcoef(np.log(expected), scales)[0, 1]) < 0.05


@pytest.mark.parametrize(
    "shape",
    [
        Shape(1, 1, 1, 0),
        Shape(3, 4, 12, 0),
        Shape(3, 4, 3, 9),
        Shape(5, 2, 6, 4),
        Shape(2, 9, 2, 0),
    ],
)
def test_extreme_shapes(shape):
    model = sample_preference_model(shape, np.random.SeedSequence(0))
    assert model.clicks.sum() == shape.num_clicks and model.exposures.sum() == shape.num_exposures
    assert np.isfinite(model.click_rates.weights).all()
