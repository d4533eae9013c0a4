import dataclasses

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.analysis.statistics import (
    GINI,
    TOP_SHARE,
    ZHIHU,
    auc,
    beside_each,
    closeness,
    unobserved_of_each,
)
from recns_tf.config.config import Config
from recns_tf.datasets.preprocessing.log import to_interactions
from recns_tf.datasets.preprocessing.rules import Rules
from recns_tf.datasets.synthetic import generate as generate_module
from recns_tf.datasets.synthetic import preferences
from recns_tf.datasets.synthetic.generate import PRESETS, generate
from recns_tf.datasets.synthetic.preferences import Shape
from recns_tf.errors import UserError
from recns_tf.interactions import to_pairs

SCALED = Shape(2_000, 5_500, 51_000 * 2, 59_000 * 2)


def keys_of_log(log):
    return log.users.astype(np.int64) * len(log.item_ids) + log.items


def equal(one, other):
    return np.array_equal(one.users, other.users) and np.array_equal(one.items, other.items)


@pytest.fixture(scope="module")
def small():
    return generate(PRESETS["small"], 0)


@pytest.fixture(scope="module")
def scaled():
    log = generate(SCALED, 0)
    return to_interactions(log, "scaled", Rules(), {})[0]


@pytest.mark.parametrize(
    "shape",
    [
        PRESETS["small"],
        Shape(1, 1, 1, 0),
        Shape(3, 4, 12, 0),
        Shape(6, 5, 10, 20),
        Shape(40, 30, 900, 200),
        Shape(30, 40, 30, 1_000),
    ],
)
def test_counts_are_exact_and_pairs_are_distinct(shape):
    log = generate(shape, 3)
    assert log.positive.dtype == bool and log.times is None
    assert log.users.dtype == log.items.dtype == np.int32
    assert int(log.positive.sum()) == shape.num_clicks
    assert int((~log.positive).sum()) == shape.num_exposures
    assert len(np.unique(keys_of_log(log))) == shape.num_clicks + shape.num_exposures
    np.testing.assert_array_equal(log.user_ids, np.arange(shape.num_users))
    np.testing.assert_array_equal(log.item_ids, np.arange(shape.num_items))
    assert log.user_ids.dtype == log.item_ids.dtype == np.int64
    clicks = np.bincount(log.users[log.positive], minlength=shape.num_users)
    assert clicks.min() >= 1
    _, counts = to_interactions(log, "x", Rules(), {})
    assert counts.conflicts == counts.repeated_positives == counts.repeated_exposures == 0
    assert counts.rows == shape.num_clicks + shape.num_exposures


def test_log_is_a_function_of_the_seed(small):
    np.random.seed(1)
    assert equal(small, generate(PRESETS["small"], 0))
    assert not equal(small, generate(PRESETS["small"], 1))


def test_clicks_depend_on_preference_and_popularity():
    """True preferences rank clicks above exposures, and exposures above all other items."""
    shape, rng = PRESETS["small"], np.random.default_rng(0)
    log = generate(shape, 0)
    rates = preferences.sample_preference_model(
        shape, np.random.SeedSequence(0).spawn(3)[0]
    ).click_rates
    data, _ = to_interactions(log, "x", Rules(), {})

    def preference(users, items):
        return np.einsum("nd,nd->n", rates.tastes[users], rates.traits[items])

    def weight(users, items):
        return rates.weights[items]

    def rate(users, items):
        return np.log(weight(users, items)) + rates.strength * preference(users, items)

    held_out = to_pairs(data.test)
    observed = data.train + data.valid + data.test + data.exposed
    rows, others = unobserved_of_each(held_out, observed, rng)
    assert auc(preference, held_out[rows], others) > 0.7
    assert auc(weight, held_out[rows], others) > 0.7
    assert auc(rate, held_out[rows], others) > 0.85
    rows, others = beside_each(held_out, data.exposed)
    assert 0.58 < auc(preference, held_out[rows], others) < 0.66, (
        "users prefer clicked items to exposed ones"
    )
    rows, others = unobserved_of_each(to_pairs(data.exposed), observed, rng)
    assert 0.6 < auc(preference, to_pairs(data.exposed)[rows], others) < 0.75
    rows, others = unobserved_of_each(held_out, observed, rng)
    shuffled = rng.permutation(shape.num_users)
    foreign = auc(lambda u, v: preference(shuffled[u], v), held_out[rows], others)
    assert foreign == pytest.approx(0.5, abs=0.05), "another user's taste is uninformative"


def test_weights_are_independent_of_traits():
    """They are also independent of the index of the item."""
    rates = preferences.sample_preference_model(SCALED, np.random.SeedSequence(4)).click_rates
    logs = np.log(rates.weights)
    columns = [*rates.traits.T, np.arange(len(logs))]
    assert max(abs(np.corrcoef(logs, column)[0, 1]) for column in columns) < 0.05


def test_scaled_down_zhihu_has_the_distribution_of_zhihu(scaled):
    """The density, 0.009, is close to Zhihu's 0.005, so quantiles scale with the mean."""
    figures = closeness(scaled, max_pairs=4_000, with_svd=False)
    users = (SCALED.num_clicks / SCALED.num_users) / (3_284_734 / 16_015)
    items = (SCALED.num_clicks / SCALED.num_items) / (3_284_734 / 44_175)
    for level in ("10%", "25%", "50%", "75%", "90%", "95%", "99%"):
        here, there = figures[f"user degree {level}"], ZHIHU[f"user degree {level}"]
        assert here == pytest.approx(there * users, rel=0.16), level
    for level in ("50%", "75%", "90%", "95%", "99%"):
        here, there = figures[f"item degree {level}"], ZHIHU[f"item degree {level}"]
        assert here == pytest.approx(there * items, rel=0.12, abs=1), level
    assert figures[GINI] == pytest.approx(ZHIHU[GINI], abs=0.02)
    assert figures[TOP_SHARE] == pytest.approx(ZHIHU[TOP_SHARE], abs=0.02)
    assert figures["AUC of popularity against exposed"] == pytest.approx(0.6, abs=0.06)
    # The item of a click has more clicks than a random item with probability (1 + Gini) / 2.
    against_random = figures["AUC of popularity against unobserved"]
    assert against_random == pytest.approx((1 + ZHIHU[GINI]) / 2, abs=0.03)


def test_datasets_are_cached_by_seed(tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "small", Shape(30, 50, 400, 300))
    config = Config(dataset="synthetic-small", synthetic_clicks=77, synthetic_seed=5)
    data = datasets.load(config, tmp_path)
    assert data.name == "synthetic-small" and data.source["synthetic_seed"] == 5
    assert data.train.nnz + data.valid.nnz + data.test.nnz == 400 and data.exposed.nnz == 300
    others = {
        datasets.load(dataclasses.replace(config, **change), tmp_path).checksum
        for change in ({"synthetic_seed": 6}, {"split_seed": 1})
    }
    assert len(others | {data.checksum}) == 3
    assert len(list((tmp_path / "synthetic-small").iterdir())) == 3
    monkeypatch.setattr(generate_module, "generate", None)
    assert datasets.load(config, tmp_path).checksum == data.checksum


def test_sizes_of_synthetic_come_from_the_flags(tmp_path):
    sizes = {"users": 20, "items": 30, "clicks": 200, "exposures": 100}
    flags = {f"synthetic_{name}": size for name, size in sizes.items()}
    data = datasets.load(Config(dataset="synthetic", **flags), tmp_path)
    assert (data.num_users, data.num_items, data.exposed.nnz) == (20, 30, 100)
    assert data.train.nnz + data.valid.nnz + data.test.nnz == 200
    assert generate_module.shape_of(Config(dataset="synthetic")) == PRESETS["small"], "the default"


@pytest.mark.parametrize(
    ("flag", "value", "legal"),
    [
        ("clicks", 601, r"a number from 20 \(one per user\) to 600 \("),
        ("clicks", 19, r"a number from 20 \(one per user\) to 600 \("),
        ("exposures", 401, r"a number from 0 to 400 \("),
        ("users", 0, "a whole number from 1 to 2147483647"),
        ("items", -1, "a whole number from 1 to 2147483647"),
        ("exposures", -1, "a whole number from 0 to 2147483647"),
    ],
)
def test_impossible_sizes_are_an_error(tmp_path, flag, value, legal):
    sizes = {"users": 20, "items": 30, "clicks": 200, "exposures": 100} | {flag: value}
    with pytest.raises(UserError, match=f"^--synthetic_{flag}={value}: choose {legal}"):
        flags = {f"synthetic_{name}": size for name, size in sizes.items()}
        datasets.load(Config(dataset="synthetic", **flags), tmp_path)
    assert not list(tmp_path.iterdir())
