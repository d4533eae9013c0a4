import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.config.config import Config
from recns_tf.interactions import make_interactions, to_pairs
from recns_tf.ops.item_sets import ComplementItems, Fallback, ListedItems
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.popns import PopNS
from recns_tf.samplers.unins import UniNS
from tests.goodness_of_fit import chi_square, independence
from tests.ops.test_item_sets import bitmap, pool
from tests.samplers import worlds

NUM_ITEMS = 12
POPULARITY = np.array([9, 1, 4, 0, 12, 2, 6, 3, 1, 15, 5, 8])
"""Users of each item; the first three of 30 users are drawn for. Item 3 has none."""
POSITIVES = [[], [0, 4, 11], [1, 2, 4, 9, 10]]
UNPOPULAR = 3


def make_train():
    train = np.zeros((30, NUM_ITEMS), dtype=bool)
    for user, items in enumerate(POSITIVES):
        train[user, items] = True
    for item, popularity in enumerate(POPULARITY):
        others = popularity - train[:3, item].sum()
        train[3 + (np.arange(others) + 5 * item) % 27, item] = True
    np.testing.assert_array_equal(train.sum(axis=0), POPULARITY)
    return train


TRAIN = make_train()
FREE = ~TRAIN
REGION = FREE.copy()
"""A smaller pool, different for every user."""
REGION[0, [0, 2, 4, 9, 10]] = False
REGION[1, [1, 2, 9]] = False
REGION[2, [0, 5, 8]] = False
ZEROS = worlds.tables(np.zeros((30, 1)), np.zeros((NUM_ITEMS, 1)))


def weights(power):
    return np.array([float(p) ** power if p or not power else 0.0 for p in POPULARITY])


def drawn(sampler, users=(0, 1, 2), rows=50_000):
    """Draw for all users in one batch, in random order; return the ids per user."""
    order = np.random.default_rng(1).permutation(np.repeat(users, rows)).astype(np.int32)
    batch = worlds.batch(len(order))._replace(users=tf.constant(order))
    ids = worlds.sample(sampler, batch, ZEROS).ids
    return {user: ids[order == user] for user in users}


def counts(ids, num_items=NUM_ITEMS):
    return np.bincount(ids.ravel(), minlength=num_items)


def popns(sets, power, k=4):
    return PopNS(k, sets, csr_array(TRAIN), power)


@pytest.mark.slow
@pytest.mark.parametrize("power", [0.0, 0.75, 1.0])
def test_items_are_drawn_in_proportion_to_a_power_of_their_popularity(power):
    ids = drawn(popns(ComplementItems(csr_array(TRAIN)), power))
    for user in range(3):
        observed = counts(ids[user])
        distribution = FREE[user] * weights(power)
        assert chi_square(observed, distribution / distribution.sum()) > 1e-3
        assert (observed[UNPOPULAR] > 0) == (power == 0)
        for other in {0.0, 0.6, 0.75, 0.9, 1.0} - {power}:
            assert chi_square(observed, FREE[user] * weights(other)) < 1e-6, f"power {other}"
        assert chi_square(observed, FREE[user - 1] * weights(power)) < 1e-6, "another user's"
        if power:
            uncounted = FREE[user] * np.maximum(POPULARITY, 1) ** power
            assert chi_square(observed, uncounted) < 1e-6, "an item without users drawn"
            others = POPULARITY - TRAIN[:3].sum(axis=0)
            assert chi_square(observed, FREE[user] * others**power) < 1e-6, "all users count"
        if user:
            assert chi_square(observed, weights(power)) < 1e-6, "positives kept"


def fallback(inside):
    """Return sets where only user 1's comes from the first form."""
    first = inside.copy()
    first[[0, 2]] = False
    return Fallback(ListedItems(csr_array(first)), ComplementItems(csr_array(~inside)))


FORMS = {
    "listed": lambda inside: ListedItems(csr_array(inside)),
    "bitmap": bitmap,
    "pool": pool,
    "fallback": fallback,
    "complement": lambda inside: ComplementItems(csr_array(~inside)),
}


@pytest.mark.slow
@pytest.mark.parametrize(("form", "power"), [*((form, 0.75) for form in FORMS), ("listed", 0.0)])
def test_distribution_is_renormalized_in_every_form_of_pool(form, power):
    ids = drawn(popns(FORMS[form](REGION), power))
    for user in range(3):
        observed = counts(ids[user])
        distribution = REGION[user] * weights(power)
        assert chi_square(observed, distribution) > 1e-3
        assert chi_square(observed, FREE[user] * weights(power)) < 1e-6, "the pool forgotten"
        assert chi_square(observed, REGION[user - 1] * weights(power)) < 1e-6, "another user's"
        if power:
            assert chi_square(observed, REGION[user] * POPULARITY) < 1e-6, "another power"
            once = distribution / (FREE[user] * weights(power)).sum()
            lazy = once + (1 - once.sum()) * REGION[user] / REGION[user].sum()
            assert chi_square(observed, lazy) < 1e-6, "uniform where rejected once"
        allowed = np.flatnonzero(distribution)
        for one, two in ((ids[user][:, 0], ids[user][:, 1]), (ids[user][:-1, 2], ids[user][1:, 3])):
            table = np.zeros((NUM_ITEMS, NUM_ITEMS))
            np.add.at(table, (one, two), 1)
            assert independence(table[np.ix_(allowed, allowed)]) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("form", ["complement", "bitmap"])
def test_a_pool_without_popular_items_is_drawn_from_uniformly(form):
    train = np.zeros((4, 8), dtype=bool)
    train[0, [0, 1, 2]] = True
    train[1, [1, 2]] = True
    train[2, [5]] = True
    inside = ~train
    inside[0, 5] = False  # of user 0's items, 3, 4, 6 and 7 are left, which nobody has
    ids = drawn(PopNS(4, FORMS[form](inside), csr_array(train), 1.0), (0, 1))
    assert chi_square(counts(ids[0], 8), [0, 0, 0, 1, 1, 0, 1, 1]) > 1e-3
    assert chi_square(counts(ids[1], 8), [1, 0, 0, 0, 0, 1, 0, 0]) > 1e-3


def test_pool_of_little_popularity_keeps_the_distribution():
    """Small pools and distant regions may have only a few percent of all popularity."""
    train = np.zeros((60, 6), dtype=bool)
    train[3:, [0, 1]] = True
    train[3, 2] = True
    train[3:9, 3] = True
    inside = ~train
    inside[:3] = [False, False, True, True, False, False]
    sampler = PopNS(4, ListedItems(csr_array(inside)), csr_array(train), 1.0)
    ids = drawn(sampler, [1])[1]
    assert chi_square(counts(ids, 6), [0, 0, 1, 6, 0, 0]) > 1e-3


def test_power_0_is_uniform_sampling():
    sets = ComplementItems(csr_array(TRAIN))
    popular, uniform = drawn(popns(sets, 0.0)), drawn(UniNS(4, sets))
    for user in range(3):
        some = np.flatnonzero(FREE[user])
        one, other = counts(popular[user]), counts(uniform[user])
        assert independence([one[some], other[some]]) > 1e-3
        assert set(np.flatnonzero(one)) == set(np.flatnonzero(other)) == set(some)


def test_popularity_uses_train_only():
    rng = np.random.default_rng(4)
    rest = np.argwhere(~TRAIN & (rng.random(TRAIN.shape) < 0.5))
    rest = rest[rest[:, 0] >= 3]
    part = rng.choice(3, size=len(rest))
    data = make_interactions(
        "tiny",
        train=to_pairs(csr_array(TRAIN)),
        valid=rest[part == 0],
        test=rest[part == 1],
        exposed=rest[part == 2],
        user_ids=np.arange(30),
        item_ids=np.arange(NUM_ITEMS),
        source={},
    )
    context = SamplerContext(data, ComplementItems(data.train), 1)
    config = Config(num_negatives=4, popularity_power=1.0)
    observed = counts(drawn(PopNS.from_settings(config, context), [1])[1])
    assert chi_square(observed, FREE[1] * POPULARITY) > 1e-3
    held_out = data.held_out.toarray().sum(axis=0)
    for more in (held_out, data.test.toarray().sum(axis=0), data.exposed.toarray().sum(axis=0)):
        assert chi_square(observed, FREE[1] * (POPULARITY + more)) < 1e-6


def test_a_repeated_interaction_counts_once():
    pairs = to_pairs(csr_array(TRAIN))
    data = make_interactions(
        "tiny",
        train=np.concatenate([pairs, pairs[pairs[:, 1] == 7], pairs[pairs[:, 1] == 7]]),
        valid=pairs[:0],
        test=pairs[:0],
        exposed=pairs[:0],
        user_ids=np.arange(30),
        item_ids=np.arange(NUM_ITEMS),
        source={},
    )
    observed = counts(drawn(PopNS(4, ComplementItems(data.train), data.train, 1.0), [2])[2])
    assert chi_square(observed, FREE[2] * POPULARITY) > 1e-3
    repeated = POPULARITY * np.where(np.arange(NUM_ITEMS) == 7, 3, 1)
    assert chi_square(observed, FREE[2] * repeated) < 1e-6
