from itertools import permutations

import numpy as np
import pytest

from recns_tf.datasets.synthetic import weighted_sampling
from recns_tf.datasets.synthetic.weighted_sampling import (
    Proposer,
    Rates,
    alias_table,
    exponential_race,
    weighted_sampling_without_replacement,
)
from tests.goodness_of_fit import chi_square

WEIGHTS = np.array([1.0, 3.0, 0.5, 2.0])
TRAITS = np.array([[1.5, 0.0], [-0.5, 0.5], [0.0, -2.0], [0.3, 0.4]])
TASTES = np.array([[1.0, 0.0], [0.6, -0.8], [-1.0, 0.0]])
STRENGTH = 1.25
RATES = WEIGHTS * np.exp(STRENGTH * TASTES @ TRAITS.T)


def rates_of(num_users, tastes=TASTES):
    """Return the rates of many users, whose tastes repeat `tastes` cyclically."""
    return Rates(WEIGHTS, np.resize(tastes, (num_users, 2)), TRAITS, STRENGTH)


def inclusion(rates, count, left):
    """Return the probability that `count` draws include each item, by enumeration."""
    probabilities = np.zeros(len(rates))
    for order in permutations(left, count):
        probability, total = 1.0, sum(rates[i] for i in left)
        for item in order:
            probability *= rates[item] / total
            total -= rates[item]
        probabilities[list(order)] += probability
    return probabilities


@pytest.mark.parametrize("user", range(3))
def test_accepted_proposals_follow_the_rates(user):
    users = np.full(200_000, user)
    items, accepted = Proposer(rates_of(3)).propose(users, np.random.default_rng(user))
    counts = np.bincount(items[accepted], minlength=4)
    assert chi_square(counts, RATES[user]) > 1e-3
    assert chi_square(np.bincount(items, minlength=4), RATES[user]) < 1e-6, "proposals alone do not"


def test_first_draw_follows_the_rates():
    items = (
        weighted_sampling_without_replacement(
            rates_of(60_000), np.ones(60_000, dtype=np.int64), np.random.default_rng(0)
        )
        % 4
    )
    for user in range(3):
        assert chi_square(np.bincount(items[user::3], minlength=4), RATES[user]) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [0, 1, weighted_sampling.ROUNDS])
@pytest.mark.parametrize(("count", "excluded"), [(2, None), (3, None), (2, 1)])
def test_inclusion_probabilities_are_those_of_sampling_without_replacement(
    monkeypatch, rounds, count, excluded
):
    """This holds for any number of rounds of proposals before the exponential race."""
    monkeypatch.setattr(weighted_sampling, "ROUNDS", rounds)
    monkeypatch.setattr(weighted_sampling, "PROPOSALS_PER_DRAW", 2)
    num_users = 15_000
    taken = None if excluded is None else np.arange(num_users) * 4 + excluded
    rng = np.random.default_rng(count)
    keys = weighted_sampling_without_replacement(
        rates_of(num_users), np.full(num_users, count), rng, taken
    )
    assert np.all(np.diff(keys) > 0) and len(keys) == num_users * count
    users, items = np.divmod(keys, 4)
    left = [item for item in range(4) if item != excluded]
    for user in range(3):
        found = np.bincount(items[users % 3 == user], minlength=4) / (num_users / 3)
        probabilities = inclusion(RATES[user], count, left)
        error = np.sqrt(probabilities * (1 - probabilities) / (num_users / 3))
        assert np.all(np.abs(found - probabilities) <= 4 * error)


def test_counts_are_exact_and_excluded_pairs_are_never_drawn():
    rng = np.random.default_rng(0)
    rates = Rates(
        rng.lognormal(size=50), np.resize(TASTES, (400, 2)), rng.normal(size=(50, 2)), 2.0
    )
    counts = rng.integers(0, 26, size=400)
    one = weighted_sampling_without_replacement(rates, counts, np.random.default_rng(1))
    other = weighted_sampling_without_replacement(
        rates, 50 - counts, np.random.default_rng(2), excluded=one
    )
    np.testing.assert_array_equal(np.bincount(one // 50, minlength=400), counts)
    np.testing.assert_array_equal(np.sort(np.concatenate([one, other])), np.arange(400 * 50))


def test_blocks_of_users_do_not_affect_the_distribution(monkeypatch):
    monkeypatch.setattr(weighted_sampling, "DRAWS_PER_BLOCK", 100)
    counts = np.resize([0, 2, 1, 3, 3, 0], 30_000)
    keys = weighted_sampling_without_replacement(rates_of(30_000), counts, np.random.default_rng(3))
    np.testing.assert_array_equal(np.bincount(keys // 4, minlength=30_000), counts)
    single = keys[counts[keys // 4] == 1]
    assert chi_square(np.bincount(single % 4, minlength=4), RATES[2]) > 1e-3


def test_alias_table_represents_its_distribution():
    for weights in (np.array([1.0]), np.ones(7), np.random.default_rng(0).lognormal(0, 3, 1000)):
        share, other = alias_table(weights)
        distribution = share.copy()
        np.add.at(distribution, other, 1 - share)
        np.testing.assert_allclose(distribution / len(weights), weights / weights.sum(), atol=1e-12)
        assert share.min() >= 0 and share.max() <= 1


def test_exponential_race_never_draws_taken_items():
    rng = np.random.default_rng(0)
    for _ in range(50):
        items = exponential_race(np.array([9.0, 0.0, -9.0, 5.0]), 2, np.array([0, 3]), rng)
        assert sorted(items.tolist()) == [1, 2]
