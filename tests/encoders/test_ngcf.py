import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.encoders import ngcf
from recns_tf.encoders.ngcf import NGCF
from recns_tf.ops import random
from tests import oracles
from tests.encoders.slopes import assert_slopes


@pytest.fixture
def encoder(toy, toy_config):
    return NGCF.from_settings(toy_config, toy)


def kernels_of(encoder):
    return [[np.float64(kernel.numpy()) for kernel in pair] for pair in encoder.kernels]


@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("engine", ["csr", "coo"])
def test_embeddings_are_those_of_the_paper(toy, toy_config, num_layers, engine):
    config = dataclasses.replace(toy_config, num_layers=num_layers, sparse_engine=engine)
    encoder = NGCF.from_settings(config, toy)
    expected = oracles.ngcf(toy.train.toarray(), encoder.nodes.numpy(), kernels_of(encoder))
    ours = np.concatenate(encoder.embeddings())
    assert ours.shape == (100, 8 * (num_layers + 1))
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_node_without_neighbors_uses_its_own_embedding(encoder, toy):
    assert not toy.train[[0]].nnz
    user, _ = encoder.embeddings()
    own = encoder.nodes.numpy()[0] @ encoder.kernels[0][0].numpy()
    own = np.where(own > 0, own, 0.2 * own)
    np.testing.assert_allclose(user[0, 8:16], own / np.linalg.norm(own), rtol=1e-5)


def test_dropout_is_applied_as_in_the_paper(toy, toy_config, monkeypatch):
    """Given the masks, embeddings in training are those of the oracle."""
    config = dataclasses.replace(toy_config, message_dropout=0.3, node_dropout=0.4)
    encoder = NGCF.from_settings(config, toy)
    known = {"messages": [], "nodes": []}

    def recorded(x, rate, seed, by_row=False):
        mask = ngcf.__dict__["original"](tf.ones_like(x), rate, seed, by_row)
        known["nodes" if by_row else "messages"].append(mask.numpy())
        return x * mask

    monkeypatch.setattr(ngcf, "original", ngcf.dropout, raising=False)
    monkeypatch.setattr(ngcf, "dropout", recorded)
    tables = encoder.encode(True, random.root(3))
    expected = oracles.ngcf(
        toy.train.toarray(),
        encoder.nodes.numpy(),
        kernels_of(encoder),
        keep_messages=known["messages"],
        keep_nodes=[mask[:, :1] for mask in known["nodes"]],
    )
    ours = np.concatenate([tables.user, tables.item])
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    first, second = known["messages"]
    assert not np.array_equal(first, second), "each layer has a mask of its own"


def test_dropout_keeps_the_mean_and_drops_its_share():
    x = tf.ones([20_000, 8])
    for by_row in (False, True):
        dropped = ngcf.dropout(x, 0.25, random.root(1), by_row).numpy()
        assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
        # Five standard deviations of the share of rows.
        assert (dropped == 0).mean() == pytest.approx(0.25, abs=0.016)
        assert ((dropped == 0).all(axis=1) | (dropped > 0).all(axis=1)).all() == by_row


def test_scores_and_ranking_use_no_dropout(encoder):
    user, item = encoder.embeddings()
    live = encoder.encode(True, random.root(1))
    assert not np.allclose(live.user, user)
    for tables in (live.frozen(), live.stale_ok()):
        np.testing.assert_array_equal(tables.user, user)
        np.testing.assert_array_equal(tables.item, item)
    again, other = (encoder.encode(True, random.root(n)).user for n in (1, 2))
    np.testing.assert_array_equal(live.user, again)
    assert not np.array_equal(live.user, other)


def test_one_propagation_without_dropout(toy, toy_config):
    config = dataclasses.replace(toy_config, message_dropout=0.0)
    encoder = NGCF.from_settings(config, toy)
    live = encoder.encode(True, random.root(1))
    np.testing.assert_array_equal(live.user, encoder.embeddings()[0])
    assert live.without_dropout is None


@pytest.mark.slow
def test_gradients_agree_with_the_oracle(toy, toy_config):
    config = dataclasses.replace(toy_config, message_dropout=0.0)
    encoder = NGCF.from_settings(config, toy)
    encoder.nodes.assign(8 * encoder.nodes)
    dense = toy.train.toarray()

    def final(weights):
        nodes, *kernels = weights
        return oracles.ngcf(dense, nodes, list(zip(kernels[::2], kernels[1::2], strict=True)))

    assert_slopes(encoder, lambda: encoder.propagate(None), final)


def test_penalty_includes_kernels_and_rows(encoder):
    users, positives = tf.constant([2, 3]), tf.constant([5, 7])
    negatives = tf.constant([[5, 5, 1], [8, 9, 1]])
    nodes = encoder.nodes.numpy()
    expected = oracles.l2_penalty(
        nodes[:40], nodes[40:], users.numpy(), positives.numpy(), negatives.numpy()
    )
    expected += sum(0.5 * (kernel**2).sum() for pair in kernels_of(encoder) for kernel in pair)
    assert float(encoder.penalty(users, positives, negatives)) == pytest.approx(expected, rel=1e-5)


def test_no_tensor_has_a_row_per_edge(toy, toy_config):
    """The largest tensor in a step, including gradients, has a row per node."""
    encoder = NGCF.from_settings(toy_config, toy)

    @tf.function
    def step(seed):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(encoder.encode(True, seed).user))
        return tape.gradient(loss, [weight.value for weight in encoder.trainable_variables])

    graph = step.get_concrete_function(random.root(0)).graph
    sizes = [
        np.prod(output.shape)
        for operation in graph.get_operations()
        for output in operation.outputs
        if output.shape.rank is not None and output.shape.is_fully_defined()
    ]
    assert max(sizes) == 100 * 24 < 2 * toy.train.nnz * 8
