import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.interactions import make_interactions
from recns_tf.training.build import build
from recns_tf.training.negative_statistics import STATISTICS, NegativeStatistics


@pytest.fixture
def world():
    """A dataset of two users and six items."""
    return make_interactions(
        "world",
        train=np.array([[0, 0], [1, 0], [1, 1]]),
        valid=np.array([[0, 2]]),
        test=np.array([[0, 3], [1, 4]]),
        exposed=np.array([[0, 4], [1, 5], [0, 3]]),
        user_ids=np.arange(2),
        item_ids=np.arange(6),
        source={},
    )


def compute_statistics(world, users, ids):
    statistics = NegativeStatistics.from_interactions(world)
    values = tf.function(lambda: statistics(tf.constant(users), tf.constant(ids)))()
    assert tuple(values) == STATISTICS
    return [float(values[name]) for name in STATISTICS]


def test_statistics_use_one_negative_per_pair_in_turn(world):
    # Pair b contributes column b mod 2: items 2, 4, 0, 5; other columns give other counts.
    ids = [[2, 5], [5, 4], [0, 2], [4, 5]]
    false, exposed, popularity = compute_statistics(world, [0, 1, 0, 1], ids)
    assert false == pytest.approx(2 / 4), "0 has 2 in valid, 1 has 4 in test"
    assert exposed == pytest.approx(1 / 4), "5 was exposed to 1, and 4 to 0 alone"
    assert popularity == pytest.approx((0 + 0 + 2 + 0) / 4)


def test_train_positives_of_other_users_are_not_false_negatives(world):
    assert compute_statistics(world, [0, 0], [[1], [5]])[0] == 0


def test_statistics_of_a_training_step(toy, toy_config):
    config = dataclasses.replace(toy_config, sampler="unins", num_negatives=1)
    model, pipeline, _ = build(config, toy)
    batch = next(iter(pipeline.batches()))
    values, negatives = model.forward(batch)
    users, ids = batch.users.numpy(), negatives.ids.numpy()[:, 0]
    held_out = toy.held_out.toarray()[users, ids].mean()
    assert 0 < held_out == pytest.approx(float(values["false_negatives"]))
    exposed = toy.exposed.toarray()[users, ids].mean()
    assert 0 < exposed == pytest.approx(float(values["exposed_negatives"]))
    popularity = np.bincount(toy.train.indices, minlength=60)[ids].mean()
    assert popularity == pytest.approx(float(values["negative_popularity"]))
    assert float(values["sampling_seconds"]) > 0


def test_exposed_negatives_of_a_sampler_of_exposed_items(toy, toy_config):
    config = dataclasses.replace(toy_config, sampler="expns")
    model, pipeline, _ = build(config, toy)
    batch = next(iter(pipeline.batches()))
    with_exposures = np.diff(toy.exposed.indptr)[batch.users.numpy()] > 0
    values, _ = model.forward(batch)
    random = (1 - with_exposures.mean()) * 0.5
    share = float(values["exposed_negatives"])
    assert with_exposures.mean() <= share <= with_exposures.mean() + random
