"""Positive samplers."""

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.ops import random
from recns_tf.training.pair_sampling import PAIR_SAMPLINGS
from tests.goodness_of_fit import chi_square

USERS = np.repeat([0, 2, 3, 7], [1, 4, 2, 3])


def epoch(name, batch_size, seed=0):
    pairs = PAIR_SAMPLINGS[name](USERS, batch_size)
    shared = pairs.prepare(random.root(seed))
    return [
        pairs.choose(shared, tf.constant(step, tf.int64), random.stream(random.root(seed), step))
        for step in range(pairs.steps)
    ]


@pytest.mark.parametrize("size", [3, 5, 10, 12])
def test_edges_appear_once_per_epoch(size):
    batches = epoch("edges", size)
    assert sorted(np.concatenate(batches)) == list(range(10))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert 0 < len(batches[-1]) <= size


@pytest.mark.parametrize("size", [3, 5, 12, 25])
def test_filled_edges_fill_the_last_batch_from_the_start(size):
    batches = epoch("filled", size)
    assert [len(batch) for batch in batches] == [size] * -(-10 // size)
    chosen = np.concatenate(batches)
    assert sorted(chosen[:10]) == list(range(10))
    np.testing.assert_array_equal(chosen[10:], np.resize(chosen[:10], len(chosen))[10:])


@pytest.mark.parametrize("name", ["edges", "filled"])
def test_order_of_edges_depends_on_the_seed(name):
    one, again, other = (np.concatenate(epoch(name, 3, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_users_of_a_batch_are_distinct_if_there_are_enough():
    batches = epoch("users", 3)
    assert len(batches) == 10 // 3 + 1
    for batch in batches:
        assert len(set(USERS[batch])) == len(batch) == 3


@pytest.mark.slow
def test_users_and_their_items_are_equally_likely():
    """Drawing uniformly from all edges, or a rank that is not uniform, would fail."""
    for size in (2, 400):  # below and above the number of users
        pairs = PAIR_SAMPLINGS["users"](USERS, size)
        seeds = [random.root(n) for n in range(4_000 // size)]
        chosen = np.concatenate([pairs.choose(None, None, seed) for seed in seeds])
        expected = 1 / (4 * np.bincount(USERS)[USERS])
        assert chi_square(np.bincount(chosen, minlength=10), expected) > 1e-3
        assert chi_square(np.bincount(chosen, minlength=10), np.full(10, 0.1)) < 1e-6
