import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.encoders import ngcf
from recns_tf.encoders.ngcf import NGCF
from recns_tf.errors import UserError
from recns_tf.ops import random
from recns_tf.samplers.parts import Parts
from tests import oracles
from tests.encoders.slopes import assert_slopes


@pytest.fixture
def encoder(toy, toy_config):
    return NGCF.from_settings(toy_config, toy)


def transforms_of(encoder):
    return [[np.float64(weight.numpy()) for weight in layer] for layer in encoder.transforms]


def of_code(config, **changes):
    return dataclasses.replace(config, ngcf_form="code", adjacency="row", **changes)


@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("engine", ["csr", "coo"])
def test_embeddings_are_those_of_the_paper(toy, toy_config, num_layers, engine):
    config = dataclasses.replace(toy_config, num_layers=num_layers, sparse_engine=engine)
    encoder = NGCF.from_settings(config, toy)
    expected = oracles.ngcf(toy.train.toarray(), encoder.nodes.numpy(), transforms_of(encoder))
    ours = np.concatenate(encoder.embeddings())
    assert ours.shape == (100, 8 * (num_layers + 1))
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("engine", ["csr", "coo"])
def test_embeddings_in_the_form_of_the_code_are_those_of_ngcf_py(
    toy, toy_config, num_layers, engine
):
    config = of_code(toy_config, num_layers=num_layers, sparse_engine=engine)
    encoder = NGCF.from_settings(config, toy)
    dense, nodes = toy.train.toarray(), encoder.nodes.numpy()
    transforms = transforms_of(encoder)
    ours = np.concatenate(encoder.embeddings())
    assert ours.shape == (100, 8 * (num_layers + 1))
    expected = oracles.ngcf_of_code(dense, nodes, transforms)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    none = np.zeros((1, 8))
    mutants = {
        "no bias b1": {"transforms": [(w1, w2, none, b2) for w1, w2, _, b2 in transforms]},
        "no bias b2": {"transforms": [(w1, w2, b1, none) for w1, w2, b1, _ in transforms]},
        "W1 and W2 swapped": {"transforms": [(w2, w1, *biases) for w1, w2, *biases in transforms]},
        "one LeakyReLU": {"both": False},
        "no self loop": {"self_loop": False},
    }
    for name, changes in mutants.items():
        wrong = oracles.ngcf_of_code(dense, nodes, **{"transforms": transforms} | changes)
        assert np.abs(ours - wrong).max() > 1e-2, name
    wrong = oracles.ngcf(dense, nodes, [layer[:2] for layer in transforms])
    assert np.abs(ours - wrong).max() > 1e-2, "the form of the paper"


@pytest.mark.parametrize(("form", "layers"), [("paper", 2), ("code", 4)])
def test_weights_are_glorot_uniform(toy, toy_config, form, layers):
    config = dataclasses.replace(toy_config, dim=64)
    config = of_code(config) if form == "code" else config
    (first, *_) = transforms_of(NGCF.from_settings(config, toy))
    assert [weight.shape for weight in first] == [(64, 64)] * 2 + [(1, 64)] * (layers - 2)
    for weight in first:
        limit = np.sqrt(6 / sum(weight.shape))
        assert 0.9 * limit < np.abs(weight).max() <= limit


@pytest.mark.parametrize(("form", "adjacency"), [("paper", "row"), ("code", "symmetric")])
def test_adjacency_of_the_other_form_is_refused(toy_config, form, adjacency):
    config = dataclasses.replace(toy_config, ngcf_form=form, adjacency=adjacency)
    sentence = (
        f"^--adjacency={adjacency} with --ngcf_form={form}: choose --adjacency=symmetric with "
        "--ngcf_form=paper or --adjacency=row with --ngcf_form=code.$"
    )
    Parts.load(config).check(config)  # LightGCN has no forms.
    config = dataclasses.replace(config, encoder="ngcf")
    with pytest.raises(UserError, match=sentence):
        Parts.load(config).check(config)


def test_node_without_neighbors_uses_its_own_embedding(encoder, toy):
    assert not toy.train[[0]].nnz
    user, _ = encoder.embeddings()
    own = encoder.nodes.numpy()[0] @ encoder.transforms[0][0].numpy()
    own = np.where(own > 0, own, 0.2 * own)
    np.testing.assert_allclose(user[0, 8:16], own / np.linalg.norm(own), rtol=1e-5)


@pytest.fixture
def known(monkeypatch):
    """The masks of dropout that are drawn."""
    known = {"messages": [], "nodes": []}

    def recorded(x, rate, seed, by_row=False):
        mask = ngcf.__dict__["original"](tf.ones_like(x), rate, seed, by_row)
        known["nodes" if by_row else "messages"].append(mask.numpy())
        return x * mask

    monkeypatch.setattr(ngcf, "original", ngcf.dropout, raising=False)
    monkeypatch.setattr(ngcf, "dropout", recorded)
    return known


def test_dropout_is_applied_as_in_the_paper(toy, toy_config, known):
    """Given the masks, embeddings in training are those of the oracle."""
    config = dataclasses.replace(toy_config, message_dropout=0.3, node_dropout=0.4)
    encoder = NGCF.from_settings(config, toy)
    tables = encoder.encode(True, random.root(3))
    expected = oracles.ngcf(
        toy.train.toarray(),
        encoder.nodes.numpy(),
        transforms_of(encoder),
        keep_messages=known["messages"],
        keep_nodes=[mask[:, :1] for mask in known["nodes"]],
    )
    ours = np.concatenate([tables.user, tables.item])
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    first, second = known["messages"]
    assert not np.array_equal(first, second), "each layer has a mask of its own"


def test_dropout_is_applied_as_in_the_code(toy, toy_config, known):
    """To the sum of both terms, before the scaling to length 1 and the next layer."""
    encoder = NGCF.from_settings(of_code(toy_config, message_dropout=0.3), toy)
    tables = encoder.encode(True, random.root(3))
    expected = oracles.ngcf_of_code(
        toy.train.toarray(), encoder.nodes.numpy(), transforms_of(encoder), known["messages"]
    )
    ours = np.concatenate([tables.user, tables.item])
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)
    assert len(known["messages"]) == 2 and not known["nodes"]


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
@pytest.mark.parametrize("form", ["paper", "code"])
def test_gradients_agree_with_the_oracle(toy, toy_config, form):
    config = dataclasses.replace(toy_config, message_dropout=0.0)
    encoder = NGCF.from_settings(of_code(config) if form == "code" else config, toy)
    encoder.nodes.assign(8 * encoder.nodes)
    dense, number = toy.train.toarray(), len(encoder.transforms[0])
    oracle = oracles.ngcf_of_code if form == "code" else oracles.ngcf

    def final(weights):
        nodes, *rest = weights
        layers = [rest[start : start + number] for start in range(0, len(rest), number)]
        return oracle(dense, nodes, layers)

    assert_slopes(encoder, lambda: encoder.propagate(None), final)


@pytest.mark.parametrize("form", ["paper", "code"])
def test_penalty_includes_all_weights_of_the_layers_and_rows(toy, toy_config, form):
    encoder = NGCF.from_settings(of_code(toy_config) if form == "code" else toy_config, toy)
    users, positives = tf.constant([2, 3]), tf.constant([5, 7])
    negatives = tf.constant([[5, 5, 1], [8, 9, 1]])
    nodes = encoder.nodes.numpy()
    expected = oracles.l2_penalty(
        nodes[:40], nodes[40:], users.numpy(), positives.numpy(), negatives.numpy()
    )
    expected += sum(0.5 * (kernel**2).sum() for layer in transforms_of(encoder) for kernel in layer)
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
