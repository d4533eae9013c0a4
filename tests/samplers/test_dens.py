"""DENS against a program of its formulas, candidate by candidate."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.dens import DENS
from recns_tf.training.build import build
from tests.oracles import sigmoid
from tests.samplers import layer_worlds as layers
from tests.samplers import worlds

K, N, WARMUP = 3, 5, 10
GATES = ("user", "item", "positive", "negative")


def make(k=K, n=N, epoch=0, warmup=WARMUP, **options):
    """Return a sampler with gates that matter."""
    sampler = DENS(k, layers.POOL, n, layers.WIDTH, warmup=warmup, **options)
    for weight in sampler.gates.weights:
        weight.assign(3 * weight)
    sampler.begin_epoch(epoch, None)
    return sampler


def gates_of(sampler):
    """The kernels [d, d] and biases [d] of the gates."""
    gates = sampler.gates
    return {
        name: (np.float64(gates.kernels[name]), np.float64(gates.biases[name])) for name in GATES
    }


def linear(gate, x):
    kernel, bias = gate
    return np.array([sum(x[i] * kernel[i, j] for i in range(len(x))) for j in range(len(x))]) + bias


def relevant(gates, u, p, n=None, wrong=""):
    """The relevant factors r_p of a positive, or r_n of an item."""
    user = 0 if wrong == "no user in the gate" else linear(gates["user"], u)
    r_p = p * sigmoid(linear(gates["item"], p) + user)
    if n is None:
        return r_p
    seen = p if wrong == "the whole positive in the gate" else r_p
    return n * sigmoid(linear(gates["negative"], n) + linear(gates["positive"], seen))


def picks(candidates, gates, t, weights, wrong=""):
    """The picked items, [B, k, L + 1]."""
    picked = np.zeros((*candidates.shape[:2], layers.LAYERS), int)
    for b, i, layer in np.ndindex(picked.shape):
        u, p = layers.USER[layer, layers.USERS[b]], layers.ITEM[layer, layers.ITEMS[b]]
        scorer = u
        if wrong == "pooled user" and weights is not None:
            scorer = layers.pooled(layers.USER[:, layers.USERS[b]], weights)
        utility = []
        for c in candidates[b, i]:
            n = layers.ITEM[layer, c]
            r_n = relevant(gates, u, p, n, wrong)
            kept = {"t reversed": t, "all of the item": 1, "none of the item": 0}.get(wrong, 1 - t)
            part = kept * n - r_n
            part = {"relevant first": r_n - kept * n, "as dns": n}.get(wrong, part)
            utility.append(scorer @ part)
        picked[b, i, layer] = candidates[b, i, np.argmax(utility)]
    return picked


WRONG_PICKS = {
    "pooled user", "t reversed", "all of the item", "none of the item", "relevant first", "as dns",
    "no user in the gate", "the whole positive in the gate",
}  # fmt: skip


@pytest.mark.parametrize("pooling", layers.WEIGHTS)
@pytest.mark.parametrize(("epoch", "t"), [(0, 0.0), (3, 0.3), (10, 1.0), (25, 1.0)])
@pytest.mark.slow
def test_items_are_picked_by_their_factors(pooling, epoch, t):
    weights = layers.WEIGHTS[pooling]
    tables, batch = layers.tables(weights=weights), layers.batch()
    sampler = make(k=20, epoch=epoch)
    found = sampler.sample(batch, tables, batch.seed)
    ids = sampler.choose(batch, tables.frozen(), batch.seed).ids.numpy()
    known = layers.drawn(20, N, batch), gates_of(sampler), t, weights
    picked = picks(*known)
    np.testing.assert_array_equal(ids, np.concatenate(np.moveaxis(picked, 2, 0), axis=1))
    np.testing.assert_array_equal(found.ids, picked[:, :, 0])
    right = {"t reversed": t == 0.5, "all of the item": t == 0, "none of the item": t == 1}
    right |= {"pooled user": weights is None}
    for name in sorted(WRONG_PICKS):
        if not right.get(name):
            assert not np.array_equal(picks(*known, wrong=name), picked), name
    scores = np.array(
        [
            [
                layers.pooled(layers.USER[:, u], weights)
                @ layers.pooled(layers.ITEM[range(layers.LAYERS), chosen], weights)
                for chosen in row
            ]
            for u, row in zip(layers.USERS, picked, strict=True)
        ]
    )
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-5)


def losses(picked, gates, weights, user=layers.USER, item=layers.ITEM, gamma=0.3, wrong=""):
    """The auxiliary loss of each pair, [B]."""
    found = []
    for b, rows in enumerate(picked):
        u, v = layers.USERS[b], layers.ITEMS[b]
        whole = layers.pooled(user[:, u], weights)

        def score(vectors, whole=whole):
            return whole @ layers.pooled(vectors, weights)

        every = range(layers.LAYERS)
        r_p = [relevant(gates, user[e, u], item[e, v], wrong=wrong) for e in every]
        p_r = score(r_p)
        p_i = score([item[e, v] - r_p[e] for e in every])
        n_r, n_i = [], []
        for chosen in rows:
            n = [item[e, chosen[e]] for e in every]
            r_n = [relevant(gates, user[e, u], item[e, v], n[e], wrong) for e in every]
            n_r.append(score(r_n))
            n_i.append(score([n[e] - r_n[e] for e in every]))
        gaps = [
            [p_i - p_r],
            [r - i for r, i in zip(n_r, n_i, strict=True)],
            [r - p_r for r in n_r],
            [p_i - i for i in n_i],
        ]
        if wrong.startswith("term"):
            number = int(wrong.split()[1])
            gaps[number] = [-gap for gap in gaps[number]] if "turned" in wrong else []
        if wrong == "means instead of sums":
            terms = [np.mean(np.log1p(np.exp(gap))) for gap in gaps]
        else:
            terms = [np.log1p(np.sum(np.exp(gap))) for gap in gaps]
        found.append(gamma * np.sum(terms) / (1 if wrong == "the sum of the terms" else 4))
    return np.array(found)


WRONG_LOSSES = [
    *(f"term {number} {how}" for number in range(4) for how in ("turned", "left out")),
    "means instead of sums", "the sum of the terms",
    "no user in the gate", "the whole positive in the gate",
]  # fmt: skip


@pytest.mark.parametrize("pooling", layers.WEIGHTS)
def test_the_auxiliary_loss_has_four_terms(pooling):
    weights, batch = layers.WEIGHTS[pooling], layers.batch()
    sampler = make(weight=0.7)
    found = sampler.sample(batch, layers.tables(weights=weights), batch.seed).auxiliary
    gates = gates_of(sampler)
    picked = picks(layers.drawn(K, N, batch), gates, 0.0, weights)
    expected = losses(picked, gates, weights, gamma=0.7)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for name in WRONG_LOSSES:
        other = losses(picked, gates, weights, gamma=0.7, wrong=name)
        assert not np.allclose(other, expected, rtol=1e-2), name


@pytest.mark.slow
@pytest.mark.parametrize("pooling", layers.WEIGHTS)
def test_gradients_reach_gates_and_layers(pooling):
    weights, batch = layers.WEIGHTS[pooling], layers.batch()
    sampler = make(weight=40.0)
    gates = gates_of(sampler)
    picked = picks(layers.drawn(K, N, batch), gates, 0.0, weights)
    arrays = [layers.USER, layers.ITEM, *(part for name in GATES for part in gates[name])]

    def value(tensors):
        user, item, *parts = tensors
        for name, kernel, bias in zip(GATES, parts[::2], parts[1::2], strict=True):
            sampler.gates.kernels[name], sampler.gates.biases[name] = kernel, bias
        tables = layers.tables(tf.unstack(user), tf.unstack(item), weights)
        return tf.reduce_mean(sampler.sample(batch, tables, batch.seed).auxiliary)

    def oracle(arrays):
        user, item, *parts = arrays
        moved = dict(zip(GATES, zip(parts[::2], parts[1::2], strict=True), strict=True))
        return np.mean(losses(picked, moved, weights, user, item, gamma=40.0))

    layers.assert_gradients(value, arrays, oracle)


@pytest.mark.slow
def test_no_warmup_means_the_last_stage_from_the_start():
    batch, tables = layers.batch(), layers.tables()
    ids = [
        make(k=20, epoch=epoch, warmup=warmup).sample(batch, tables, batch.seed).ids.numpy()
        for epoch, warmup in ((0, 0), (10**9, 10), (0, 10))
    ]
    np.testing.assert_array_equal(ids[0], ids[1])
    assert not np.array_equal(ids[0], ids[2])


def test_hardness_is_that_of_whole_rows():
    batch, weights = layers.batch(), layers.WEIGHTS["weighted"]
    found = make().sample(batch, layers.tables(weights=weights), batch.seed)
    candidates = layers.drawn(K, N, batch)
    every = [
        layers.pooled(layers.USER[:, u], weights) @ layers.pooled(layers.ITEM[:, c], weights)
        for u, row in zip(layers.USERS, candidates, strict=True)
        for c in row.flat
    ]
    expected = found.scores.numpy().mean() - np.mean(every)
    assert float(found.statistics["hardness"]) == pytest.approx(expected, rel=1e-3)


def test_large_gaps_give_a_finite_loss():
    sampler = make()
    tables = layers.tables(100 * layers.USER, 100 * layers.ITEM)
    batch = layers.batch()
    assert np.isfinite(sampler.sample(batch, tables, batch.seed).auxiliary).all()


def test_gates_start_like_linear_layers_and_follow_the_seed():
    one, again, other = (
        DENS(1, layers.POOL, 1, 64, seed=seed).gates.get_weights() for seed in (0, 0, 1)
    )
    for number, weight in enumerate(one):
        assert 0.7 / 8 < np.abs(weight).max() <= 1 / 8
        np.testing.assert_array_equal(weight, again[number])
        assert not np.array_equal(weight, other[number])
    assert len({weight.tobytes() for weight in one}) == len(one) == 8
    assert np.mean(one[0]) == pytest.approx(0, abs=5 / 8 / np.sqrt(3) / 64)
    assert np.std(one[0]) == pytest.approx(1 / 8 / np.sqrt(3), rel=0.05)


@pytest.fixture
def trained(toy, toy_config):
    """Return a function that builds a model with a batch."""

    def function(encoder="mf", **settings):
        config = dataclasses.replace(
            toy_config, encoder=encoder, sampler="dens", learning_rate=0.01, **settings
        )
        model, pipeline, _ = build(config, toy)
        return model, next(iter(pipeline.batches()))

    return function


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["mf", "lightgcn", "ngcf"])
def test_the_optimizer_of_the_encoder_trains_the_gates(trained, encoder):
    """Adam's first step moves each weight by the rate, against its slope."""
    model, batch = trained(encoder, dens_weight=5.0)
    gates = model.sampler.gates.trainable_variables
    before = [gate.numpy() for gate in gates]
    with tf.GradientTape() as tape:
        loss = model.compute(batch)["loss"]
    slopes = tape.gradient(loss, [gate.value for gate in gates])
    model.train_step(batch)
    for gate, start, slope in zip(gates, before, slopes, strict=True):
        # Smaller slopes count less because of Adam's epsilon.
        clear = np.abs(slope) > 1e-5
        assert clear.any()
        moved = gate.numpy() - start
        np.testing.assert_allclose(moved[clear], -0.01 * np.sign(slope)[clear], rtol=0.05)


def test_the_loss_that_is_reported_has_three_parts(trained):
    model, batch = trained(dens_weight=2.0, l2=0.1)
    values = model.compute(batch)
    negatives = model.forward(batch)[1]
    assert float(values["auxiliary_loss"]) == pytest.approx(np.mean(negatives.auxiliary), rel=1e-6)
    parts = [float(values[name]) for name in ("ranking_loss", "penalty", "auxiliary_loss")]
    assert min(parts) > 1e-3
    assert float(values["loss"]) == pytest.approx(sum(parts), rel=1e-6)
    assert float(model.train_step(batch)["loss"]) == pytest.approx(sum(parts), rel=1e-6)
    assert "auxiliary_loss" in {metric.name for metric in model.metrics}


@pytest.mark.slow
def test_the_auxiliary_loss_trains_the_encoder(trained):
    nodes = []
    for weight in (0.0, 0.0, 5.0):
        model, batch = trained(dens_weight=weight)
        gates = model.sampler.gates.get_weights()
        model.train_step(batch)
        nodes.append(model.encoder.nodes.numpy())
        after = model.sampler.gates.get_weights()
        same = [np.array_equal(*pair) for pair in zip(gates, after, strict=True)]
        assert all(same) == (weight == 0)
    np.testing.assert_array_equal(nodes[0], nodes[1])
    assert not np.allclose(nodes[0], nodes[2])


def test_cosines_are_refused(trained):
    with pytest.raises(UserError, match=r"^--scores=cosine: --sampler=dens needs --scores=inner"):
        trained(scores="cosine")


def test_flags_are_read(toy):
    config = Config(
        sampler="dens", num_negatives=2, num_candidates=7, dens_weight=0.25, dens_warmup=9, seed=4
    )
    sampler = DENS.from_settings(config, SamplerContext(toy, layers.POOL, 12, 4))
    assert (sampler.num_negatives, sampler.num_candidates, sampler.width) == (2, 7, 4)
    assert (sampler.weight, sampler.warmup, sampler.seed) == (0.25, 9, 4)


@pytest.mark.slow
def test_one_pair_and_one_candidate():
    sampler = DENS(1, worlds.unobserved([[0]], 2), 1, 1)
    found = worlds.sample(
        sampler, worlds.batch(1), layers.tables([[[1.0]]], [[[2.0], [3.0]]], [1.0])
    )
    assert found.ids == [[1]] and found.scores == [[3.0]] and found.positive_scores == [2.0]
