"""MixGCF against a program that mixes all vectors, as the paper describes it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest

from recns_tf.config.config import Config
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.dns import DNS
from recns_tf.samplers.mixgcf import MixGCF
from recns_tf.training.build import build
from tests import oracles
from tests.goodness_of_fit import chi_square
from tests.samplers import layer_worlds as layers
from tests.samplers import worlds

K, N = 4, 5


def brute_force(candidates, shares, weights, user=layers.USER, item=layers.ITEM, wrong=""):
    """Mix every candidate with the positive in every layer, pick, pool and score.

    Returns the picked items [B, k, L + 1] and the scores of the negatives [B, k].
    """
    picked = np.zeros(shares.shape, int)
    scores = np.zeros(shares.shape[:2])
    for b, i in np.ndindex(scores.shape):
        u, v = layers.USERS[b], layers.ITEMS[b]
        rows = []
        for layer in range(layers.LAYERS):
            share = shares[b, i, 0 if wrong == "one share for all layers" else layer]
            if wrong == "one share for all negatives":
                share = shares[b, 0, layer]
            if wrong == "no positive mixing":
                share = 0.0
            if wrong == "the share of the other":
                share = 1 - share
            mixed = [
                share * item[layer, v] + (1 - share) * item[layer, c] for c in candidates[b, i]
            ]
            chooser = layers.factor(u, layer, weights, user)
            if wrong == "the user's row of the layer":
                chooser = user[layer, u]
            utility = [chooser @ each for each in mixed]
            if wrong == "one item for all layers":
                whole = layers.pooled(user[:, u], weights)
                utility = [whole @ layers.pooled(item[:, c], weights) for c in candidates[b, i]]
            best = np.argmin(utility) if wrong == "the easiest" else np.argmax(utility)
            picked[b, i, layer] = candidates[b, i, best]
            rows.append(mixed[best])
        if wrong == "only the last layer":
            rows = [rows[-1]] * len(rows)
        scores[b, i] = layers.pooled(user[:, u], weights) @ layers.pooled(rows, weights)
    return picked, scores


WRONG = {
    "one share for all layers", "one share for all negatives", "no positive mixing",
    "the share of the other", "the user's row of the layer", "one item for all layers",
    "the easiest", "only the last layer",
}  # fmt: skip


@pytest.mark.parametrize("pooling", layers.WEIGHTS)
def test_negatives_are_those_of_mixed_vectors(pooling):
    weights, batch = layers.WEIGHTS[pooling], layers.batch()
    sampler, tables = MixGCF(K, layers.POOL, N), layers.tables(weights=weights)
    found = sampler.sample(batch, tables, batch.seed)
    ids = sampler.choose(batch, tables.frozen(), batch.seed).ids.numpy()
    known = layers.drawn(K, N, batch), layers.shares(K, batch)
    picked, scores = brute_force(*known, weights)
    assert ids.shape == (5, K * layers.LAYERS)
    np.testing.assert_array_equal(ids, np.concatenate(np.moveaxis(picked, 2, 0), axis=1))
    np.testing.assert_array_equal(found.ids, picked[:, :, 0])
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-5)
    positive = [
        layers.pooled(layers.USER[:, u], weights) @ layers.pooled(layers.ITEM[:, v], weights)
        for u, v in zip(layers.USERS, layers.ITEMS, strict=True)
    ]
    np.testing.assert_allclose(found.positive_scores, positive, rtol=1e-4, atol=1e-5)
    for name in sorted(WRONG):
        if name == "the user's row of the layer" and weights is None:
            continue  # There it is right.
        _, other = brute_force(*known, weights, wrong=name)
        assert not np.allclose(other, scores, rtol=1e-2), name


@pytest.mark.parametrize("pooling", layers.WEIGHTS)
def test_hardness_is_that_of_the_rows_before_the_positive_is_mixed_in(pooling):
    weights, batch = layers.WEIGHTS[pooling], layers.batch()
    tables = layers.tables(weights=weights)
    found = MixGCF(K, layers.POOL, N).sample(batch, tables, batch.seed)
    candidates, shares = layers.drawn(K, N, batch), layers.shares(K, batch)
    _, chosen = brute_force(candidates, 0 * shares, weights)
    every = [
        layers.pooled(layers.USER[:, u], weights) @ layers.pooled(layers.ITEM[:, c], weights)
        for u, row in zip(layers.USERS, candidates, strict=True)
        for c in row.flat
    ]
    expected = chosen.mean() - np.mean(every)
    assert float(found.statistics["hardness"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("pooling", layers.WEIGHTS)
def test_gradients_are_those_of_mixed_vectors(pooling):
    """They flow into the user, the picked rows and the positive, in every layer."""
    weights, batch = layers.WEIGHTS[pooling], layers.batch()
    sampler = MixGCF(K, layers.POOL, N)
    factors = np.random.default_rng(2).normal(size=(len(layers.USERS), K))
    known = layers.drawn(K, N, batch), layers.shares(K, batch)

    def value(tensors):
        tables = layers.tables(*(tf.unstack(each) for each in tensors), weights=weights)
        found = sampler.sample(batch, tables, batch.seed)
        return tf.reduce_sum(tf.constant(factors, tf.float32) * found.scores)

    def oracle(arrays):
        return np.sum(factors * brute_force(*known, weights, *arrays)[1])

    layers.assert_gradients(value, [layers.USER, layers.ITEM], oracle)


SCORE = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
"""Of items 1 to 5 in layer 0; in layer 1, the order is reversed."""


def test_each_layer_picks_as_dns_would():
    user = [[[1.0]], [[1.0]]]
    item = np.stack([np.append(9.0, SCORE), np.append(9.0, SCORE[::-1])])[:, :, None]
    tables = layers.tables(user, item, [0.3, 0.7])
    sampler = MixGCF(2, worlds.unobserved([[0]], 6), 3)
    batch = worlds.batch(20_000)
    ids = sampler.choose(batch, tables, batch.seed).ids.numpy()
    for layer, score in enumerate((SCORE, SCORE[::-1])):
        law = worlds.law_of_best(np.append(np.nan, score), 3)
        counts = np.bincount(ids[:, 2 * layer : 2 * layer + 2].ravel(), minlength=6)
        assert chi_square(counts, law) > 1e-3
        assert chi_square(counts, law[[0, *range(5, 0, -1)]]) < 1e-6
    assert not np.array_equal(ids[:, 0], ids[:, 1]), "every negative has its own candidates"


@pytest.mark.slow
def test_shares_are_uniform_and_independent():
    """Where positives score 1 and all other items 0, the score of a negative is its share."""
    tables = layers.tables([[[1.0]]], [[[1.0], [0.0], [0.0]]], [1.0])
    sampler = MixGCF(3, worlds.unobserved([[0]], 3), 2)
    shares = worlds.sample(sampler, worlds.batch(4_000), tables).scores
    assert kstest(shares.ravel(), "uniform").pvalue > 1e-3
    assert kstest(np.square(shares).ravel(), "uniform").pvalue < 1e-6
    # Five standard deviations of the correlation.
    assert np.abs(np.corrcoef(shares.T) - np.eye(3)).max() < 5 / np.sqrt(4_000)


def test_one_layer_picks_what_dns_picks():
    user, item = layers.USER[:1], layers.ITEM[:1]
    batch = layers.batch()
    ours = MixGCF(K, layers.POOL, N).sample(batch, layers.tables(user, item, [1.0]), batch.seed)
    theirs = DNS(K, layers.POOL, N).sample(batch, worlds.tables(user[0], item[0]), batch.seed)
    np.testing.assert_array_equal(ours.ids, theirs.ids)
    np.testing.assert_allclose(
        ours.statistics["hardness"], theirs.statistics["hardness"], rtol=1e-5
    )


def test_flags_are_read(toy):
    config = Config(sampler="mixgcf", num_negatives=2, num_candidates=7)
    sampler = MixGCF.from_settings(config, SamplerContext(toy, layers.POOL, 8, 4))
    assert (sampler.num_negatives, sampler.num_candidates) == (2, 7)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["lightgcn", "ngcf"])
def test_cosines_and_stale_scores_keep_the_choice(toy, toy_config, encoder):
    """The loss sees cosines; the choice is by inner products, at first of the same weights."""
    config = dataclasses.replace(toy_config, encoder=encoder, sampler="mixgcf", message_dropout=0.0)
    model, pipeline, _ = build(config, toy)
    batch = next(iter(pipeline.batches()))
    expected = model.forward(batch)[1].ids
    user, item = (oracles.unit(table) for table in model.encoder.embeddings())
    for stale in (False, True):
        changed = dataclasses.replace(config, scores="cosine", stale_scores=stale)
        model, _, _ = build(changed, toy)
        found = model.forward(batch)[1]
        np.testing.assert_array_equal(found.ids, expected)
        cosines = np.sum(user[batch.users] * item[batch.positives], axis=1)
        np.testing.assert_allclose(found.positive_scores, cosines, rtol=1e-4, atol=1e-5)
        assert np.isfinite(float(model.train_step(batch)["loss"]))
