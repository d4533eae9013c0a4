import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.encoders.base import glorot_uniform
from recns_tf.encoders.lightgcn import LightGCN
from tests import oracles
from tests.encoders.slopes import assert_slopes


@pytest.fixture
def encoder(toy, toy_config):
    return LightGCN.from_settings(toy_config, toy)


def test_embeddings_are_those_of_the_paper(encoder, toy, toy_config):
    user, item = encoder.embeddings()
    expected = oracles.lightgcn(toy.train.toarray(), encoder.nodes.numpy(), toy_config.num_layers)
    np.testing.assert_allclose(np.concatenate([user, item]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
def test_embeddings_for_every_number_of_layers(toy, toy_config, num_layers):
    config = dataclasses.replace(toy_config, num_layers=num_layers, sparse_engine="coo")
    encoder = LightGCN.from_settings(config, toy)
    expected = oracles.lightgcn(toy.train.toarray(), encoder.nodes.numpy(), num_layers)
    np.testing.assert_allclose(np.concatenate(encoder.embeddings()), expected, atol=1e-6)


def test_node_without_neighbors_keeps_its_own_share(encoder, toy, toy_config):
    user, _ = encoder.embeddings()
    share = 1 / (toy_config.num_layers + 1)
    assert not toy.train[[0]].nnz
    np.testing.assert_allclose(user[0], share * encoder.nodes.numpy()[0], rtol=1e-6)


def test_call_gathers_embeddings(encoder):
    user, item = encoder.embeddings()
    users, items = encoder((tf.constant([3, 3, 1]), tf.constant([0, 59])))
    np.testing.assert_array_equal(users, user[[3, 3, 1]])
    np.testing.assert_array_equal(items, item[[0, 59]])


def test_penalty_counts_every_occurrence(encoder, toy):
    rng = np.random.default_rng(0)
    users, positives = rng.integers(0, 40, 9), rng.integers(0, 60, 9)
    negatives = rng.integers(0, 6, (9, 3))
    nodes = encoder.nodes.numpy()
    expected = oracles.l2_penalty(nodes[:40], nodes[40:], users, positives, negatives)
    arguments = [tf.constant(ids, tf.int32) for ids in (users, positives, negatives)]
    assert float(encoder.penalty(*arguments)) == pytest.approx(expected, rel=1e-5)


def test_gradient_of_the_penalty_counts_occurrences(encoder):
    users, positives = tf.constant([2, 2]), tf.constant([5, 7])
    negatives = tf.constant([[5, 5], [8, 9]])
    with tf.GradientTape() as tape:
        penalty = encoder.penalty(users, positives, negatives)
    gradient = tape.gradient(penalty, encoder.nodes.value).numpy()
    occurrences = np.zeros(100)
    occurrences[[2, 45, 47, 48, 49]] = [2, 3, 1, 1, 1]
    expected = occurrences[:, None] * encoder.nodes.numpy() / 2
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_initial_tables_are_glorot_uniform_separately(toy, toy_config):
    config = dataclasses.replace(toy_config, dim=64)
    nodes = LightGCN.from_settings(config, toy).nodes.numpy()
    for table, rows in ((nodes[:40], 40), (nodes[40:], 60)):
        limit = np.sqrt(6 / (rows + 64))
        assert 0.99 * limit < np.abs(table).max() <= limit
        assert table.std() == pytest.approx(limit / np.sqrt(3), rel=0.03)
    one = glorot_uniform([10, 10], tf.constant([1, 2]))
    assert not np.array_equal(one, glorot_uniform([10, 10], tf.constant([1, 3])))


def test_initial_weights_follow_the_seed(toy, toy_config):
    def nodes(seed):
        config = dataclasses.replace(toy_config, seed=seed)
        return LightGCN.from_settings(config, toy).nodes.numpy()

    np.testing.assert_array_equal(nodes(1), nodes(1))
    assert not np.array_equal(nodes(1), nodes(2))


def test_learned_layer_weights_start_at_the_mean(toy, toy_config, encoder):
    config = dataclasses.replace(toy_config, layer_weights="learned")
    learned = LightGCN.from_settings(config, toy)
    for ours, mean in zip(learned.embeddings(), encoder.embeddings(), strict=True):
        np.testing.assert_allclose(ours, mean, rtol=1e-5, atol=1e-6)
    assert [w.name for w in learned.trainable_variables] == ["nodes", "layer_logits"]
    assert [w.name for w in encoder.trainable_variables] == ["nodes"]


def test_learned_layer_weights_are_a_softmax_with_correct_gradients(toy, toy_config):
    config = dataclasses.replace(toy_config, layer_weights="learned")
    encoder = LightGCN.from_settings(config, toy)
    encoder.nodes.assign(8 * encoder.nodes)
    encoder.layer_logits.assign([0.5, -1.0, 2.0])
    dense = toy.train.toarray()

    def weighted(weights):
        nodes, logits = weights
        share = np.exp(logits) / np.exp(logits).sum()
        means = [np.zeros_like(nodes)]
        # The mean of layers 0 to l, times l + 1, minus the same for l - 1, is layer l.
        means += [(n + 1) * oracles.lightgcn(dense, nodes, n) for n in range(len(logits))]
        return np.tensordot(share, np.diff(means, axis=0), axes=1)

    nodes, logits = encoder.nodes.numpy(), encoder.layer_logits.numpy()
    ours = np.concatenate(encoder.embeddings())
    np.testing.assert_allclose(ours, weighted([nodes, logits]), rtol=1e-5, atol=1e-5)
    assert_slopes(encoder, lambda: encoder.propagate(None), weighted)
