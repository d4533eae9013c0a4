"""Rejection sampling, and distinct draws in proportion to weights."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest

from recns_tf.ops import random
from tests.goodness_of_fit import chi_square, independence

NUM_ITEMS = 6
PROPOSAL = np.array([[0.3, 0.2, 0.1, 0.2, 0.1, 0.1], [0.1, 0.1, 0.4, 0.1, 0.2, 0.1]])
ACCEPTED = np.array([[1, 0, 0, 1, 1, 0], [0, 1, 1, 0, 0, 1]], dtype=bool)
SENTINEL = NUM_ITEMS
"""The item that the fallback returns, to recognize its draws."""


def seed(n=1):
    return tf.constant([n, 7], tf.int64)


def propose(users, n, seed):
    return random.categorical(
        tf.gather(tf.math.log(tf.constant(PROPOSAL, tf.float32)), users), n, seed
    )


def accepting(table):
    def accept(users, items):
        return tf.gather(tf.gather(table, users), items, batch_dims=1)

    return accept


def give_up(users, n, seed):
    del seed
    return tf.fill([tf.size(users), n], SENTINEL)


def drawn(table=ACCEPTED, rows=50_000, n=4, fallback=give_up):
    """Draw for both users in turn, `rows` times, inside a tf.function."""
    users = tf.tile(tf.range(2), [rows])
    accept = accepting(table)
    function = tf.function(lambda: random.accepted(propose, accept, fallback, users, n, seed()))
    items = function().numpy()
    assert items.dtype == np.int32
    assert items.shape == (2 * rows, n)
    return items.reshape(rows, 2, n)


def counts(items):
    return np.bincount(items.ravel(), minlength=NUM_ITEMS + 1)


@pytest.mark.slow
def test_accepted_follows_the_proposals_given_acceptance():
    items = drawn()
    for user in (0, 1):
        expected = np.append(PROPOSAL[user] * ACCEPTED[user], 0)
        observed = counts(items[:, user])
        assert chi_square(observed, expected) > 1e-3
        assert chi_square(observed, np.append(PROPOSAL[user], 0)) < 1e-6, "rejected items kept"
        assert chi_square(observed, np.append(ACCEPTED[user], 0)) < 1e-6, "proposal ignored"
        other = np.append(PROPOSAL[1 - user] * ACCEPTED[user], 0)
        assert chi_square(observed, other) < 1e-6, "another user's proposal"
        once = PROPOSAL[user] * ACCEPTED[user]
        again = once + (1 - once.sum()) * PROPOSAL[1 - user] * ACCEPTED[user]
        assert chi_square(observed, np.append(again, 0)) < 1e-6, "another user's second proposal"


def test_fallback_is_used_after_too_few_rounds(monkeypatch):
    monkeypatch.setattr(random, "REJECTION_ROUNDS", 3)
    monkeypatch.setattr(random, "PROPOSALS", 1)
    expected = np.append(PROPOSAL[0] * ACCEPTED[0], 0)
    assert chi_square(counts(drawn()[:, 0]), expected) < 1e-6


def test_columns_and_rows_are_independent():
    items = drawn()
    first, second = (np.flatnonzero(accepted) for accepted in ACCEPTED)
    pairs = [
        (items[:, 0, 0], items[:, 0, 1], first, first),
        (items[:, 1, 3], items[:, 1, 0], second, second),
        (items[:, 0, 2], items[:, 1, 2], first, second),
        (items[:-1, 1, 3], items[1:, 0, 0], second, first),
    ]
    for one, two, rows, columns in pairs:
        table = np.zeros((NUM_ITEMS + 1, NUM_ITEMS + 1))
        np.add.at(table, (one, two), 1)
        assert independence(table[np.ix_(rows, columns)]) > 1e-3


def test_every_round_and_the_fallback_use_their_own_seed():
    seeds, sizes = [], []

    def remember(users, n, seed):
        seeds.append(tuple(seed.numpy()))
        sizes.append((tf.size(users).numpy(), n))
        return tf.zeros([tf.size(users), n], tf.int32)

    nothing = accepting(np.zeros((2, NUM_ITEMS), dtype=bool))
    random.accepted(remember, nothing, remember, tf.constant([1, 0]), 3, seed())
    assert len(set(seeds)) == len(seeds) == random.REJECTION_ROUNDS + 2
    assert sizes == [(2, 3)] + [(6, random.PROPOSALS)] * random.REJECTION_ROUNDS + [(6, 1)]


@pytest.mark.slow
def test_fallback_draws_if_nothing_is_acceptable():
    def fallback(users, n, seed):
        return 3 * users[:, None] + random.integers(seed, tf.constant(3), [tf.size(users), n])

    for hopeless in (0, 1):
        table = ACCEPTED.copy()
        table[hopeless] = False
        items = drawn(table, rows=20_000, fallback=fallback)
        expected = np.arange(NUM_ITEMS + 1) // 3 == hopeless
        assert chi_square(counts(items[:, hopeless]), expected) > 1e-3
        assert set(items[:, 1 - hopeless].ravel()) == set(np.flatnonzero(ACCEPTED[1 - hopeless]))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.02])
def test_fallback_draws_items_rejected_in_every_round(share, monkeypatch):
    """One proposal and 3 rounds of 4: with acceptance p, the fallback's share is (1 - p)^13."""
    monkeypatch.setattr(random, "REJECTION_ROUNDS", 3)
    monkeypatch.setattr(random, "PROPOSALS", 4)

    def coin(users, n, seed):
        return tf.cast(tf.random.stateless_uniform([tf.size(users), n], seed) < share, tf.int32)

    def accept(users, items):
        del users
        return items > 0

    def call():
        return random.accepted(coin, accept, give_up, tf.zeros([100_000], tf.int32), 2, seed())

    items = tf.function(call)().numpy()
    given_up = (items == SENTINEL).sum()
    assert not (items == 0).any()
    seen = [given_up, items.size - given_up]
    left = (1 - share) ** 13
    assert chi_square(seen, [left, 1 - left]) > 1e-3
    for proposals in (12, 14):
        other = (1 - share) ** proposals
        assert chi_square(seen, [other, 1 - other]) < 1e-6


@pytest.mark.slow
def test_accepted_is_traced_once():
    proposals = 0

    def counted(users, n, seed):
        nonlocal proposals
        proposals += 1
        return propose(users, n, seed)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([2], tf.int64),
            tf.TensorSpec([2, NUM_ITEMS], tf.bool),
        ]
    )
    def call(users, seed, table):
        return random.accepted(counted, accepting(table), give_up, users, 3, seed)

    cases = [(40, ACCEPTED), (7, ~ACCEPTED), (1, ACCEPTED & False), (9, ACCEPTED | True)]
    for number, (rows, table) in enumerate([*cases, (0, ACCEPTED)]):
        users = tf.range(rows) % 2
        graph = call(users, seed(number), tf.constant(table))
        eager = random.accepted(propose, accepting(table), give_up, users, 3, seed(number))
        np.testing.assert_array_equal(graph, eager)
    assert call.experimental_get_tracing_count() == 1
    assert proposals == 2, "one outside and one inside the loop"


def sequential_distribution(weights, k):
    """Return P of every ordered k-tuple drawn one by one in proportion to remaining weights."""
    expected = {}
    for order in itertools.permutations(np.flatnonzero(weights).tolist(), k):
        left, p = weights.sum(), 1.0
        for column in order:
            p, left = p * weights[column] / left, left - weights[column]
        expected[order] = p
    assert sum(expected.values()) == pytest.approx(1)
    return expected


def distinct_counts(weights, k, orders, rows=200_000):
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights).astype(np.float32)
    tiled = tf.tile(log_weights[None] - 90, [rows, 1])
    columns = tf.function(lambda: random.distinct_categorical(tiled, k, seed()))().numpy()
    assert columns.dtype == np.int32
    observed = dict.fromkeys(orders, 0)
    for order, count in zip(*np.unique(columns, axis=0, return_counts=True), strict=True):
        observed[tuple(order.tolist())] += int(count)
    return list(observed.values()), columns


WEIGHTS = np.array([4.0, 0.0, 1.0, 2.5, 0.5])


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_distinct_draws_follow_sequential_draws(k):
    expected = sequential_distribution(WEIGHTS, k)
    observed, _ = distinct_counts(WEIGHTS, k, expected)
    assert chi_square(observed, list(expected.values())) > 1e-3
    mutants = {
        "weights for log weights": np.exp(WEIGHTS) * (WEIGHTS > 0),
        "equal weights": (WEIGHTS > 0) * 1.0,
        "inverse weights": np.divide(1, WEIGHTS, where=WEIGHTS > 0, out=WEIGHTS * 0),
    }
    for name, weights in mutants.items():
        wrong = sequential_distribution(weights, k)
        assert chi_square(observed, [wrong[order] for order in expected]) < 1e-6, name
    if k > 1:
        ordered = [expected[tuple(sorted(order))] for order in expected]
        assert chi_square(observed, ordered) < 1e-6, "the order of the draws must be kept"
        product = [np.prod(WEIGHTS[list(order)]) for order in expected]
        assert chi_square(observed, product) < 1e-6, "remaining weights must be renormalized"


@pytest.mark.parametrize("noise", ["none", "shared", "normal"])
def test_mutant_noise_changes_the_distribution_of_distinct_draws(noise, monkeypatch):
    def wrong(shape, seed):
        if noise == "none":
            return tf.zeros(shape)
        if noise == "normal":
            return tf.random.stateless_normal(shape, seed)
        uniform = tf.random.stateless_uniform([shape[0], 1], seed)
        return tf.broadcast_to(-tf.math.log(-tf.math.log(uniform)), shape)

    monkeypatch.setattr(random, "gumbel", wrong)
    expected = sequential_distribution(WEIGHTS, 2)
    observed, _ = distinct_counts(WEIGHTS, 2, expected, rows=50_000)
    assert chi_square(observed, list(expected.values())) < 1e-6


def test_distinct_draws_of_adjacent_rows_are_independent():
    expected = sequential_distribution(WEIGHTS, 2)
    _, columns = distinct_counts(WEIGHTS, 2, expected)
    table = np.zeros((5, 5))
    np.add.at(table, (columns[:-1, 1], columns[1:, 0]), 1)
    some = np.flatnonzero(WEIGHTS)
    assert independence(table[np.ix_(some, some)]) > 1e-3


def test_distinct_draws_keep_leading_axes():
    log_weights = tf.random.stateless_normal([3, 4, 7], [1, 2])
    columns = random.distinct_categorical(log_weights, 7, seed()).numpy()
    np.testing.assert_array_equal(np.sort(columns), np.broadcast_to(np.arange(7), (3, 4, 7)))


def test_gumbel_noise_follows_its_distribution_and_is_finite(monkeypatch):
    values = random.gumbel([200_000], seed()).numpy()
    assert kstest(values, "gumbel_r").pvalue > 1e-3
    assert kstest(-values, "gumbel_r").pvalue < 1e-6
    assert kstest(values, "norm").pvalue < 1e-6
    extremes = tf.constant([0.0, 2.0**-23, 1 - 2.0**-23])
    monkeypatch.setattr(random, "uniform", lambda shape, seed: extremes)
    assert np.isfinite(random.gumbel([3], seed())).all()
