import dataclasses
import time

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.errors import UserError
from recns_tf.ops.bitmap import Bitmap
from recns_tf.ops.item_sets import ComplementItems, Fallback, ListedItems, Pool
from recns_tf.regions.candidate_sets import CandidateSets, exact_sets
from recns_tf.regions.region import build_region
from recns_tf.training.build import build
from tests.regions.test_storage import effective, world


def make(region, pool_epochs=1, seed=0):
    return CandidateSets(region, pool_size=6, pool_epochs=pool_epochs, seed=seed)


@pytest.mark.slow
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
def test_sets_equal_the_region(density, kind, khop, form):
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


def test_short_lists_need_no_complement():
    train = np.zeros((6, 500), bool)
    train[np.arange(6), np.arange(6)] = train[np.arange(6), 499] = True
    assert type(make(build_region(csr_array(train))).sets) is ListedItems


def test_region_all_is_the_complement_of_train(toy):
    sets = exact_sets(build_region(toy.train, "all"))
    assert type(sets) is ComplementItems
    np.testing.assert_array_equal(
        sets.count(tf.range(toy.num_users)), toy.num_items - toy.train.sum(axis=1)
    )


def pool_items(candidate_sets):
    return candidate_sets.pool.items.numpy()


@pytest.mark.slow
def test_pools_are_redrawn_every_pool_epochs(toy):
    region = build_region(toy.train, memory=0)
    each, second, once = (make(region, pool_epochs=n) for n in (1, 2, 0))
    assert type(each.sets) is Pool
    drawn = {}
    for name, sets in {"each": each, "second": second, "once": once}.items():
        for epoch in range(4):
            sets.prepare(epoch)
            drawn[name, epoch] = pool_items(sets)
    assert all((drawn["each", 0] != drawn["each", n]).any() for n in (1, 2, 3))
    for name, expected in {"second": (0, 0, 1, 1), "once": (0, 0, 0, 0)}.items():
        for epoch, generation in enumerate(expected):
            np.testing.assert_array_equal(drawn[name, epoch], drawn["each", generation])
    resumed, other = make(region), make(region, seed=1)
    resumed.prepare(3)
    other.prepare(3)
    np.testing.assert_array_equal(pool_items(resumed), drawn["each", 3])
    assert (pool_items(other) != drawn["each", 3]).any()
    assert each.summary(4).endswith("drawn every 1 epoch") and "drawn once" in once.summary(4)


@pytest.mark.slow
def test_batches_are_drawn_from_the_pools_of_their_epoch(toy, toy_config):
    config = dataclasses.replace(toy_config, region_memory=0, pool_size=6, num_candidates=3)
    _, pipeline, candidate_sets = build(config, toy)
    candidate_sets.prepare(0)
    stream = iter(pipeline.batches())
    for epoch in range(4):
        candidate_sets.prepare(epoch)
        pools = pool_items(candidate_sets)
        for _ in range(pipeline.steps_per_epoch):
            batch = next(stream)
            candidates = batch.candidates.numpy()
            theirs = pools[batch.users.numpy()]
            assert (candidates[:, :, None] == theirs[:, None, :]).any(axis=2).all()
        time.sleep(
            0.2
        )  # time for an input pipeline that draws ahead to draw the next epoch's batch


def test_pool_size_below_num_candidates_is_an_error(toy, toy_config):
    config = dataclasses.replace(toy_config, region_memory=0, pool_size=3, num_candidates=4)
    with pytest.raises(UserError, match="--pool_size=3: choose at least 4, --num_candidates"):
        build(config, toy)
    build(dataclasses.replace(config, region_memory=1), toy)
