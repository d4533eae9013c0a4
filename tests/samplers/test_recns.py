"""Equations (7) to (11), through the public call, against the paper in NumPy."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.config import distributions
from recns_tf.config.distributions import Distribution
from recns_tf.errors import UserError
from recns_tf.samplers.recns import RecNS, flat, nested
from recns_tf.samplers.recns_o import PositiveAssisted
from recns_tf.samplers.recns_w import ExposureAugmented, amplification
from tests import oracles
from tests.goodness_of_fit import chi_square, independence
from tests.samplers import worlds

RNG = np.random.default_rng(3)
USER = RNG.normal(size=(2, 3))
ITEM = RNG.normal(size=(9, 3)) * 1.5
CANDIDATES = [3, 8, 1, 5, 6, 2]
K = 5
ROWS = 40_000


def drawn_counts(alpha, **options):
    sampler = PositiveAssisted(K, Distribution("constant", alpha, 0.0))
    batch = worlds.batch(ROWS, user=1, positive=4, candidates=CANDIDATES, **options)
    ids = worlds.sample(sampler, batch, worlds.tables(USER, ITEM)).ids
    return np.array([(ids == item).sum() for item in CANDIDATES]), ids


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_equation_7_is_the_distribution_of_the_draws(alpha):
    counts, _ = drawn_counts(alpha)
    distribution = oracles.assisted_law(USER[1], ITEM[4], ITEM[CANDIDATES], alpha)
    assert chi_square(counts, distribution) > 1e-3

    score = alpha * ITEM[CANDIDATES] @ USER[1] + (1 - alpha) * ITEM[CANDIDATES] @ ITEM[4]
    mutants = {
        "softmax of the sigmoid, the authors' code": np.exp(oracles.sigmoid(score)),
        "softmax of the score": np.exp(score),
        "uniform": np.ones(len(CANDIDATES)),
        "the other user": oracles.assisted_law(USER[0], ITEM[4], ITEM[CANDIDATES], alpha),
    }
    if alpha == 0.0:
        del mutants["the other user"]
    else:
        mutants["no positive"] = oracles.assisted_law(USER[1], ITEM[0], ITEM[CANDIDATES], alpha)
    if alpha == 1.0:
        del mutants["no positive"]
    if alpha == 0.3:
        swapped = oracles.assisted_law(USER[1], ITEM[4], ITEM[CANDIDATES], 1 - alpha)
        mutants["alpha and 1 - alpha swapped"] = swapped
    for name, distribution in mutants.items():
        assert chi_square(counts, distribution) < 1e-6, name


def test_draws_are_independent_with_replacement():
    _, ids = drawn_counts(0.3)
    place = {item: n for n, item in enumerate(CANDIDATES)}
    columns = np.vectorize(place.get)(ids)
    for one, two in ((columns[:, 0], columns[:, 1]), (columns[:-1, 2], columns[1:, 3])):
        table = np.zeros((len(CANDIDATES),) * 2)
        np.add.at(table, (one, two), 1)
        assert independence(table) > 1e-3
        assert np.diag(table).sum() > 0


def test_alpha_is_drawn_for_every_pair_and_candidate():
    """With one α per pair, both draws of a pair would agree much more often."""
    user, item = np.array([[8.0, 0.0]]), np.array([[0, 0], [1, -1], [-1, 1]])
    item[0] = [0, 8]  # the positive: scores of the candidates are (8, -8) and (-8, 8)
    batch = worlds.batch(ROWS, candidates=[1, 2])
    ids = worlds.sample(
        PositiveAssisted(2, distributions.parse("uniform(0,1)")), batch, worlds.tables(user, item)
    ).ids
    agree = (ids[:, 0] == ids[:, 1]).mean()
    alpha = np.random.default_rng(0).random((2, 400_000))

    def agreement(first, second):
        weights = oracles.sigmoid([8 * first - 8 * (1 - first), -8 * second + 8 * (1 - second)])
        distribution = weights / weights.sum(axis=0)
        return (distribution**2).sum(axis=0).mean()

    assert agree == pytest.approx(agreement(alpha[0], alpha[1]), abs=0.01)
    assert abs(agree - agreement(alpha[0], alpha[0])) > 0.03


@pytest.mark.parametrize(
    ("exposed", "candidates", "beta"),
    [
        ([1, 2, 3], [7, 8, 9], [1, 1, 1]),
        ([1, 2, 3], [3, 8, 9], [1, 1, 1]),
        ([1, 2, 3], [3, 1, 9], [2, 1, 2]),
        ([1, 2, 3], [3, 1, 2], [3, 3, 3]),
        ([2, 2, 3], [2, 9, 8], [1, 1, 1]),
        ([2, 2, 3], [2, 3, 8], [2, 2, 2]),
        ([2, 5, 3], [2, 2, 3], [2, 1, 2]),
        ([4, 4, 4], [4, 4, 4], [1, 1, 1]),
    ],
)
def test_equation_9_on_worked_examples(exposed, candidates, beta):
    np.testing.assert_array_equal(oracles.beta(exposed, candidates), beta)
    result = amplification(tf.constant([exposed]), tf.constant([candidates]))
    np.testing.assert_array_equal(result, [beta])


def test_equation_9_on_random_sets():
    rng = np.random.default_rng(0)
    exposed, candidates = rng.integers(0, 12, (2, 300, 6))
    expected = [oracles.beta(m, c) for m, c in zip(exposed, candidates, strict=True)]
    result = amplification(tf.constant(exposed), tf.constant(candidates))
    np.testing.assert_array_equal(result, expected)


@pytest.mark.slow
def test_equation_8_picks_the_largest_amplified_score():
    rng = np.random.default_rng(1)
    flipped = 0
    for n in range(60):
        exposed, candidates = rng.permutation(9)[:4].tolist(), rng.permutation(9)[:4].tolist()
        batch = worlds.batch(2, user=n % 2, candidates=candidates, exposed=exposed)
        ids = worlds.sample(ExposureAugmented(3), batch, worlds.tables(USER, ITEM)).ids
        factors = oracles.beta(exposed, candidates)
        best = oracles.exposed_negative(USER[n % 2], exposed, ITEM, factors)
        np.testing.assert_array_equal(ids, best)
        flipped += best != oracles.exposed_negative(USER[n % 2], exposed, ITEM, np.ones(4))
    assert flipped > 0, "beta must have decided some of the picks"


def test_equation_8_does_not_saturate():
    """σ of both scores is 1 in float32; the larger must still win, in any position."""
    item = np.array([[0.0], [30.0], [40.0]])
    for exposed in ([1, 2], [2, 1]):
        batch = worlds.batch(1, candidates=[0, 0], exposed=exposed)
        # Eagerly, because the graph optimizer would remove a sigmoid from an argmax.
        ids = ExposureAugmented(1).sample(batch, worlds.tables([[1.0]], item), batch.seed).ids
        assert ids.numpy().tolist() == [[2]]


def test_the_first_of_equal_scores_wins():
    batch = worlds.batch(1, candidates=[0, 0], exposed=[2, 1])
    item = np.array([[0.0], [1.0], [1.0]])
    assert worlds.sample(ExposureAugmented(1), batch, worlds.tables([[1.0]], item)).ids == [[2]]


def test_equation_11_for_every_negative():
    exposed, assisted = RNG.normal(size=(4, 1, 3)), RNG.normal(size=(4, K, 3))
    merged = flat(tf.constant(exposed), tf.constant(assisted), 1 / K).numpy()
    for pair in range(4):
        for i in range(K):
            expected = oracles.merge(exposed[pair, 0], assisted[pair, i], K)
            np.testing.assert_allclose(merged[pair, i], expected, rtol=1e-6)


def test_recns_merges_its_two_parts():
    alpha = distributions.parse("uniform(0,1)")
    batch = worlds.batch(50, user=1, positive=4, candidates=CANDIDATES, exposed=[7, 3, 0, 7, 7, 7])
    tables = worlds.tables(USER, ITEM)
    whole = worlds.sample(RecNS(K, alpha), batch, tables)
    assisted = worlds.sample(PositiveAssisted(K, alpha), batch, tables)
    augmented = worlds.sample(ExposureAugmented(K), batch, tables)
    np.testing.assert_array_equal(whole.ids, assisted.ids)
    expected = augmented.scores / K + (1 - 1 / K) * assisted.scores
    np.testing.assert_allclose(whole.scores, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(augmented.ids, np.repeat(augmented.ids[:, :1], K, axis=1))
    assert whole.statistics == assisted.statistics | augmented.statistics


def test_gradients_reach_both_parts_by_their_shares():
    user, item = tf.constant(USER, tf.float32), tf.constant(ITEM, tf.float32)
    batch = worlds.batch(1, user=1, positive=4, candidates=[3, 3], exposed=[7, 7])
    with tf.GradientTape() as tape:
        tape.watch(item)
        negatives = RecNS(4, distributions.parse("0.5")).sample(
            batch, worlds.FullTables(user, item), batch.seed
        )
        total = tf.reduce_sum(negatives.scores)
    gradient = tf.convert_to_tensor(tape.gradient(total, item)).numpy()
    expected = np.zeros_like(ITEM)
    expected[3], expected[7] = 4 * (1 - 1 / 4) * USER[1], 4 * (1 / 4) * USER[1]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_hardness_is_the_gap_between_drawn_and_candidates():
    _, ids = drawn_counts(0.3)
    sampler = PositiveAssisted(K, Distribution("constant", 0.3, 0.0))
    batch = worlds.batch(ROWS, user=1, positive=4, candidates=CANDIDATES)
    reported = worlds.sample(sampler, batch, worlds.tables(USER, ITEM)).statistics["hardness"]
    score = ITEM @ USER[1]
    assert reported == pytest.approx(score[ids].mean() - score[CANDIDATES].mean(), abs=1e-4)


@pytest.mark.parametrize("num_exposed", [1, 2, 4, 7])
def test_several_exposed_negatives_take_turns(num_exposed):
    """Negative i is merged with exposed item number i mod n in the order of eq. (8)."""
    exposed, candidates = [7, 3, 0, 1, 8, 4, 2], [7, 3, 5, 6, 2, 8, 1]
    batch = worlds.batch(3, user=1, positive=4, candidates=candidates, exposed=exposed)
    tables = worlds.tables(USER, ITEM)
    sampler = RecNS(K, Distribution("constant", 0.5, 0.0), num_exposed=num_exposed)
    chosen = sampler.choose(batch, tables, batch.seed).ids.numpy()
    ranked = np.argsort(-oracles.beta(exposed, candidates) * (ITEM[exposed] @ USER[1]))
    best = np.array(exposed)[ranked[:num_exposed]]
    np.testing.assert_array_equal(chosen[:, K:], [best] * 3)
    negatives = sampler.sample(batch, tables, batch.seed)
    for row, ids in enumerate(chosen[:, :K]):
        for i, item in enumerate(ids):
            merged = oracles.merge(ITEM[best[i % num_exposed]], ITEM[item], K)
            assert float(negatives.scores[row, i]) == pytest.approx(merged @ USER[1], rel=1e-5)


def test_more_exposed_negatives_than_candidates_is_an_error(toy_config):
    config = dataclasses.replace(toy_config, num_exposed=5)
    with pytest.raises(UserError, match="--num_exposed=5: choose at most 4"):
        RecNS.check_settings(config)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 2.0, K])
def test_exposed_negatives_have_their_weight_over_k(weight):
    batch = worlds.batch(3, user=1, positive=4, candidates=[7, 3, 5, 6], exposed=[8, 0])
    sampler = RecNS(K, Distribution("constant", 0.5, 0.0), exposed_weight=weight)
    tables = worlds.tables(USER, ITEM)
    chosen = sampler.choose(batch, tables, batch.seed).ids.numpy()
    scores = sampler.sample(batch, tables, batch.seed).scores.numpy()
    for row, (*assisted, exposed) in enumerate(chosen):
        merged = weight / K * ITEM[exposed] + (1 - weight / K) * ITEM[assisted]
        np.testing.assert_allclose(scores[row], merged @ USER[1], rtol=1e-5, atol=1e-6)


def test_an_exposed_weight_above_k_is_an_error(toy_config):
    config = dataclasses.replace(toy_config, exposed_weight=4.5, num_negatives=4)
    with pytest.raises(UserError, match=r"^--exposed_weight=4\.5: choose at most 4, --num_neg"):
        RecNS.check_settings(config)


def test_nested_merge():
    exposed, assisted = RNG.normal(size=(2, 1, 3)), RNG.normal(size=(2, K, 3))
    merged = nested(tf.constant(exposed), tf.constant(assisted), 1 / K)
    for pair in range(2):
        expected = oracles.nested_merge(exposed[pair, 0], assisted[pair], K)
        np.testing.assert_allclose(merged[pair], expected, rtol=1e-6)
