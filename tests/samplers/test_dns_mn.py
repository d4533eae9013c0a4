import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.dns import DNS
from recns_tf.samplers.dns_mn import DNSMN
from tests.goodness_of_fit import chi_square
from tests.samplers import worlds

NUM_ITEMS = 10
POSITIVES = [0, 4, 9]
FREE = [item for item in range(NUM_ITEMS) if item not in POSITIVES]
SCORE = np.random.default_rng(2).permutation(NUM_ITEMS) - 5.0
POOL = worlds.unobserved([POSITIVES], NUM_ITEMS)
TABLES = worlds.tables([[1.0]], SCORE[:, None])
N = 5


def law(top, num_candidates=N, score=SCORE):
    """P(r) = (E min(X_r, M) - E min(X_{r-1}, M)) / M, with X_r binomial; rank 1 is the best."""
    size = len(FREE)

    def expected(rank):
        numbers = np.arange(num_candidates + 1)
        found = stats.binom.pmf(numbers, num_candidates, rank / size)
        return (found * np.minimum(numbers, top)).sum()

    result = np.zeros(NUM_ITEMS)
    for rank, item in enumerate(sorted(FREE, key=lambda item: -score[item]), 1):
        result[item] = (expected(rank) - expected(rank - 1)) / top
    return result


def enumerated(top):
    """Return the same by going through all draws."""
    draws = np.stack(np.meshgrid(*[FREE] * N, indexing="ij"), axis=-1).reshape(-1, N)
    order = np.argsort(-SCORE[draws], axis=1, kind="stable")[:, :top]
    chosen = np.take_along_axis(draws, order, axis=1)
    return np.bincount(chosen.ravel(), minlength=NUM_ITEMS) / chosen.size


class OneRank(DNSMN):
    """Wrong: all negatives of a pair have the same rank among their candidates."""

    def pick(self, candidates, batch, tables, seed):
        place, statistics = super().pick(candidates, batch, tables, seed)
        rank = tf.argsort(tf.argsort(-candidates.scores, axis=2), axis=2)
        first = tf.gather(rank, place, batch_dims=2)[:, :1]
        same = tf.argmax(tf.cast(rank == first[:, :, None], tf.int32), axis=2)
        return tf.cast(same, tf.int32), statistics


class Last(DNSMN):
    """Wrong: the candidate of rank M itself."""

    def pick(self, candidates, batch, tables, seed):
        return tf.math.top_k(candidates.scores, self.top).indices[:, :, -1], {}


class Worst(DNSMN):
    """Wrong: one of the M worst."""

    def pick(self, candidates, batch, tables, seed):
        turned = candidates._replace(scores=-candidates.scores)
        return super().pick(turned, batch, tables, seed)


class Shared(DNSMN):
    """Wrong: the negatives of a pair share their candidates."""

    def choose(self, batch, tables, seed):
        one = DNSMN(1, self.pool, self.num_candidates, self.top).choose(batch, tables, seed)
        return one._replace(ids=tf.tile(one.ids, [1, self.num_negatives]))


def fits(sampler_class, top):
    """Return whether both negatives of a pair have the law, independently."""
    _, ids = worlds.counts(sampler_class(2, POOL, N, top), worlds.batch(50_000), TABLES, NUM_ITEMS)
    table = np.zeros((NUM_ITEMS, NUM_ITEMS))
    np.add.at(table, (ids[:, 0], ids[:, 1]), 1)
    return chi_square(table, np.outer(law(top), law(top))) > 1e-3


@pytest.mark.parametrize("top", [1, 2, 3, N])
def test_the_law_is_that_of_all_draws(top):
    np.testing.assert_allclose(law(top), enumerated(top), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("top", [2, 3, N])
def test_negatives_have_the_law_independently(top):
    assert fits(DNSMN, top)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [OneRank, Last, Worst, Shared])
def test_wrong_versions_do_not_have_the_law(wrong):
    assert not fits(wrong, 2)


def test_other_parameters_have_other_laws():
    observed, _ = worlds.counts(DNSMN(4, POOL, N, 3), worlds.batch(50_000), TABLES, NUM_ITEMS)
    assert chi_square(observed, law(3)) > 1e-3
    for top, num_candidates in ((1, N), (2, N), (4, N), (N, N), (3, N - 1), (3, N + 1)):
        assert chi_square(observed, law(top, num_candidates)) < 1e-6


def test_top_1_is_dns_with_the_same_draws():
    batch = worlds.batch(2_000)
    ours = worlds.sample(DNSMN(4, POOL, N, 1), batch, TABLES)
    expected = worlds.sample(DNS(4, POOL, N), batch, TABLES)
    np.testing.assert_array_equal(ours.ids, expected.ids)
    assert ours.statistics == expected.statistics


def test_hardness_is_the_gain_over_the_candidates():
    """The mean of the M best of N is that of the law, and their candidates are uniform."""
    found = worlds.sample(DNSMN(4, POOL, N, 2), worlds.batch(50_000), TABLES).statistics
    expected = law(2) @ SCORE - SCORE[FREE].mean()
    assert float(found["hardness"]) == pytest.approx(expected, abs=0.02) and expected > 1


@pytest.mark.parametrize(
    ("given", "num_candidates", "top"), [(0, 20, 5), (0, 1, 1), (0, 5, 2), (7, 20, 7), (20, 20, 20)]
)
def test_top_is_a_quarter_unless_given(toy, given, num_candidates, top):
    config = Config(sampler="dns-mn", dns_top=given, num_candidates=num_candidates)
    sampler = DNSMN.from_settings(config, SamplerContext(toy, POOL, 8))
    assert (sampler.top, sampler.num_candidates) == (top, num_candidates)
    with pytest.raises(UserError, match=rf"^--dns_top={num_candidates + 1}: choose at most "):
        DNSMN.check_settings(dataclasses.replace(config, dns_top=num_candidates + 1))
