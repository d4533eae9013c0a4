import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.config.config import Workspace
from recns_tf.encoders import pinsage
from recns_tf.encoders.pinsage import PinSage
from recns_tf.encoders.propagation import bipartite
from recns_tf.encoders.tables import FullTables
from recns_tf.errors import UserError
from recns_tf.evaluation import ranking
from recns_tf.interactions import make_interactions
from recns_tf.ops import random
from recns_tf.training.build import build
from recns_tf.training.train import train_and_evaluate
from tests import oracles
from tests.encoders.slopes import assert_slopes
from tests.goodness_of_fit import chi_square, independence


@pytest.fixture(params=[64, 16], ids=["whole graph", "what is asked for"])
def config(request, toy_config):
    """With the larger batch, a step encodes all 100 nodes at once."""
    size = request.param
    return dataclasses.replace(toy_config, num_neighbors="5,3", feature_dim=6, batch_size=size)


@pytest.fixture
def encoder(toy, config):
    encoder = PinSage.from_settings(config, toy)
    encoder.nodes.assign(3 * encoder.nodes)
    return encoder


def kernels_of(encoder):
    return [[np.float64(kernel.numpy()) for kernel in pair] for pair in encoder.kernels]


def all_neighbors(toy):
    graph = bipartite(toy.train)
    return lambda layer, node: graph.indices[graph.indptr[node] : graph.indptr[node + 1]]


@pytest.mark.slow
@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
def test_ranking_embeddings_use_all_neighbors(toy, config, num_layers):
    config = dataclasses.replace(config, num_layers=num_layers)
    encoder = PinSage.from_settings(config, toy)
    expected = oracles.pinsage(encoder.nodes.numpy(), all_neighbors(toy), kernels_of(encoder))
    ours = np.concatenate(encoder.embeddings())
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, rtol=1e-5)


def known_ranks(seed, ids, bound, n):
    """Stand-in for the random draw: a rank that depends on node and column."""
    return (ids[:, None] * 7 + tf.range(n) * 3 + ids[:, None] // 5 * tf.range(n)) % bound[:, None]


@pytest.mark.slow
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_training_embeddings_use_drawn_neighbors(toy, config, num_layers, monkeypatch):
    """Layer 1 uses 5 neighbors, and later layers 3, for every node."""
    monkeypatch.setattr(random, "integers_by_id", known_ranks)
    encoder = PinSage.from_settings(dataclasses.replace(config, num_layers=num_layers), toy)
    graph = bipartite(toy.train)

    def drawn(layer, node):
        own = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
        if not len(own):
            return []
        count = 5 if layer == 1 else 3
        ranks = known_ranks(None, tf.constant([node]), tf.constant([len(own)]), count)
        return own[ranks.numpy()[0]]

    expected = oracles.pinsage(encoder.nodes.numpy(), drawn, kernels_of(encoder))
    tables = encoder.encode(True, random.root(0))
    users = np.array([[3, 0], [3, 39], [1, 2]], np.int32)
    np.testing.assert_allclose(tables.users(tf.constant(users)), expected[users], atol=2e-6)
    items = np.array([0, 59, 7, 7], np.int32)
    np.testing.assert_allclose(tables.items(tf.constant(items)), expected[40 + items], atol=2e-6)


@pytest.mark.slow
def test_gradients_agree_with_the_oracle(encoder, toy, monkeypatch):
    monkeypatch.setattr(random, "integers_by_id", known_ranks)
    graph = bipartite(toy.train)

    def drawn(layer, node):
        own = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
        bound = tf.constant([max(len(own), 1)])
        ranks = known_ranks(None, tf.constant([node]), bound, 5 if layer == 1 else 3)
        return own[ranks.numpy()[0]] if len(own) else []

    lists = {(layer, node): drawn(layer, node) for layer in (1, 2) for node in range(100)}

    def oracle(weights):
        nodes, *kernels = weights
        pairs = list(zip(kernels[::2], kernels[1::2], strict=True))
        return oracles.pinsage(nodes, lambda layer, node: lists[layer, node], pairs)

    def final():
        tables = encoder.encode(True, random.root(0))
        return tf.concat([tables.users(tf.range(40)), tables.items(tf.range(60))], axis=0)

    assert_slopes(encoder, final, oracle, tries=25)


@pytest.mark.slow
def test_gradients_through_all_neighbors_agree_with_the_oracle(encoder, toy):
    neighbors = all_neighbors(toy)

    def oracle(weights):
        nodes, *kernels = weights
        pairs = list(zip(kernels[::2], kernels[1::2], strict=True))
        return oracles.pinsage(nodes, neighbors, pairs)

    assert_slopes(encoder, lambda: encoder.all_layers()[-1], oracle, tries=10)


def test_drawn_neighbors_are_uniform_and_independent_per_node(toy, encoder, monkeypatch):
    """Chi-square over 4,000 steps; one permutation for all rows, as in the original, must fail."""
    graph = bipartite(toy.train)
    degree = np.diff(graph.indptr)
    node, other = np.flatnonzero(degree == np.bincount(degree[degree > 3]).argmax())[:2]
    own = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
    nodes = tf.constant([node, other], tf.int32)
    bound = tf.constant([degree[node]] * 2, tf.int32)

    def ranks_of(seed):
        return random.integers_by_id(random.stream(seed, 1), nodes, bound, 3)

    seeds = tf.stack([tf.range(4_000, dtype=tf.int64), tf.zeros(4_000, tf.int64)], axis=1)
    ranks = tf.function(lambda: tf.map_fn(ranks_of, seeds, fn_output_signature=tf.int32))().numpy()
    drawn = encoder.neighbors.graph.item(tf.fill([4_000], node), tf.constant(ranks[:, 0])).numpy()
    counts = np.bincount(drawn.ravel(), minlength=100)
    assert chi_square(counts, np.isin(np.arange(100), own)) > 1e-3

    def dependence(first, second):
        pairs = np.zeros((len(own), len(own)))
        np.add.at(pairs, (first, second), 1)
        return independence(pairs)

    assert dependence(ranks[:, 0, 0], ranks[:, 1, 0]) > 1e-3, "rows"
    assert dependence(ranks[:, 0, 0], ranks[:, 0, 1]) > 1e-3, "columns"
    assert dependence(ranks[:-1, 0, 0], ranks[1:, 0, 0]) > 1e-3, "steps"
    assert dependence(ranks[:, 0, 0], ranks[:, 0, 0]) < 1e-9, "one permutation for all rows"


def test_node_has_one_embedding_per_step(encoder):
    tables = encoder.encode(True, random.root(5))
    alone = tables.items(tf.constant([9]))
    among = tables.items(tf.constant([[1, 9], [9, 30]]))
    frozen = tables.frozen().items(tf.constant([4, 9]))
    for other in (among[0, 1], among[1, 0], frozen[1]):
        np.testing.assert_allclose(other, alone[0], rtol=1e-5, atol=1e-6)
    later = encoder.encode(True, random.root(6)).items(tf.constant([9]))
    assert not np.allclose(later, alone, atol=1e-3)


def test_layers_draw_separately_and_once_each(encoder, monkeypatch):
    seeds = []

    def spy(seed, ids, bound, n):
        seeds.append(tuple(seed.numpy()))
        return known_ranks(seed, ids, bound, n)

    monkeypatch.setattr(random, "integers_by_id", spy)
    encoder.encode(True, random.root(0)).users(tf.constant([3]))
    assert len(set(seeds)) == len(seeds) == 2


def test_step_encodes_all_nodes_if_a_batch_asks_for_as_many(toy, config):
    tables = PinSage.from_settings(config, toy).encode(True, random.root(0))
    assert isinstance(tables, FullTables) == (config.batch_size * (1 + 3) >= 100)


def test_cached_tables_are_those_of_the_last_refresh(encoder):
    encoder.refresh()
    user, item = encoder.embeddings()
    encoder.nodes.assign(-encoder.nodes)
    stale_ok = encoder.encode(True, random.root(0)).stale_ok()
    np.testing.assert_allclose(stale_ok.users(tf.range(40)), user, rtol=1e-6)
    np.testing.assert_allclose(stale_ok.items(tf.range(60)), item, rtol=1e-6)


def test_scores_are_products_of_the_embeddings(encoder):
    tables = encoder.encode(True, random.root(3))
    users, items = tf.constant([3, 7, 3]), tf.constant([[1, 1], [59, 3], [8, 1]])
    expected = np.einsum("bd,bnd->bn", tables.users(users), tables.items(items))
    np.testing.assert_allclose(tables.scores(users, items), expected, rtol=1e-5, atol=1e-6)


def test_node_without_neighbors_uses_its_own_features(encoder, toy):
    assert not toy.train[[0]].nnz
    (own, _), (second, _) = kernels_of(encoder)
    hidden = np.maximum(encoder.nodes.numpy()[0] @ own, 0)
    last = np.concatenate([hidden, np.zeros(4)]) @ second
    expected = np.concatenate([last, np.zeros(4)]) / np.linalg.norm(last)
    np.testing.assert_allclose(encoder.embeddings()[0][0], expected, rtol=1e-5, atol=1e-6)
    drawn = encoder.encode(True, random.root(0)).users(tf.constant([0]))
    np.testing.assert_allclose(drawn[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_ranking_can_use_drawn_neighbors(toy, config, monkeypatch):
    everything = PinSage.from_settings(config, toy).embeddings()
    config = dataclasses.replace(config, ranking_neighbors="drawn")
    encoder = PinSage.from_settings(config, toy)
    whole = encoder.embeddings()
    assert not np.allclose(whole[0], everything[0], atol=1e-3)
    monkeypatch.setattr(pinsage, "NODES_AT_ONCE", 7)
    for one, again in zip(whole, encoder.embeddings(), strict=True):
        np.testing.assert_allclose(one, again, rtol=1e-5, atol=1e-6)
    called = encoder((tf.constant([3]), tf.constant([8])))
    np.testing.assert_allclose(called[1][0], whole[1][8], rtol=1e-5, atol=1e-6)


def test_new_user_is_encoded_from_clicks_alone(encoder, toy):
    """With the mean of all users' features, the clicks of user 5 give user 5's embedding."""
    features = encoder.nodes.numpy()
    features[5] = np.delete(features[:40], 5, axis=0).mean(axis=0)
    encoder.nodes.assign(features)
    user, _ = encoder.embeddings()
    clicks = toy.train[[5, 0]]
    assert clicks.nnz > 0
    new = encoder.embed_new_users(csr_array(clicks))
    assert new.dtype == np.float32
    np.testing.assert_allclose(new[0], user[5], rtol=1e-4, atol=1e-5)
    assert np.isfinite(new[1]).all(), "a new user without clicks has an embedding too"
    np.testing.assert_allclose(np.linalg.norm(new, axis=1), 1, rtol=1e-5)


@pytest.mark.slow
def test_new_users_of_a_checkerboard_find_their_color(toy_config, tmp_path):
    """Trains without four users, then finds their items from three clicks each."""
    size, old = 24, 20
    cells = np.add.outer(np.arange(size), np.arange(size)) % 2 == 0
    board = np.argwhere(cells[:old])
    held_out = (board[:, 1] - board[:, 0]) % size == 0
    data = make_interactions(
        "checkerboard",
        train=board[~held_out],
        valid=board[held_out],
        test=np.zeros((0, 2)),
        exposed=np.argwhere(~cells[:old]),
        user_ids=np.arange(old),
        item_ids=np.arange(size),
        source={},
    )
    config = dataclasses.replace(
        toy_config, encoder="pinsage", region="all", epochs=20, eval_every=20
    )
    workspace = Workspace(runs_dir=str(tmp_path))
    train_and_evaluate(config, workspace, data)
    model, _, _ = build(config, data)
    model.load_weights(workspace.run_folder(config) / "best" / "model.weights.h5")
    clicks = np.zeros((4, size), bool)
    for row, user in enumerate(range(old, size)):
        clicks[row, np.flatnonzero(cells[user])[row : row + 3]] = True
    new = model.encoder.embed_new_users(csr_array(clicks))
    _, item = model.encoder.embeddings()
    top = ranking.top_items(new, item, np.arange(4), csr_array(clicks), k=9)
    for row, user in enumerate(range(old, size)):
        assert set(top[row]) == set(np.flatnonzero(cells[user] & ~clicks[row]))


def test_cached_scores_are_those_of_the_last_refresh(encoder):
    tables = encoder.encode(True, random.root(2))
    fresh = tables.stale_ok().items(tf.constant([3]))
    np.testing.assert_array_equal(fresh, tables.frozen().items(tf.constant([3])))
    encoder.refresh()
    before = encoder.embeddings()
    encoder.nodes.assign(2 - encoder.nodes)
    ids = tf.constant([3, 30])
    np.testing.assert_array_equal(tables.stale_ok().items(ids), before[1][[3, 30]])
    np.testing.assert_array_equal(tables.stale_ok().users(ids), before[0][[3, 30]])
    read = tf.function(lambda: tables.stale_ok().items(ids))
    read()
    encoder.refresh()
    np.testing.assert_array_equal(read(), encoder.embeddings()[1][[3, 30]])
    assert not np.allclose(read(), before[1][[3, 30]])


def test_penalty_is_that_of_the_kernels(encoder):
    negatives = tf.zeros([4, 3], tf.int32)
    expected = sum(0.5 * (kernel**2).sum() for pair in kernels_of(encoder) for kernel in pair) / 12
    ours = encoder.penalty(tf.zeros([4], tf.int32), tf.zeros([4], tf.int32), negatives)
    assert float(ours) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "num_layers", "expected"),
    [("25,10", 2, (25, 10)), ("25,10", 4, (25, 10, 10, 10)), ("7", 3, (7, 7, 7)), ("9,8", 1, (9,))],
)
def test_numbers_of_neighbors(toy, toy_config, text, num_layers, expected):
    config = dataclasses.replace(toy_config, num_neighbors=text, num_layers=num_layers)
    assert PinSage.from_settings(config, toy).neighbors.num_neighbors == expected


def test_invalid_settings_are_an_error(toy, config):
    with pytest.raises(UserError, match="--dim=7: choose an even number"):
        PinSage.from_settings(dataclasses.replace(config, dim=7), toy)
    for text in ("", "0", "25,", "a", "25,-1"):
        with pytest.raises(UserError, match=r"--num_neighbors=.*whole numbers from 1"):
            dataclasses.replace(config, num_neighbors=text)
