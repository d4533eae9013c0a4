"""Embeddings of users who were not in the data, against NumPy."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf import registry
from recns_tf.encoders import base, mf, new_nodes
from recns_tf.encoders.lightgcn import LightGCN
from recns_tf.encoders.mf import MF
from recns_tf.encoders.ngcf import NGCF
from recns_tf.encoders.pinsage import PinSage
from recns_tf.errors import UserError
from tests import oracles

SETTINGS = {"num_layers": 3, "num_neighbors": "4,2,2", "feature_dim": 5, "message_dropout": 0.3}
HISTORIES = [[3, 9, 17], [5], [], [0, 2, 59, 30, 31, 32]]
"""Item 0 has no users in train."""


def clicks_of(histories, num_items=60):
    clicks = np.zeros((len(histories), num_items), bool)
    for row, history in enumerate(histories):
        clicks[row, history] = True
    return csr_array(clicks)


def ragged(histories):
    return tf.ragged.constant(histories, tf.int32, ragged_rank=1)


def make(cls, config, data, **changes):
    encoder = cls.from_settings(dataclasses.replace(config, **SETTINGS | changes), data)
    rng = np.random.default_rng(0)
    for weight in encoder.trainable_variables:
        weight.assign(rng.normal(size=weight.shape) / 2)
    return encoder


@pytest.fixture(params=registry.ENCODERS)
def encoder(request, toy, toy_config):
    return make(registry.ENCODERS[request.param].load(), toy_config, toy)


def layers_of_items(encoder, propagate, dense):
    """Return E^0 … E^(L-1) of the items, by the oracle of a matrix that propagates."""
    layers = [np.float64(encoder.nodes.numpy())]
    for _ in range(encoder.num_layers - 1):
        # The mean of two layers, times 2, minus the first of them.
        layers.append(2 * propagate(dense, layers[-1], 1) - layers[-1])
    return [layer[len(dense) :] for layer in layers]


@pytest.mark.parametrize("weights", [None, [0.1, 0.5, 0.3, 0.1]])
def test_lightgcn_sums_the_items_of_the_history(toy, toy_config, weights):
    encoder = make(LightGCN, toy_config, toy, layer_weights="learned" if weights else "mean")
    if weights:
        encoder.layer_logits.assign(np.log(weights))
    dense = toy.train.toarray()
    degree = dense.sum(axis=0)
    found = encoder.embed_new_users(clicks_of(HISTORIES))
    for history, embedding in zip(HISTORIES, found, strict=True):
        expected = np.zeros(8)
        alphas = weights or [0.25] * 4
        layers = layers_of_items(encoder, oracles.lightgcn, dense)
        for alpha, layer in zip(alphas[1:], layers, strict=True):
            for i in history:
                if degree[i]:
                    expected += alpha * layer[i] / np.sqrt(len(history) * degree[i])
        np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("learned", [False, True])
def test_lightgcn_by_rows_counts_the_user_too(toy, toy_config, learned):
    choice = "learned" if learned else "mean"
    encoder = make(LightGCN, toy_config, toy, adjacency="row", layer_weights=choice)
    alphas = np.full(4, 0.25)
    if learned:
        alphas = np.exp(encoder.layer_logits.numpy())
        alphas /= alphas.sum()
    dense = toy.train.toarray()
    layers = layers_of_items(encoder, oracles.row_propagation, dense)
    found = encoder.embed_new_users(clicks_of(HISTORIES))
    for history, embedding in zip(HISTORIES, found, strict=True):
        own = expected = np.zeros(8)
        for alpha, layer in zip(alphas[1:], layers, strict=True):
            own = np.mean([own, *layer[history]], axis=0)
            expected = expected + alpha * own
        np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("matrix", ["symmetric", "row"])
def test_lightgcn_of_a_user_without_a_layer_0_embedding_is_its_history(toy, toy_config, matrix):
    """An exact law: such a user of the train graph is propagated to what the history gives."""
    encoder = make(LightGCN, toy_config, toy, adjacency=matrix)
    nodes = encoder.nodes.numpy()
    nodes[5] = 0
    encoder.nodes.assign(nodes)
    user, _ = encoder.embeddings()
    (found,) = encoder.embed_new_users(csr_array(toy.train[[5]]))
    np.testing.assert_allclose(found, user[5], rtol=1e-4, atol=1e-6)


def test_ngcf_is_that_of_a_user_appended_to_the_graph(toy, toy_config):
    encoder = make(NGCF, toy_config, toy)
    dense = toy.train.toarray().astype(float)
    nodes = np.float64(encoder.nodes.numpy())
    transforms = [[np.float64(weight.numpy()) for weight in layer] for layer in encoder.transforms]
    graph = oracles.adjacency(dense)
    root = np.sqrt(np.maximum(graph.sum(axis=1), 1))
    propagation = graph / root[:, None] / root
    hidden, layers = nodes, []
    for w1, w2 in transforms:
        layers.append(hidden[40:])
        sent = propagation @ hidden
        hidden = oracles.leaky((sent + hidden) @ w1 + (sent * hidden) @ w2)
    degree = dense.sum(axis=0)
    found = encoder.embed_new_users(clicks_of(HISTORIES))
    for history, embedding in zip(HISTORIES, found, strict=True):
        own = nodes[:40].mean(axis=0)
        expected = [own]
        for layer, (w1, w2) in zip(layers, transforms, strict=True):
            terms = [layer[i] / np.sqrt(len(history) * degree[i]) for i in history if degree[i]]
            received = sum(terms, np.zeros(8))
            own = oracles.leaky((received + own) @ w1 + (received * own) @ w2)
            expected.append(own / np.linalg.norm(own))
        np.testing.assert_allclose(embedding, np.concatenate(expected), rtol=1e-3, atol=1e-5)


def test_ngcf_in_the_form_of_the_code_is_that_of_a_user_appended_to_the_graph(toy, toy_config):
    encoder = make(NGCF, toy_config, toy, ngcf_form="code", adjacency="row")
    dense = toy.train.toarray().astype(float)
    nodes = np.float64(encoder.nodes.numpy())
    transforms = [[np.float64(weight.numpy()) for weight in layer] for layer in encoder.transforms]
    propagation = oracles.adjacency(dense) + np.eye(100)
    propagation /= propagation.sum(axis=1, keepdims=True)

    def update(sent, hidden, w1, w2, b1, b2):
        return oracles.leaky(sent @ w1 + b1[0]) + oracles.leaky((sent * hidden) @ w2 + b2[0])

    hidden, layers = nodes, []
    for weights in transforms:
        layers.append(hidden[40:])
        hidden = update(propagation @ hidden, hidden, *weights)
    found = encoder.embed_new_users(clicks_of(HISTORIES))
    for history, embedding in zip(HISTORIES, found, strict=True):
        own = nodes[:40].mean(axis=0)
        expected = [own]
        for layer, weights in zip(layers, transforms, strict=True):
            own = update(np.mean([own, *layer[history]], axis=0), own, *weights)
            expected.append(own / np.linalg.norm(own))
        np.testing.assert_allclose(embedding, np.concatenate(expected), rtol=1e-3, atol=1e-5)


def test_pinsage_is_that_of_a_node_with_the_mean_features(toy, toy_config):
    encoder = make(PinSage, toy_config, toy)
    dense = toy.train.toarray()
    features = np.float64(encoder.nodes.numpy())
    graph = oracles.adjacency(dense)
    kernels = [[np.float64(kernel.numpy()) for kernel in pair] for pair in encoder.kernels]
    nodes = np.concatenate([features, np.tile(features[:40].mean(axis=0), (len(HISTORIES), 1))])

    def neighbors(layer, node):
        del layer
        known = node < len(graph)
        return np.flatnonzero(graph[node]) if known else 40 + np.array(HISTORIES[node - 100], int)

    expected = oracles.pinsage(nodes, neighbors, kernels)[100:]
    found = encoder.embed_new_users(clicks_of(HISTORIES))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_mf_minimizes_its_objective(toy, toy_config):
    encoder = make(MF, toy_config, toy)
    items = np.float64(encoder.embeddings()[1])
    ridge = mf.RIDGE * np.linalg.eigvalsh(items.T @ items).mean()

    def objective(embedding, history):
        scores = items @ embedding
        return (
            np.sum((1 - scores[history]) ** 2)
            + mf.OTHER_WEIGHT * np.sum(scores**2)
            + ridge * embedding @ embedding
        )

    rng = np.random.default_rng(3)
    found = encoder.embed_new_users(clicks_of(HISTORIES)).astype(float)
    for history, embedding in zip(HISTORIES, found, strict=True):
        least = objective(embedding, history)
        for size in (0.1, 0.003):
            steps = rng.normal(size=(50, 8)) * size
            assert all(objective(embedding + step, history) > least for step in steps)
    assert not found[2].any()


def test_repeated_items_count_once_and_order_does_not_matter(encoder):
    module = encoder.new_users()
    one = module(ragged([[3, 9, 17], [5], []]))
    again = module(ragged([[17, 3, 9, 9, 17, 17], [5, 5], []]))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_allclose(
        one, encoder.embed_new_users(clicks_of([[3, 9, 17], [5], []])), rtol=1e-5, atol=1e-6
    )


def test_a_history_does_not_change_the_others(encoder, monkeypatch):
    whole = encoder.embed_new_users(clicks_of(HISTORIES))
    assert whole.dtype == np.float32 and whole.shape == (4, encoder.width)
    assert np.isfinite(whole).all(), "of an empty history, too"
    monkeypatch.setattr(new_nodes, "NODES_AT_ONCE", 3)
    np.testing.assert_allclose(
        encoder.embed_new_users(clicks_of(HISTORIES)), whole, rtol=1e-5, atol=1e-6
    )
    assert encoder.embed_new_users(clicks_of([])).shape == (0, encoder.width)


def test_entries_that_are_false_are_no_clicks(encoder):
    clicks = csr_array((np.array([True, False]), np.array([5, 7]), np.array([0, 2])), (1, 60))
    found = encoder.embed_new_users(clicks)
    np.testing.assert_array_equal(found, encoder.embed_new_users(clicks_of([[5]])))
    assert clicks.nnz == 2, "the argument is unchanged"


def test_clicks_of_another_catalog_are_an_error(encoder):
    with pytest.raises(ValueError, match="clicks has 59 columns, not 60"):
        encoder.embed_new_users(csr_array((1, 59), dtype=bool))


def test_encoder_of_ones_own_that_embeds_no_new_users_says_so(toy, toy_config):
    class Own(MF):
        new_nodes = base.Encoder.new_nodes

    with pytest.raises(UserError, match="the encoder Own cannot embed new users and items"):
        Own.from_settings(toy_config, toy).embed_new_users(clicks_of(HISTORIES))


@pytest.mark.parametrize("name", registry.ENCODERS)
def test_new_items_are_new_users_of_the_transposed_data(toy, toy_config, name):
    """An exact law: users and items differ in nothing but their name."""
    encoder = make(registry.ENCODERS[name].load(), toy_config, toy)
    other_data = dataclasses.replace(
        toy,
        **{part: csr_array(rows.T) for part, rows in toy.parts.items()},
        user_ids=toy.item_ids,
        item_ids=toy.user_ids,
    )
    other = make(registry.ENCODERS[name].load(), toy_config, other_data)
    nodes = encoder.nodes.numpy()
    other.nodes.assign(np.concatenate([nodes[40:], nodes[:40]]))
    for weight, value in zip(
        other.trainable_variables[1:], encoder.trainable_variables[1:], strict=True
    ):
        weight.assign(value)
    clicks = clicks_of([[3, 9, 17], [5], [], [0, 2, 39]], num_items=40)
    np.testing.assert_allclose(
        encoder.embed_new_items(clicks), other.embed_new_users(clicks), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match="clicks has 60 columns, not 40"):
        encoder.embed_new_items(clicks_of([[3]]))


def test_rows_to_start_training_from(toy, toy_config):
    like, others = np.float32([[1, 2], [3, 6]]), np.float32([[1, 0], [0, 2], [5, 5]])
    clicks = clicks_of([[0, 1], []], num_items=3)
    rows = {
        name: registry.ENCODERS[name].load().first_rows(encoder, like, others, clicks)
        for name, encoder in (
            (name, make(registry.ENCODERS[name].load(), toy_config, toy))
            for name in registry.ENCODERS
        )
    }
    np.testing.assert_array_equal(rows["lightgcn"], np.zeros((2, 2)))
    for name in ("ngcf", "pinsage"):
        np.testing.assert_array_equal(rows[name], [[2, 4], [2, 4]])
    # The normal equations of MF's objective.
    everything = others.T @ others
    left = 0.1 * everything + np.trace(everything) / 2 * np.eye(2) + np.diag([1, 4])
    np.testing.assert_allclose(rows["mf"], [np.linalg.solve(left, [1, 2]), [0, 0]], rtol=1e-5)
