import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.encoders.lightgcn import LightGCN, glorot_uniform
from tests import oracles


@pytest.fixture
def encoder(toy, toy_config):
    return LightGCN.from_config(toy_config, toy)


def test_embeddings_are_those_of_the_paper(encoder, toy, toy_config):
    user, item = encoder.embeddings()
    expected = oracles.lightgcn(toy.train.toarray(), encoder.nodes.numpy(), toy_config.num_layers)
    np.testing.assert_allclose(np.concatenate([user, item]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
def test_every_number_of_layers(toy, toy_config, num_layers):
    config = dataclasses.replace(toy_config, num_layers=num_layers, sparse_engine="coo")
    encoder = LightGCN.from_config(config, toy)
    expected = oracles.lightgcn(toy.train.toarray(), encoder.nodes.numpy(), num_layers)
    np.testing.assert_allclose(np.concatenate(encoder.embeddings()), expected, atol=1e-6)


def test_a_node_without_neighbours_keeps_its_own_share(encoder, toy, toy_config):
    user, _ = encoder.embeddings()
    share = 1 / (toy_config.num_layers + 1)
    assert not toy.train[[0]].nnz
    np.testing.assert_allclose(user[0], share * encoder.nodes.numpy()[0], rtol=1e-6)


def test_calling_it_gathers_embeddings(encoder):
    user, item = encoder.embeddings()
    users, items = encoder((tf.constant([3, 3, 1]), tf.constant([0, 59])))
    np.testing.assert_array_equal(users, user[[3, 3, 1]])
    np.testing.assert_array_equal(items, item[[0, 59]])


def test_the_penalty_counts_every_occurrence(encoder, toy):
    rng = np.random.default_rng(0)
    users, positives = rng.integers(0, 40, 9), rng.integers(0, 60, 9)
    negatives = rng.integers(0, 6, (9, 3))
    nodes = encoder.nodes.numpy()
    expected = oracles.l2_penalty(nodes[:40], nodes[40:], users, positives, negatives)
    arguments = [tf.constant(ids, tf.int32) for ids in (users, positives, negatives)]
    assert float(encoder.penalty(*arguments)) == pytest.approx(expected, rel=1e-5)


def test_the_penalty_pulls_each_row_by_its_occurrences(encoder):
    users, positives = tf.constant([2, 2]), tf.constant([5, 7])
    negatives = tf.constant([[5, 5], [8, 9]])
    with tf.GradientTape() as tape:
        penalty = encoder.penalty(users, positives, negatives)
    gradient = tape.gradient(penalty, encoder.nodes.value).numpy()
    occurrences = np.zeros(100)
    occurrences[[2, 45, 47, 48, 49]] = [2, 3, 1, 1, 1]
    expected = occurrences[:, None] * encoder.nodes.numpy() / 2
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_initial_tables_are_glorot_uniform_each_by_its_own_shape(toy, toy_config):
    config = dataclasses.replace(toy_config, dim=64)
    nodes = LightGCN.from_config(config, toy).nodes.numpy()
    for table, rows in ((nodes[:40], 40), (nodes[40:], 60)):
        limit = np.sqrt(6 / (rows + 64))
        assert 0.99 * limit < np.abs(table).max() <= limit
        assert table.std() == pytest.approx(limit / np.sqrt(3), rel=0.03)
    one = glorot_uniform([10, 10], tf.constant([1, 2]))
    assert not np.array_equal(one, glorot_uniform([10, 10], tf.constant([1, 3])))


def test_initial_weights_follow_the_seed(toy, toy_config):
    def nodes(seed):
        config = dataclasses.replace(toy_config, seed=seed)
        return LightGCN.from_config(config, toy).nodes.numpy()

    np.testing.assert_array_equal(nodes(1), nodes(1))
    assert not np.array_equal(nodes(1), nodes(2))


def test_renaming_nodes_renames_embeddings(toy, toy_config):
    """Permutation equivariance: the order of users and items carries no meaning."""
    from recns_tf.interactions import make_interactions, to_pairs

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
    one, two = (LightGCN.from_config(toy_config, data) for data in (toy, moved))
    nodes = one.nodes.numpy()
    renamed = np.empty_like(nodes)
    renamed[new_user] = nodes[:40]
    renamed[40 + new_item] = nodes[40:]
    two.nodes.assign(renamed)
    user, item = one.embeddings()
    user_moved, item_moved = two.embeddings()
    np.testing.assert_allclose(user_moved[new_user], user, atol=1e-6)
    np.testing.assert_allclose(item_moved[new_item], item, atol=1e-6)
