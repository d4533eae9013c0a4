import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.interactions import make_interactions
from recns_tf.ops import random
from recns_tf.ops.item_sets import ComplementItems, ListedItems
from recns_tf.samplers.expns import ExpNS
from recns_tf.samplers.unins import UniNS
from tests.goodness_of_fit import chi_square, independence
from tests.ops.test_item_sets import bitmap
from tests.samplers import worlds

NUM_ITEMS = 12
K = 3
POSITIVES = [[2, 5], [0, 5, 11], [4, 11], [1, 6], [0, 11]]
EXPOSED = [[0, 3, 4, 7, 10, 11], [2, 8], [], [9], [3, 5, 8]]
"""More than k, fewer, none, one, and exactly k."""
NO_ONE = 2


def pairs(rows):
    listed = [(user, item) for user, items in enumerate(rows) for item in items]
    return np.array(listed, dtype=int).reshape(-1, 2)


def make_tiny(exposed=EXPOSED, positives=POSITIVES):
    """Return the world with every exposure of item 7 logged five times, and clicked ones too."""
    shown = pairs(exposed)
    again = np.repeat(shown[shown[:, 1] == 7], 4, axis=0)
    none = np.zeros((0, 2), dtype=int)
    return make_interactions(
        "tiny",
        train=pairs(positives),
        valid=none,
        test=none,
        exposed=np.concatenate([shown, again, pairs(positives)[:4]]),
        user_ids=np.arange(len(positives)),
        item_ids=np.arange(NUM_ITEMS),
        source={},
    )


TINY = make_tiny()
UNOBSERVED = ComplementItems(TINY.train)
ZEROS = worlds.tables(np.zeros((5, 1)), np.zeros((NUM_ITEMS, 1)))


def distribution(items):
    return np.isin(np.arange(NUM_ITEMS), items).astype(float)


def drawn(user, k=K, rows=70_000, sets=UNOBSERVED, data=TINY):
    return worlds.sample(ExpNS(k, sets, data.exposed), worlds.batch(rows, user=user), ZEROS).ids


def counts(ids):
    return np.bincount(ids.ravel(), minlength=NUM_ITEMS)


def subset_counts(ids, subsets):
    ordered = np.sort(ids, axis=1)
    observed = [(ordered == subset).all(axis=1).sum() for subset in subsets]
    return [*observed, len(ids) - sum(observed)]


def subset_law(subsets, weights=None):
    """P of every set under sequential draws in proportion to the remaining weights."""
    weights = np.ones(NUM_ITEMS) if weights is None else weights
    total = sum(weights[item] for item in EXPOSED[0])
    result = []
    for subset in subsets:
        p = 0.0
        for a, b, c in itertools.permutations(weights[list(subset)]):
            p += a / total * b / (total - a) * c / (total - a - b)
        result.append(p)
    return [*result, 0.0]


def test_every_k_distinct_exposures_are_equally_likely():
    ids = drawn(0, rows=200_000)
    subsets = list(itertools.combinations(EXPOSED[0], K))
    observed = subset_counts(ids, subsets)
    assert chi_square(observed, subset_law(subsets)) > 1e-3
    repeated = subset_law(subsets, np.where(np.arange(NUM_ITEMS) == 7, 5.0, 1.0))
    assert chi_square(observed, repeated) < 1e-6, "repeats of the log must not count"
    with_replacement = worlds.sample(
        UniNS(K, ListedItems(TINY.exposed)), worlds.batch(200_000), ZEROS
    ).ids
    assert chi_square(subset_counts(with_replacement, subsets), subset_law(subsets)) == 0.0
    assert chi_square(counts(ids), distribution(EXPOSED[0])) > 1e-3
    for wrong in (
        ~distribution(POSITIVES[0]).astype(bool),
        distribution(EXPOSED[0] + [2]),
        distribution(EXPOSED[0][1:]),
    ):
        assert chi_square(counts(ids), wrong) < 1e-6


def test_exactly_k_exposures_are_all_taken():
    ids = np.sort(drawn(4, rows=1000), axis=1)
    np.testing.assert_array_equal(ids, np.tile(EXPOSED[4], (1000, 1)))


@pytest.mark.parametrize("user", [1, 3])
def test_fewer_exposures_than_k_are_drawn_with_replacement(user):
    ids = drawn(user)
    assert chi_square(counts(ids), distribution(EXPOSED[user])) > 1e-3
    assert chi_square(counts(ids), 1 - distribution(POSITIVES[user])) < 1e-6, (
        "the pool for all must fail"
    )
    if user == 1:
        table = np.zeros((NUM_ITEMS, NUM_ITEMS))
        np.add.at(table, (ids[:, 0], ids[:, 1]), 1)
        np.add.at(table, (ids[:-1, 2], ids[1:, 0]), 1)
        assert independence(table[np.ix_(EXPOSED[1], EXPOSED[1])]) > 1e-3
        two = np.sort(drawn(user, k=2, rows=1000), axis=1)
        np.testing.assert_array_equal(two, np.tile(EXPOSED[1], (1000, 1)))


@pytest.mark.parametrize("form", ["complement", "bitmap"])
def test_a_user_without_exposures_draws_from_the_pool_as_unins_does(form):
    inside = ~TINY.train.toarray()
    if form != "complement":
        inside[NO_ONE, [0, 7, 9]] = False
    sets = bitmap(inside) if form == "bitmap" else ComplementItems(csr_array(~inside))
    ids = drawn(NO_ONE, sets=sets)
    assert chi_square(counts(ids), inside[NO_ONE] * 1.0) > 1e-3
    assert chi_square(counts(ids), np.ones(NUM_ITEMS)) < 1e-6, "positives kept"
    shared = TINY.exposed.toarray().any(axis=0)
    assert chi_square(counts(ids), shared) < 1e-6, "exposures of others must fail"
    uniform = worlds.sample(UniNS(K, sets), worlds.batch(70_000, user=NO_ONE), ZEROS).ids
    some = np.flatnonzero(inside[NO_ONE])
    assert independence([counts(ids)[some], counts(uniform)[some]]) > 1e-3
    table = np.zeros((NUM_ITEMS, NUM_ITEMS))
    np.add.at(table, (ids[:, 0], ids[:, 1]), 1)
    assert independence(table[np.ix_(some, some)]) > 1e-3


def test_users_of_one_batch_have_their_own_distributions():
    users = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 40_000)).astype(np.int32)
    batch = worlds.batch(len(users))._replace(users=tf.constant(users))
    ids = worlds.sample(ExpNS(K, UNOBSERVED, TINY.exposed), batch, ZEROS).ids
    for user, items in enumerate(EXPOSED):
        expected = distribution(items) if items else 1 - distribution(POSITIVES[user])
        assert chi_square(counts(ids[users == user]), expected) > 1e-3
    subsets = list(itertools.combinations(EXPOSED[0], K))
    own = ids[users == 0]
    assert chi_square(subset_counts(own, subsets), subset_law(subsets)) > 1e-3
    table = np.zeros((NUM_ITEMS, NUM_ITEMS))
    np.add.at(table, (own[:-1, 1], own[1:, 1]), 1)
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    assert independence(table) > 1e-3


def test_the_pool_does_not_restrict_what_was_exposed():
    inside = np.zeros((5, NUM_ITEMS), dtype=bool)
    inside[:, [1, 9]] = True
    ids = drawn(0, sets=ListedItems(csr_array(inside)))
    assert chi_square(counts(ids), distribution(EXPOSED[0])) > 1e-3


def test_a_log_without_any_exposure_gives_uniform_negatives():
    data = make_tiny([[]] * 5)
    assert not data.exposed.nnz
    for user in (0, 4):
        assert chi_square(counts(drawn(user, data=data)), 1 - distribution(POSITIVES[user])) > 1e-3


def test_exposures_and_pool_use_different_seeds(monkeypatch):
    seeds = []

    def remember(sets, users, n, seed):
        seeds.append(tuple(seed.numpy()))
        return tf.zeros([tf.size(users), n], tf.int32)

    monkeypatch.setattr(random, "with_replacement", remember)
    monkeypatch.setattr(random, "without_replacement", remember)
    batch = worlds.batch(2)
    ExpNS(K, UNOBSERVED, TINY.exposed).sample(batch, ZEROS, batch.seed)
    assert len(seeds) == len(set(seeds)) == 2
