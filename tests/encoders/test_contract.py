"""Properties of every encoder."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from recns_tf import registry
from recns_tf.encoders.mf import MF
from recns_tf.interactions import make_interactions, to_pairs
from recns_tf.ops import random

SETTINGS = {"message_dropout": 0.3, "node_dropout": 0.2, "num_neighbors": "4,2", "feature_dim": 5}


@pytest.fixture(params=registry.ENCODERS)
def make(request, toy, toy_config):
    """Return a function that makes the encoder with some settings on some data."""

    def function(data=toy, **settings):
        config = dataclasses.replace(toy_config, **{**SETTINGS, **settings})
        return registry.ENCODERS[request.param].load().from_settings(config, data)

    return function


def test_encoder_is_a_keras_model_from_ids_to_embeddings(make):
    encoder = make()
    assert isinstance(encoder, keras.Model)
    user, item = encoder.embeddings()
    assert user.dtype == item.dtype == np.float32
    assert (len(user), len(item)) == (40, 60)
    users, items = encoder((tf.constant([[3, 3], [1, 0]]), tf.constant([0, 59])))
    np.testing.assert_allclose(users, user[[[3, 3], [1, 0]]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(items, item[[0, 59]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
def test_embeddings_depend_on_nodes_within_num_layers_steps(make, toy, num_layers):
    """Features of a node change the embeddings of nodes within num_layers steps, and no others."""
    encoder = make(num_layers=num_layers)
    graph = np.zeros((100, 100))
    graph[:40, 40:] = toy.train.toarray()
    graph += graph.T
    node = int(np.argmin(np.where(graph.sum(axis=1) > 0, graph.sum(axis=1), 99)))
    reach = 0 if isinstance(encoder, MF) else num_layers
    near = sum(np.linalg.matrix_power(graph, steps)[node] for steps in range(reach + 1)) > 0
    before = np.concatenate(encoder.embeddings())
    nodes = encoder.nodes.numpy()
    nodes[node] += np.random.default_rng(0).normal(size=nodes.shape[1])
    encoder.nodes.assign(nodes)
    moved = (np.concatenate(encoder.embeddings()) != before).any(axis=1)
    assert not moved[~near].any()
    assert moved[near].mean() > 0.9
    assert num_layers > 2 or not near.all()


def test_renaming_nodes_renames_embeddings(make, toy):
    """Permutation equivariance: the order of users and items carries no meaning."""
    rng = np.random.default_rng(5)
    new_user, new_item = rng.permutation(40), rng.permutation(60)
    pairs = to_pairs(toy.train)
    moved = make_interactions(
        "moved",
        train=np.stack([new_user[pairs[:, 0]], new_item[pairs[:, 1]]], axis=1),
        valid=np.zeros((0, 2)),
        test=np.zeros((0, 2)),
        exposed=np.zeros((0, 2)),
        user_ids=toy.user_ids,
        item_ids=toy.item_ids,
        source={},
    )
    one, two = make(), make(moved)
    nodes = one.nodes.numpy()
    renamed = np.empty_like(nodes)
    renamed[new_user] = nodes[:40]
    renamed[40 + new_item] = nodes[40:]
    two.nodes.assign(renamed)
    user, item = one.embeddings()
    user_moved, item_moved = two.embeddings()
    np.testing.assert_allclose(user_moved[new_user], user, atol=2e-6)
    np.testing.assert_allclose(item_moved[new_item], item, atol=2e-6)


def test_initial_weights_follow_the_seed_and_differ_from_each_other(make):
    def weights(seed):
        return [weight.numpy() for weight in make(seed=seed).trainable_variables]

    one, again, other = weights(1), weights(1), weights(2)
    for a, b, c in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    flat = [weight.ravel()[:10].tolist() for weight in one]
    assert len({str(numbers) for numbers in flat}) == len(one)


def test_node_without_neighbors_has_a_finite_embedding_and_gradient(make, toy):
    encoder = make()
    assert not toy.train[[0]].nnz
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder.encode(True, random.root(1)).users(tf.constant([0])))
    gradients = tape.gradient(loss, [weight.value for weight in encoder.trainable_variables])
    for gradient in gradients:
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()
    assert tf.convert_to_tensor(gradients[0])[0].numpy().any(), "its own features matter"


@pytest.mark.slow
def test_training_embeddings_depend_on_the_seed_alone_in_graph_and_eager_mode(make):
    encoder = make()
    users = tf.constant([3, 9, 17])
    call = tf.function(lambda seed: encoder.encode(True, seed).users(users))
    eager = encoder.encode(True, random.root(1)).users(users)
    np.testing.assert_allclose(call(random.root(1)), eager, rtol=1e-5, atol=1e-6)
    call(random.root(2))
    assert call.experimental_get_tracing_count() == 1
