"""Exactness of weighted draws: all possible random numbers, then the distribution."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf.ops import weighted_item_sets
from recns_tf.ops.weighted_item_sets import WeightedComplement
from tests.goodness_of_fit import chi_square, independence

WEIGHTS = np.array([3.0, 0.0, 1.0, 5.0, 0.0, 2.0, 2.0, 0.0, 7.0, 1.0, 4.0, 2.0])
NUM_ITEMS = len(WEIGHTS)
MISSING = np.zeros((6, NUM_ITEMS), dtype=bool)
MISSING[1, [0, 11]] = True
MISSING[2, [0, 1, 2, 5, 6]] = True
MISSING[3, [7, 8, 9, 10, 11]] = True
MISSING[4, WEIGHTS > 0] = True
MISSING[5, [1, 3, 4, 8]] = True
WITH_WEIGHT = [0, 1, 2, 3, 5]


def seed(n=1):
    return tf.constant([n, 7], tf.int64)


def whole(missing, weights):
    """Return sets whose integer weights are `weights`: one random number per unit of weight."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weighted_item_sets, "TOTAL", int(weights.sum()))
        return WeightedComplement(csr_array(missing), weights)


def counts_of_every_number(missing, weights, search=None):
    """Return how many of the possible random numbers select each item, [U, I].

    Args:
        missing: bool [U, I].
        weights: [I].
        search: replaces tf.searchsorted by a faulty version.
    """
    sets = whole(missing, weights)
    total = int(weights.sum())
    users = tf.range(len(missing))

    def numbers(seed, bound, shape):
        del seed, shape
        return tf.cast(tf.minimum(tf.range(total, dtype=tf.int64), bound - 1), tf.int32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weighted_item_sets.random, "integers", numbers)
        if search is not None:
            patch.setattr(tf, "searchsorted", search(sets, tf.searchsorted))
        items = sets.draw(users, total, seed()).numpy()
    left = ((~missing) * weights).sum(axis=1).astype(int)
    rows = [np.bincount(items[u, : left[u]], minlength=len(weights)) for u in range(len(missing))]
    return np.array(rows)


@st.composite
def worlds(draw):
    num_users, num_items = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    weights = draw(st.lists(st.integers(0, 4), min_size=num_items, max_size=num_items))
    size = num_users * num_items
    missing = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    weights[draw(st.integers(0, num_items - 1))] += 1
    return np.array(missing).reshape(num_users, num_items), np.array(weights, dtype=float)


@given(worlds())
@settings(max_examples=50)
def test_random_numbers_per_item_equal_its_weight(world):
    missing, weights = world
    np.testing.assert_array_equal(counts_of_every_number(missing, weights), ~missing * weights)


def searching(name, side="right", shift=0):
    """Return a faulty search for one of the arrays: on the other side, or shifted."""

    def search(sets, real):
        def faulty(sequence, values, given_side, dtype):
            if sequence is not getattr(sets, name):
                return real(sequence, values, given_side, dtype)
            found = real(sequence, values, side, dtype) + shift
            return tf.clip_by_value(found, 0, tf.size(sequence, dtype))

        return faulty

    return search


MUTANTS = {
    "a search from the left for the missing items": searching("below", side="left"),
    "the weight of one missing item too many": searching("below", shift=1),
    "the weight of one missing item too few": searching("below", shift=-1),
    "a search from the left for the item": searching("ends", side="left"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutant_search_changes_the_counts(mutant):
    expected_counts = ~MISSING * WEIGHTS
    np.testing.assert_array_equal(counts_of_every_number(MISSING, WEIGHTS), expected_counts)
    wrong = counts_of_every_number(MISSING, WEIGHTS, MUTANTS[mutant])
    assert (wrong != expected_counts).any()
    assert wrong[expected_counts == 0].any(), "it would draw missing items"


def test_left_is_the_weight_of_the_items_not_missing():
    sets = whole(MISSING, WEIGHTS)
    expected = (~MISSING * WEIGHTS).sum(axis=1)
    assert expected[4] == 0
    users = tf.constant([5, 4, 0, 1, 2, 3, 4])
    for left in (sets.left, tf.function(sets.left)):
        np.testing.assert_array_equal(left(users), expected[users.numpy()])


def test_weights_become_integers_and_positive_ones_stay_positive():
    weights = np.array([1e12, 0.0, 1e-9, 0.5e12])
    sets = WeightedComplement(csr_array(np.zeros((1, 4), dtype=bool)), weights)
    units = np.diff(sets.ends.numpy(), prepend=0)
    assert units[1] == 0
    assert units[2] == 1
    np.testing.assert_allclose(units[[0, 3]] / 2**30, [2 / 3, 1 / 3], rtol=1e-8)
    assert sets.total == units.sum() < 2**31


def drawn_counts(rows_per_user=40_000, n=5, weights=WEIGHTS):
    """Draw for all users at once, with rows in random order."""
    sets = WeightedComplement(csr_array(MISSING), weights)
    users = np.random.default_rng(0).permutation(np.repeat(WITH_WEIGHT, rows_per_user))
    items = tf.function(lambda u: sets.draw(u, n, seed()))(tf.constant(users, tf.int32)).numpy()
    assert items.dtype == np.int32
    counts = {u: np.bincount(items[users == u].ravel(), minlength=NUM_ITEMS) for u in WITH_WEIGHT}
    return counts, users, items


def test_draws_for_many_users_follow_each_users_weights():
    counts, _, _ = drawn_counts()
    kept = WEIGHTS / WEIGHTS.sum()
    for u in WITH_WEIGHT:
        expected_counts = ~MISSING[u] * WEIGHTS
        assert chi_square(counts[u], expected_counts / expected_counts.sum()) > 1e-3
        assert chi_square(counts[u], ~MISSING[u] * 1.0) < 1e-6, "no weights must fail"
        assert chi_square(counts[u], ~MISSING[u] * (WEIGHTS + 0.05)) < 1e-6, (
            "a little weight for all must fail"
        )
        if (MISSING[u] * WEIGHTS).any():
            assert chi_square(counts[u], kept) < 1e-6, "missing items kept must fail"
        other = ~MISSING[WITH_WEIGHT[WITH_WEIGHT.index(u) - 1]] * WEIGHTS
        assert chi_square(counts[u], other) < 1e-6, "another user's weights must fail"


def test_fractional_weights_keep_their_ratios():
    weights = WEIGHTS**0.75 / 1e5
    counts, _, _ = drawn_counts(weights=weights)
    for u in WITH_WEIGHT:
        assert chi_square(counts[u], ~MISSING[u] * weights) > 1e-3
        assert chi_square(counts[u], ~MISSING[u] * WEIGHTS) < 1e-6, "no exponent must fail"


def test_draws_within_and_across_rows_are_independent():
    _, users, items = drawn_counts()
    allowed = np.flatnonzero(WEIGHTS > 0)
    own = items[users == 0]
    for one, two in ((own[:, 0], own[:, 1]), (own[:-1, 2], own[1:, 3])):
        table = np.zeros((NUM_ITEMS, NUM_ITEMS))
        np.add.at(table, (one, two), 1)
        assert independence(table[np.ix_(allowed, allowed)]) > 1e-3
        assert np.diag(table).sum() > 0, "draws are with replacement"


def test_user_without_remaining_weight_gets_valid_items():
    sets = WeightedComplement(csr_array(MISSING), WEIGHTS)
    items = sets.draw(tf.constant([4, 4, 0]), 50, seed()).numpy()
    assert ((items >= 0) & (items < NUM_ITEMS)).all()
    assert WEIGHTS[items[2]].all()


def test_draws_without_missing_items():
    sets = WeightedComplement(csr_array(np.zeros((2, 3), dtype=bool)), np.array([0.0, 1.0, 3.0]))
    items = tf.function(lambda: sets.draw(tf.zeros([50_000], tf.int32) + 1, 4, seed()))().numpy()
    assert chi_square(np.bincount(items.ravel(), minlength=3), [0, 1, 3]) > 1e-3
