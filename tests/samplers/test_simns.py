"""SimNS: the batch pool, and the distribution in it."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.config.config import Config
from recns_tf.ops.item_sets import ComplementItems, ListedItems
from recns_tf.samplers import simns
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.simns import SimNS, log_rarity
from recns_tf.samplers.unins import UniNS
from tests.goodness_of_fit import chi_square, independence
from tests.samplers import worlds

COSINE = np.array([1, 0.9, 0.85, 0.7, 0.4, 0.1, 0, -0.3, -0.9, 0.6])
"""Cosines of every item with item 0, the positive; item 1 is another train positive."""
NUM_ITEMS = len(COSINE)
FREE = np.array([False, False] + [True] * (NUM_ITEMS - 2))
LENGTH = np.array([0.9, 0.8, 0.3, 1.1, 0.9, 1.0, 0.7, 2.0, 0.2, 0.8])
EVERYBODY = csr_array(np.ones((1, NUM_ITEMS), bool))
"""Train rows that make all items equally popular."""
POPULARITY = np.array([1, 2, 3, 5, 9, 0])
POPULAR = csr_array(np.arange(9)[:, None] < POPULARITY)


def items_at(cosine, dim, length=1.0):
    """Return items with these cosines with item 0, all orthogonal to `user()`."""
    item = np.zeros((len(cosine), dim))
    item[:, 0] = cosine
    item[np.arange(len(cosine)), 1 + np.arange(len(cosine)) % (dim - 2)] = np.sqrt(
        1 - np.square(cosine)
    )
    return item * np.reshape(length, (-1, 1))


def user(dim):
    return np.eye(dim)[-1:]


def weights(x, dim, epsilon=1e-8):
    x = np.asarray(x, float)
    return np.where(x > 0, np.maximum(1 - x**2 + epsilon, epsilon) ** (-(dim - 3) / 2), 0.0)


def drawn(item, positives=((0, 1),), k=4, rows=50_000, positive=0, sets=None, **options):
    """Draw for user 0 from all items, or from `sets`."""
    dim = item.shape[1]
    sampler = SimNS(
        k,
        sets or worlds.unobserved(positives, len(item)),
        csr_array(np.ones((1, len(item)), bool)),
        pool_size=len(item),
        **options,
    )
    return worlds.sample(
        sampler, worlds.batch(rows, positive=positive), worlds.tables(user(dim), item)
    )


def counts(negatives, num_items=NUM_ITEMS):
    return np.bincount(negatives.ids.ravel(), minlength=num_items)


def set_distribution(weight, size):
    """Return the distribution of the set of sequential draws without replacement."""
    distribution = dict.fromkeys(itertools.combinations(range(len(weight)), size), 0.0)
    for order in itertools.permutations(range(len(weight)), size):
        chance, left = 1.0, weight.sum()
        for item in order:
            chance *= weight[item] / left
            left -= weight[item]
        distribution[tuple(sorted(order))] += chance
    return distribution


def pools(size, power, number, k=32):
    """Return how often each set of items was the batch pool."""
    sampler = SimNS(k, worlds.unobserved([[]], 6), POPULAR, pool_size=size, power=power)
    batch, tables = worlds.batch(1, positive=5), worlds.tables(np.zeros((1, 4)), np.zeros((6, 4)))

    def one(seed):
        return sampler.sample(batch._replace(seed=seed), tables, seed).ids[0]

    seeds = tf.stack([tf.range(number), tf.fill([number], 7)], axis=1)
    every = tf.function(lambda: tf.map_fn(one, seeds, fn_output_signature=tf.int32))().numpy()
    found = [tuple(sorted(set(row))) for row in every.tolist()]
    return {items: found.count(items) for items in set(found)}


@pytest.mark.slow
@pytest.mark.parametrize(("power", "number"), [(1.0, 8_000), (0.5, 3_000), (0.0, 3_000)])
def test_batch_pool_is_drawn_sequentially_by_popularity(power, number):
    weight = POPULARITY.astype(float) ** power
    distribution = set_distribution(weight, 2)
    observed = pools(2, power, number)
    assert set(observed) <= set(distribution), "pools have two items"
    observed = [observed.get(items, 0) for items in distribution]
    assert chi_square(observed, list(distribution.values())) > 1e-3
    for other in {0.0, 0.5, 1.0} - {power}:
        mutant = set_distribution(POPULARITY.astype(float) ** other, 2)
        assert chi_square(observed, list(mutant.values())) < 1e-6, f"power {other}"
    if power == 1:
        pairs = [weight[one] * weight[two] for one, two in distribution]
        assert chi_square(observed, pairs) < 1e-6, "drawn again until distinct"


def test_one_pool_per_batch():
    tables = worlds.tables(np.zeros((2, 4)), np.zeros((NUM_ITEMS, 4)))
    sampler = SimNS(4, worlds.unobserved([[], []], NUM_ITEMS), EVERYBODY, pool_size=3)
    batch = worlds.batch(2000)._replace(users=tf.tile([0, 1], [1000]))
    draw = tf.function(lambda seed: sampler.sample(batch, tables, seed).ids)
    seen = set()
    for seed in range(40):
        items, share = np.unique(draw(tf.constant([seed, 5])), return_counts=True)
        assert len(items) == 3
        assert chi_square(share, np.ones(3)) > 1e-3
        seen.add(tuple(items))
    assert len(seen) > 20, "the next batch has another pool"


@pytest.mark.slow
@pytest.mark.parametrize("dim", [3, 4, 8])
def test_items_are_drawn_by_the_rarity_of_their_cosine(dim):
    item = items_at(COSINE, dim, LENGTH)
    observed = counts(drawn(item))
    assert not observed[~FREE].any(), "the positive and other positives are never drawn"
    assert not observed[COSINE <= 0].any()
    assert chi_square(observed, FREE * weights(COSINE, dim)) > 1e-3
    raw = item @ item[0]
    mutants = {
        "similarity to the user": FREE,
        "density": FREE * np.where(COSINE > 0, 1 / np.maximum(weights(COSINE, dim), 1), 0),
        "not normalized": FREE * weights(raw, dim),
        "negative cosines too": FREE * weights(abs(COSINE), dim),
        "only the positive itself left out": (COSINE < 1) * weights(COSINE, dim),
        "no half in the exponent": FREE * weights(COSINE, 2 * dim - 3),
        "d - 1": FREE * weights(COSINE, dim + 2),
        "likened to another positive": FREE * weights(item @ item[1] / LENGTH / 0.8, dim),
    }
    if dim == 3:
        for name in ("density", "not normalized", "no half in the exponent"):
            del mutants[name]
    for name, distribution in mutants.items():
        assert chi_square(observed, distribution) < 1e-6, name


def test_rows_are_independent_and_follow_their_own_positives():
    """Two positives in one batch, both train positives of the user."""
    item = items_at(COSINE, 8)
    sampler = SimNS(4, worlds.unobserved([[0, 1]], NUM_ITEMS), EVERYBODY, pool_size=NUM_ITEMS)
    rows = np.random.default_rng(0).integers(0, 2, 100_000).astype(np.int32)
    batch = worlds.batch(len(rows))._replace(positives=tf.constant(rows))
    negatives = worlds.sample(sampler, batch, worlds.tables(user(8), item))
    largest = 0.0
    for positive in (0, 1):
        distribution = FREE * weights(item @ item[positive], 8)
        ids = negatives.ids[rows == positive]
        assert chi_square(np.bincount(ids.ravel(), minlength=NUM_ITEMS), distribution) > 1e-3
        largest += (rows == positive).mean() * distribution.max() / distribution.sum()
        allowed = np.flatnonzero(distribution)
        for one, two in ((ids[:, 0], ids[:, 1]), (ids[:-1, 2], ids[1:, 3])):
            table = np.zeros((NUM_ITEMS, NUM_ITEMS))
            np.add.at(table, (one, two), 1)
            assert independence(table[np.ix_(allowed, allowed)]) > 1e-3
    assert negatives.statistics["largest_share"] == pytest.approx(largest, rel=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_lengths_of_embeddings_do_not_matter(scale):
    length = scale * np.random.default_rng(2).uniform(0.1, 3, NUM_ITEMS)
    observed = counts(drawn(items_at(COSINE, 8, length)))
    assert chi_square(observed, FREE * weights(COSINE, 8)) > 1e-3


def test_without_positive_cosines_legal_items_are_equally_likely():
    """Both train positives have cosines above 0 and are in the batch pool, but not legal."""
    cosine = np.where(FREE, -abs(COSINE), COSINE)
    observed = counts(drawn(items_at(cosine, 8)))
    assert chi_square(observed, FREE) > 1e-3
    assert chi_square(observed, np.ones(NUM_ITEMS)) < 1e-6, "uniform over the pool"
    assert chi_square(observed, FREE * weights(abs(COSINE), 8)) < 1e-6


def test_pool_of_the_user_restricts_the_choice():
    inside = FREE & (np.arange(NUM_ITEMS) % 2 == 1)
    observed = counts(drawn(items_at(COSINE, 8), sets=ListedItems(csr_array(inside[None]))))
    assert chi_square(observed, inside * weights(COSINE, 8)) > 1e-3


def test_users_without_legal_items_get_uniform_ones():
    """Items from 4 on have no users, so no batch pool contains them."""
    popular = csr_array(np.tile(np.arange(NUM_ITEMS) < 4, (3, 1)))
    sets = worlds.unobserved([[0, 1, 2, 3], [0, 1], [0, 1, 2, 3, 4, 5, 6]], NUM_ITEMS)
    sampler = SimNS(4, sets, popular, pool_size=100)
    users = np.tile(np.arange(3, dtype=np.int32), 60_000)
    batch = worlds.batch(len(users))._replace(users=tf.constant(users))
    ids = worlds.sample(
        sampler, batch, worlds.tables(np.repeat(user(8), 3, axis=0), items_at(COSINE, 8))
    ).ids
    everything = np.arange(NUM_ITEMS)
    alike = np.isin(everything, [2, 3]) * weights(COSINE, 8)
    for one, distribution in enumerate([everything >= 4, alike, everything >= 7]):
        observed = np.bincount(ids[users == one].ravel(), minlength=NUM_ITEMS)
        assert chi_square(observed, distribution) > 1e-3
    assert chi_square(observed, everything < 4) == 0, "uniform over the batch's pool"


def test_a_clip_makes_larger_cosines_equal():
    observed = counts(drawn(items_at(COSINE, 8), clip=0.65))
    assert chi_square(observed, FREE * weights(np.minimum(COSINE, 0.65), 8)) > 1e-3
    assert chi_square(observed, FREE * weights(COSINE, 8)) < 1e-6, "no clip"
    below = FREE * (COSINE <= 0.65)
    assert chi_square(observed, below * weights(COSINE, 8)) < 1e-6, "larger ones dropped"


def test_copy_of_the_positive_has_the_weight_of_epsilon():
    """A cosine of exactly 1 does not divide by 0: the weights are 10^4 and 10 in 4 columns.

    Rounding in float32 may leave a cosine of equals just below 1, as it depends on the processor,
    and their weight anywhere from 10^3 on; the weights are asserted at exact cosines.
    """
    weights = np.exp(log_rarity(tf.constant([1, 0.99**0.5], tf.float32), 4).numpy())
    np.testing.assert_allclose(weights, [1e4, 10], rtol=1e-3)
    observed = counts(drawn(items_at([1, 1, 0.99**0.5, -1], 4), positives=[[0]]), 4)
    assert observed[0] == observed[3] == 0
    assert 50 < observed[1] / observed[2] < 2000 and observed[2] > 0, "finite"


def plain_categorical(log_weights, k, seed):
    """Draw by weights that are exponentiated without scaling."""
    cumulative = tf.cumsum(tf.exp(log_weights), axis=1)
    uniform = tf.random.stateless_uniform([tf.shape(log_weights)[0], k], seed)
    found = tf.searchsorted(cumulative, uniform * cumulative[:, -1:], side="right")
    return tf.minimum(found, tf.shape(log_weights)[1] - 1)


@pytest.mark.slow
def test_many_columns_and_cosines_near_1_stay_finite(monkeypatch):
    """The weights, about e^1660 for two items, e^2330 for one, are beyond float32 and float64."""
    near = 1 - 1e-6
    item = items_at([1, near, near, 0.5], 256)
    options = {"positives": [[0]], "k": 100, "rows": 2000}
    negatives = drawn(item, **options)
    distribution = [0, 1, 1, 0]
    assert chi_square(counts(negatives, 4), distribution) > 1e-3
    assert negatives.statistics["largest_share"] == pytest.approx(0.5, rel=1e-4)
    equal = drawn(items_at([1, 1, near, 0.5], 256), **options)
    assert set(equal.ids.ravel()) == {1}
    assert equal.statistics["largest_share"] == pytest.approx(1)
    monkeypatch.setattr(simns.random, "categorical", plain_categorical)
    assert chi_square(counts(drawn(item, **options), 4), distribution) < 1e-6


def test_power_0_and_equal_cosines_make_it_uniform():
    item = np.tile(np.eye(5)[0], (6, 1))
    sets = worlds.unobserved([[0, 4]], 6)
    sampler = SimNS(4, sets, POPULAR, pool_size=6, power=0.0)
    tables = worlds.tables(user(5), item)
    one, other = (
        np.bincount(worlds.sample(s, worlds.batch(50_000), tables).ids.ravel(), minlength=6)
        for s in (sampler, UniNS(4, sets))
    )
    free = [1, 2, 3, 5]
    assert independence([one[free], other[free]]) > 1e-3
    assert chi_square(one, [0, 1, 1, 1, 0, 1]) > 1e-3


def test_flags_reach_the_sampler(toy):
    config = Config(num_negatives=2, simns_pool=9, simns_power=0.5, simns_clip=0.8)
    sampler = SimNS.from_settings(config, SamplerContext(toy, ComplementItems(toy.train), 1))
    assert (sampler.num_negatives, sampler.pool_size, sampler.clip) == (2, 9, 0.8)
    popularity = toy.train.toarray().sum(axis=0)
    np.testing.assert_allclose(np.exp(sampler.log_weights), np.sqrt(popularity), rtol=1e-5)
