"""MCNS with the steps of the authors' code."""

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.config.config import Config
from recns_tf.ops import random
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.mcns import MCNS
from tests.goodness_of_fit import chi_square
from tests.samplers import test_mcns as exact
from tests.samplers import worlds

SEEDS = 3_000
USERS = np.arange(exact.NUM_USERS)
"""Chain u starts at item u mod 10."""


def released(power=exact.POWER, pool=exact.POOL, mix=exact.MIX):
    known = exact.make(power=power, pool=pool, mix=mix)
    return MCNS(
        1, pool, known.lists, known.lengths, exact.NUM_USERS,
        mix=mix, power=power, burn=0, released=True,
    )  # fmt: skip


def tables_of_steps(sampler):
    """Return how often each user's chain goes from its start to each item, for many seeds."""
    sampler.chain.assign(USERS % exact.NUM_ITEMS)
    batch = worlds.batch(len(USERS))._replace(users=tf.constant(USERS, tf.int32))
    tables = exact.tables()

    @tf.function
    def steps():
        def step(number):
            return sampler.choose(batch, tables, random.stream(batch.seed, number)).ids[:, 0]

        return tf.map_fn(step, tf.range(SEEDS), parallel_iterations=1)

    found = np.zeros((len(USERS), exact.NUM_ITEMS))
    for ids in steps().numpy():
        found[USERS, ids] += 1
    return found


def fits(found, kernels):
    return all(
        not found[user][kernels[exact.KIND[user]][user % 10] == 0].any()
        and chi_square(found[user], kernels[exact.KIND[user]][user % 10]) > 1e-4
        for user in USERS
    )


@pytest.mark.slow
def test_the_step_of_one_pair_is_that_of_its_way_alone():
    found = tables_of_steps(released())
    laws = [exact.distribution(kind) for kind in (0, 1)]
    assert fits(found, [exact.by_component(pi) for pi in laws])
    assert not fits(found, [exact.kernel(pi) for pi in laws])
    for name in exact.mutants(0):
        if name != "ratio of the component alone":
            assert not fits(found, [exact.mutants(kind)[name] for kind in (0, 1)]), name


def steps_of_equal_pairs(sampler, rows=1_500):
    """Return, per seed, how many of equal pairs go from item 0 to each item."""
    sampler.chain.assign(np.zeros(exact.NUM_USERS, np.int32))
    batch, tables = worlds.batch(rows), exact.tables()
    choose = tf.function(lambda seed: sampler.choose(batch, tables, seed).ids[:, 0])
    seeds = [random.stream(batch.seed, number) for number in range(25)]
    return np.array([np.bincount(choose(seed), minlength=exact.NUM_ITEMS) for seed in seeds])


def test_a_batch_shares_its_decisions():
    """With power 0: all go anywhere, or those with the same proposal all move or all stay.

    From item 0 to 1, 2 or 3, lists of 1, 4 and no items: 3 / I, 3 / 4 and 3 / I accept.
    """
    everything = worlds.unobserved([[]] * exact.NUM_USERS, exact.NUM_ITEMS)
    shared = steps_of_equal_pairs(released(power=0.0, pool=everything))
    anywhere = (shared > 0).all(axis=1)
    assert 0 < anywhere.sum() < 20
    near = shared[~anywhere]
    assert not near[:, 4:].any()
    assert ((near[:, 1:4] == 0) | (np.abs(near[:, 1:4] - 500) < 100)).all()
    assert len(np.unique(near[:, 1:4] > 0, axis=0)) > 1, "the shared number varies"
    np.testing.assert_array_equal(near[:, 1] > 0, near[:, 3] > 0)
    own = steps_of_equal_pairs(exact.make(power=0.0, pool=everything))
    assert (own > 0).all(), "the exact kernel decides for each pair"


@pytest.mark.parametrize(("kernel", "expected"), [("exact", False), ("released", True)])
def test_the_flag_reaches_the_sampler(toy, kernel, expected):
    config = Config(sampler="mcns", mcns_kernel=kernel)
    sampler = MCNS.from_settings(config, SamplerContext(toy, exact.POOL, 8))
    assert (
        sampler.released is expected
        and not MCNS.from_settings(
            Config(sampler="mcns"), SamplerContext(toy, exact.POOL, 8)
        ).released
    )
