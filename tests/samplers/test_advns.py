"""AdvNS: the distribution of its choice, and the training of its generator."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.encoders.tables import FullTables
from recns_tf.samplers.advns import AdvNS
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.generator import Feedback, GeneratorOptions
from recns_tf.training.build import build
from tests.goodness_of_fit import chi_square
from tests.oracles import sigmoid
from tests.samplers import worlds

NUM_ITEMS = 7
POSITIVES = [0, 3, 6]
FREE = [1, 2, 4, 5]
POOL = worlds.unobserved([[], POSITIVES], NUM_ITEMS)
RNG = np.random.default_rng(8)
NODES = RNG.normal(size=(2 + NUM_ITEMS, 2)).astype(np.float32)
BIAS = RNG.normal(size=NUM_ITEMS).astype(np.float32)
SCORE = np.array([0.0, -1.5, 2.0, 0.0, 0.4, -0.3, 0.0])
TABLES = worlds.tables([[-1.0], [1.0]], SCORE[:, None])
REWARD = 2 * (sigmoid(SCORE) - 0.5)
ROWS = 200_000


def make(k=1, sampler=AdvNS, nodes=NODES, bias=BIAS, leave_one_out=False, **options):
    options = GeneratorOptions(**{"num_candidates": 3, "dim": 2, "warmup": 0, "l2": 0.0} | options)
    made = sampler(k, POOL, 2, NUM_ITEMS, options, leave_one_out=leave_one_out)
    made.generator.nodes.assign(nodes)
    made.generator.bias.assign(bias)
    return made


def logits(user=1, nodes=NODES, bias=BIAS):
    return nodes[2:] @ nodes[user] + bias


def softmax(values):
    weights = np.exp(values - np.max(values, axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def choices(score, temperature, n=3):
    """Yield every tuple of candidates of user 1 (equally likely), and its softmax."""
    for candidates in itertools.product(FREE, repeat=n):
        yield list(candidates), softmax(score[list(candidates)] / temperature)


def pair_distribution(score, temperature, n=3):
    """P(first, second negative): two independent draws from the same candidates."""
    distribution = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for candidates, p in choices(score, temperature, n):
        one = np.bincount(candidates, p, NUM_ITEMS)
        distribution += np.outer(one, one) / len(FREE) ** n
    return distribution


def pairs(sampler):
    ids = worlds.sample(sampler, worlds.batch(ROWS, user=1), TABLES).ids
    counts = np.zeros((NUM_ITEMS, NUM_ITEMS))
    np.add.at(counts, (ids[:, 0], ids[:, 1]), 1)
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_negatives_are_drawn_from_the_softmax_over_a_pair_s_candidates(temperature):
    counts = pairs(make(2, temperature=temperature))
    distribution = pair_distribution(logits(), temperature)
    assert chi_square(counts, distribution) > 1e-3
    mutants = {
        "another temperature": pair_distribution(logits(), 1.5 - temperature),
        "no bias": pair_distribution(logits(bias=0 * BIAS), temperature),
        "another user": pair_distribution(logits(user=0), temperature),
        "upside down": pair_distribution(-logits(), temperature),
        "one candidate more": pair_distribution(logits(), temperature, n=4),
        "candidates of its own for each negative": np.outer(
            distribution.sum(axis=1), distribution.sum(axis=1)
        ),
    }
    for name, wrong in mutants.items():
        assert chi_square(counts, wrong) < 1e-6, name


@pytest.mark.slow
def test_one_candidate_constant_generator_or_warmup_are_uniform():
    uniform = np.isin(np.arange(NUM_ITEMS), FREE) / len(FREE)
    one = worlds.sample(make(num_candidates=1), worlds.batch(ROWS, user=1), TABLES).ids
    assert chi_square(np.bincount(one[:, 0], minlength=NUM_ITEMS), uniform) > 1e-3
    constant = pairs(make(2, nodes=0 * NODES, bias=0 * BIAS + 3))
    assert chi_square(constant.sum(axis=0), uniform) > 1e-3
    warm = make(2, warmup=2)
    for epoch, is_uniform in ((0, True), (1, True), (2, False)):
        warm.begin_epoch(epoch, None)
        counts = pairs(warm)
        distribution = (
            np.outer(uniform, uniform) if is_uniform else pair_distribution(logits(), 1.0)
        )
        assert chi_square(counts, distribution) > 1e-3
        assert (chi_square(counts, np.outer(uniform, uniform)) > 1e-3) == is_uniform


USERS, ITEMS = np.array([1, 0, 1, 1, 0]), np.array([0, 2, 3, 6, 5])
CANDIDATES = RNG.integers(0, NUM_ITEMS, (5, 4))
DRAWN = RNG.integers(0, 4, (5, 3))
ADVANTAGE = RNG.normal(size=(5, 3))
BATCH = worlds.batch(5)._replace(
    users=tf.constant(USERS, tf.int32), positives=tf.constant(ITEMS, tf.int32)
)
LESSON = Feedback(
    tf.constant(CANDIDATES, tf.int32),
    tf.constant(DRAWN, tf.int32),
    tf.constant(ADVANTAGE, tf.float32),
    (tf.constant(ADVANTAGE, tf.float32),),
)


def oracle(nodes, bias, temperature, l2, warm):
    """The generator's loss, pair by pair and draw by draw."""
    gain = penalty = 0.0
    for b, user in enumerate(USERS):
        score = nodes[2 + CANDIDATES[b]] @ nodes[user] + bias[CANDIDATES[b]]
        positive = nodes[2 + ITEMS[b]] @ nodes[user] + bias[ITEMS[b]]
        rows = [nodes[user], nodes[2 + ITEMS[b]]]
        for j, column in enumerate(DRAWN[b]):
            log_p = np.log(softmax(score / temperature))[column]
            gain += np.log(sigmoid(positive - score[column])) if warm else ADVANTAGE[b, j] * log_p
            rows.append(nodes[2 + CANDIDATES[b, column]])
        penalty += 0.5 * sum(row @ row for row in rows)
    return -gain / DRAWN.size + l2 * penalty / len(USERS)


def finite_differences(function, at, step=1e-5):
    slopes = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        slopes[index] = (function(up) - function(down)) / (2 * step)
    return slopes


@pytest.mark.parametrize("warm", [False, True])
def test_generator_loss_and_gradient_follow_the_formula(warm):
    setting = 0.6, 0.03, warm
    sampler = make(3, temperature=0.6, l2=0.03, warmup=int(warm), num_candidates=4)
    weights = [weight.value for weight in sampler.generator.trainable_variables]
    with tf.GradientTape() as tape:
        loss = sampler.generator_loss(BATCH, LESSON)
    nodes, bias = NODES.astype(float), BIAS.astype(float)
    assert float(loss) == pytest.approx(oracle(nodes, bias, *setting), rel=1e-5)
    assert float(loss) != pytest.approx(oracle(nodes, bias, 0.6, 0.0, warm), rel=1e-3)
    expected = (
        finite_differences(lambda at: oracle(at, bias, *setting), nodes),
        finite_differences(lambda at: oracle(nodes, at, *setting), bias),
    )
    for gradient, slopes in zip(tape.gradient(loss, weights), expected, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), slopes, atol=1e-5)


def test_update_is_a_step_of_adam():
    """A row repeated in a batch has one gradient, the sum, which Adam squares as a whole."""
    sampler = make(3, temperature=0.6, l2=0.03, num_candidates=4, learning_rate=0.01)
    weights = [NODES.astype(float), BIAS.astype(float)]
    mean, square = [0.0, 0.0], [0.0, 0.0]
    for t in range(1, 4):
        sampler.update_state(BATCH, LESSON)
        gradients = (
            finite_differences(lambda at: oracle(at, weights[1], 0.6, 0.03, False), weights[0]),
            finite_differences(lambda at: oracle(weights[0], at, 0.6, 0.03, False), weights[1]),
        )
        for n, gradient in enumerate(gradients):
            mean[n] = 0.9 * mean[n] + 0.1 * gradient
            square[n] = 0.999 * square[n] + 0.001 * gradient**2
            root = np.sqrt(square[n] / (1 - 0.999**t))
            weights[n] = weights[n] - 0.01 * mean[n] / (1 - 0.9**t) / (root + 1e-8)
    for weight, expected in zip(sampler.generator.trainable_variables, weights, strict=True):
        np.testing.assert_allclose(weight.numpy(), expected, atol=1e-4)


class WrongSign(AdvNS):
    def generator_loss(self, batch, feedback):
        return -super().generator_loss(batch, feedback)


class OwnReward(AdvNS):
    def advantage(self, rewards):
        return rewards[0] - rewards[0]


def expected_gain(temperature, baseline):
    """d E[r] / d bias, and the variance of a one-draw estimate of it."""
    mean, square = np.zeros(NUM_ITEMS), np.zeros(NUM_ITEMS)
    for candidates, p in choices(logits(), temperature):
        reward, share = REWARD[candidates], np.bincount(candidates, p, NUM_ITEMS)
        gain = p * (reward - p @ reward) / temperature
        mean += np.bincount(candidates, gain, NUM_ITEMS)
        for item, r, chance in zip(candidates, reward, p, strict=True):
            one = (r - baseline) * ((np.arange(NUM_ITEMS) == item) - share) / temperature
            square += chance * one**2
    count = len(FREE) ** 3
    return mean / count, square / count - (mean / count) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("baseline", [0.0, 0.4])
def test_gradient_estimates_are_unbiased(baseline):
    def error(sampler, temperature=0.7):
        made = make(sampler=sampler, temperature=0.7)
        made.baseline.assign(baseline)
        batch = worlds.batch(ROWS, user=1)
        feedback = worlds.sample(made, batch, TABLES).feedback
        with tf.GradientTape() as tape:
            loss = made.generator_loss(batch, feedback)
        gradient = tape.gradient(loss, made.generator.bias.value)
        mean, variance = expected_gain(temperature, baseline)
        gap = -tf.convert_to_tensor(gradient).numpy() - mean
        return np.abs(gap[FREE] / np.sqrt(variance[FREE] / ROWS)).max()

    assert error(AdvNS) < 4
    assert error(AdvNS, temperature=1.0) > 10
    assert error(WrongSign) > 10
    assert error(OwnReward) > 10


def test_rewards_are_those_of_the_frozen_recommender():
    class Live(FullTables):
        def frozen(self):
            return TABLES

    live = Live(tf.ones([2, 1]), tf.ones([NUM_ITEMS, 1]))
    sampler = make(3)
    batch = worlds.batch(50, user=1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([live.user, live.item, TABLES.user, TABLES.item])
        negatives = sampler.sample(batch, live, batch.seed)
        loss = sampler.generator_loss(batch, negatives.feedback)
    (rewards,) = negatives.feedback.rewards
    np.testing.assert_allclose(rewards, REWARD[negatives.ids.numpy()], atol=1e-6)
    assert tape.gradient(loss, [live.user, live.item, TABLES.user, TABLES.item]) == [None] * 4
    assert float(negatives.statistics["generator_reward"]) == pytest.approx(np.mean(rewards))


@pytest.mark.slow
def test_the_baseline_is_a_running_mean_or_the_mean_of_the_other_rewards():
    batch = worlds.batch(6, user=1)
    for warmup in (0, 1):
        sampler = make(3, warmup=warmup)
        sampler.baseline.assign(0.3)
        feedback = worlds.sample(sampler, batch, TABLES).feedback
        np.testing.assert_allclose(feedback.advantage, feedback.rewards[0] - 0.3, atol=1e-6)
        sampler.update_state(batch, feedback)
        expected = 0.99 * 0.3 + 0.01 * feedback.rewards[0].mean()
        assert sampler.baseline.numpy() == pytest.approx(expected, abs=1e-6)
    feedback = worlds.sample(make(3, leave_one_out=True), batch, TABLES).feedback
    (r,) = feedback.rewards
    for row, j in np.ndindex(r.shape):
        others = np.delete(r[row], j).mean()
        assert feedback.advantage[row, j] == pytest.approx(r[row, j] - others, abs=1e-6)
    alone = worlds.sample(make(1, leave_one_out=True), batch, TABLES).feedback
    np.testing.assert_allclose(alone.advantage, alone.rewards[0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "rises"), [(AdvNS, True), (WrongSign, False)])
def test_reward_rises_with_a_fixed_recommender(sampler, rises):
    made = make(3, sampler=sampler, nodes=0 * NODES + 0.1, bias=0 * BIAS, learning_rate=0.02)

    @tf.function
    def step(seed):
        batch = worlds.batch(64, user=1)
        made.update_state(batch, made.sample(batch, TABLES, seed).feedback)

    def expected_reward():
        nodes, bias = made.generator.nodes.numpy(), made.generator.bias.numpy()
        every = choices(logits(nodes=nodes, bias=bias), 1.0)
        return np.mean([p @ REWARD[candidates] for candidates, p in every])

    before = expected_reward()
    for n in range(200):
        step(tf.constant([n, 3], tf.int64))
    gain = expected_reward() - before
    assert gain > 0.3 if rises else gain < -0.3


def test_sampling_alone_changes_nothing():
    sampler = make(3, num_candidates=4)
    weights = [*sampler.weights, *sampler.optimizer.variables]
    before = [weight.numpy().copy() for weight in weights]
    worlds.sample(sampler, worlds.batch(9, user=1), TABLES)
    for weight, value in zip(weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_generator_and_encoder_are_trained_separately(toy, toy_config):
    config = dataclasses.replace(toy_config, sampler="advns", advns_baseline="others")
    model, pipeline, _ = build(config, toy)
    sampler, encoder = model.sampler, model.encoder
    assert sampler.leave_one_out
    assert not AdvNS.from_settings(toy_config, SamplerContext(toy, POOL, 8)).leave_one_out
    own = [weight.value for weight in sampler.generator.trainable_variables]
    batch = next(iter(pipeline.batches()))
    for epoch in (0, 1):
        sampler.begin_epoch(epoch, encoder)
        with tf.GradientTape(persistent=True) as tape:
            values, negatives = model.forward(batch)
        assert tape.gradient(values["loss"], own) == [None, None]
        before = [weight.numpy().copy() for weight in encoder.weights]
        generated = own[0].numpy().copy()
        sampler.update_state(batch, negatives.feedback)
        for weight, value in zip(encoder.weights, before, strict=True):
            np.testing.assert_array_equal(weight.numpy(), value)
        assert not np.array_equal(own[0].numpy(), generated)
    paths = {weight.path for weight in encoder.trainable_variables}
    assert not paths & {weight.path for weight in sampler.trainable_variables}


def perturbed(epsilon, user):
    """Return scores and gradients of AdvNS with user embeddings `user`, float64 [2, 3]."""
    item = np.random.default_rng(3).normal(size=(NUM_ITEMS, 3))
    sampler = make(k=2)
    sampler.epsilon = epsilon
    tables = [tf.constant(each, tf.float32) for each in (user, item)]
    batch = worlds.batch(5, user=1, positive=0)
    weights = np.arange(10.0).reshape(5, 2)
    with tf.GradientTape() as tape:
        tape.watch(tables)
        found = sampler.sample(batch, FullTables(*tables), batch.seed)
        total = tf.reduce_sum(found.scores * tf.constant(weights, tf.float32))
    gradient = tf.convert_to_tensor(tape.gradient(total, tables)[0]).numpy()
    return found.ids.numpy(), found.scores.numpy(), gradient, item, weights


def test_negatives_are_perturbed_along_the_gradient_of_the_loss():
    """e_n + ε g / ‖g‖, with g by finite differences of a loss in e_n."""
    user = np.random.default_rng(4).normal(size=(2, 3))
    ids, scores, gradient, item, weights = perturbed(0.7, user)

    def loss(vector):
        return np.logaddexp(0, user[1] @ vector - 0.3)

    expected, slope = np.zeros((5, 2)), np.zeros(3)
    for place in np.ndindex(5, 2):
        vector = item[ids[place]]
        steps = 1e-6 * np.eye(3)
        g = np.array([loss(vector + step) - loss(vector - step) for step in steps])
        moved = vector + 0.7 * g / np.linalg.norm(g)
        expected[place] = user[1] @ moved
        # The perturbation is a constant.
        slope += weights[place] * moved
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    np.testing.assert_allclose(gradient[1], slope, rtol=1e-4)
    plain = user[1] @ item[ids].transpose(0, 2, 1)
    length = np.linalg.norm(user[1])
    for wrong in (plain, plain - 0.7 * length, plain + 0.7, plain + 0.7 * length**2):
        assert np.abs(scores - wrong).min() > 1e-2


def test_without_epsilon_nothing_is_perturbed(toy, toy_config):
    user = np.random.default_rng(4).normal(size=(2, 3))
    ids, scores, gradient, item, weights = perturbed(0.0, user)
    np.testing.assert_allclose(scores, item[ids] @ user[1], rtol=1e-5)
    np.testing.assert_allclose(gradient[1], np.einsum("bk,bkd->d", weights, item[ids]), rtol=1e-4)
    zero = np.zeros((2, 3))
    assert np.isfinite(perturbed(0.7, zero)[2]).all(), "a user of length 0 has no direction"
    for epsilon in (0.0, 0.25):
        config = dataclasses.replace(toy_config, sampler="advns", adv_epsilon=epsilon)
        assert build(config, toy)[0].sampler.epsilon == epsilon
