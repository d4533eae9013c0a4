import dataclasses
import time

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.errors import UserError
from recns_tf.ops.bitmap import Bitmap
from recns_tf.ops.item_sets import ComplementItems, Fallback, ListedItems, Pool
from recns_tf.regions.candidate_sets import RegionSets, exact_sets
from recns_tf.regions.region import build_region
from recns_tf.training.build import build
from tests.regions.test_storage import effective, world


def make(region, pool_epochs=1, seed=0):
    return RegionSets(region, pool_size=6, pool_epochs=pool_epochs, seed=seed)


@pytest.mark.parametrize(
    ("density", "kind", "khop", "form"),
    [
        (0.0002, "intermediate", 3, Fallback),
        (0.006, "intermediate", 5, Fallback),
        (0.0002, "distant", 3, ComplementItems),
        (0.003, "intermediate", 3, Bitmap),
        (0.003, "distant", 3, Bitmap),
    ],
)
def test_draws_are_from_the_region(density, kind, khop, form):
    train = world(density)
    region = build_region(csr_array(train), kind, khop)
    sets = make(region).sets
    assert type(sets) is form
    expected = effective(train, kind, khop, "walk")
    counts = sets.count(tf.range(len(train))).numpy()
    np.testing.assert_array_equal(counts, expected.sum(axis=1))
    ranks = tf.tile(tf.range(train.shape[1])[None], [len(train), 1])
    items = sets.item(tf.range(len(train)), ranks).numpy()
    for user, row in enumerate(items):
        np.testing.assert_array_equal(row[: counts[user]], np.flatnonzero(expected[user]))


def test_users_who_all_reach_little_need_no_complement():
    train = np.zeros((6, 500), bool)
    train[np.arange(6), np.arange(6)] = train[np.arange(6), 499] = True
    assert type(make(build_region(csr_array(train))).sets) is ListedItems


def test_all_unobserved_items_need_no_walk(toy):
    sets = exact_sets(build_region(toy.train, "all"))
    assert type(sets) is ComplementItems
    np.testing.assert_array_equal(
        sets.count(tf.range(toy.num_users)), toy.num_items - toy.train.sum(axis=1)
    )


def contents(region_sets):
    return region_sets.pool.items.numpy()


def test_pools_are_drawn_when_they_are_due(toy):
    region = build_region(toy.train, memory=0)
    each, second, once = (make(region, pool_epochs=n) for n in (1, 2, 0))
    assert type(each.sets) is Pool
    drawn = {}
    for name, sets in {"each": each, "second": second, "once": once}.items():
        for epoch in range(4):
            sets.prepare(epoch)
            drawn[name, epoch] = contents(sets)
    assert all((drawn["each", 0] != drawn["each", n]).any() for n in (1, 2, 3))
    for name, expected in {"second": (0, 0, 1, 1), "once": (0, 0, 0, 0)}.items():
        for epoch, generation in enumerate(expected):
            np.testing.assert_array_equal(drawn[name, epoch], drawn["each", generation])
    resumed, other = make(region), make(region, seed=1)
    resumed.prepare(3)
    other.prepare(3)
    np.testing.assert_array_equal(contents(resumed), drawn["each", 3])
    assert (contents(other) != drawn["each", 3]).any()
    assert "drawn every 1 epochs" in each.summary(4) and "drawn once" in once.summary(4)


def test_no_batch_of_an_epoch_is_drawn_before_its_pools(toy, toy_config):
    config = dataclasses.replace(toy_config, region_memory=0, pool_size=6, num_candidates=3)
    _, pipeline, region_sets = build(config, toy)
    region_sets.prepare(0)
    stream = iter(pipeline.batches())
    for epoch in range(4):
        region_sets.prepare(epoch)
        pools = contents(region_sets)
        for _ in range(pipeline.steps_per_epoch):
            batch = next(stream)
            candidates = batch.candidates.numpy()
            theirs = pools[batch.users.numpy()]
            assert (candidates[:, :, None] == theirs[:, None, :]).any(axis=2).all()
        time.sleep(0.2)  # enough for a batch of the next epoch to be drawn, were one made ahead


def test_pools_of_fewer_items_than_candidates_are_refused(toy, toy_config):
    config = dataclasses.replace(toy_config, region_memory=0, pool_size=3, num_candidates=4)
    with pytest.raises(UserError, match="--pool_size=3: choose at least 4, --num_candidates"):
        build(config, toy)
    build(dataclasses.replace(config, region_memory=1), toy)
