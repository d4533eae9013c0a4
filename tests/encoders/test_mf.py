"""Matrix factorization, against NumPy."""

import dataclasses

import numpy as np
import tensorflow as tf

from recns_tf.encoders.mf import MF
from recns_tf.training.build import build
from tests.conftest import make_toy


def test_embedding_does_not_depend_on_the_graph(toy, toy_config):
    one, two = (MF.from_settings(toy_config, data) for data in (toy, make_toy(density=0.4)))
    for encoder in (one, two):
        np.testing.assert_array_equal(np.concatenate(encoder.embeddings()), encoder.nodes)
    np.testing.assert_array_equal(one.nodes, two.nodes)
    assert [weight.name for weight in one.trainable_variables] == ["nodes"]


def test_gradient_is_that_of_bpr_mf(toy, toy_config):
    """BPR's update without its step size: (1 - σ(x_uij)) (v_i - v_j), (1 - σ) u, -(1 - σ) u."""
    config = dataclasses.replace(
        toy_config, encoder="mf", sampler="unins", loss="bpr", num_negatives=1, num_candidates=1
    )
    model, pipeline, _ = build(config, toy)
    batch = next(iter(pipeline.batches()))
    with tf.GradientTape() as tape:
        tables = model.encoder.encode(True, batch.seed)
        ids = model.sampler.sample(batch, tables, batch.seed).ids
        user = tables.users(batch.users)
        difference = tables.items(batch.positives) - tables.items(ids[:, 0])
        loss = -tf.reduce_mean(tf.math.log_sigmoid(tf.reduce_sum(user * difference, axis=1)))
    found = tape.gradient(loss, model.encoder.nodes.value)
    users, positives, negatives = (
        part.numpy() for part in (batch.users, batch.positives + 40, ids[:, 0] + 40)
    )
    nodes = model.encoder.nodes.numpy().astype(float)
    expected = np.zeros_like(nodes)
    for u, i, j in zip(users, positives, negatives, strict=True):
        slope = 1 / (1 + np.exp(nodes[u] @ (nodes[i] - nodes[j]))) / len(users)
        expected[u] -= slope * (nodes[i] - nodes[j])
        expected[i] -= slope * nodes[u]
        expected[j] += slope * nodes[u]
    np.testing.assert_allclose(tf.convert_to_tensor(found), expected, rtol=1e-4, atol=1e-7)
