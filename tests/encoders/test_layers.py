"""The layers that encoders give to samplers which choose in each of them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf import registry
from recns_tf.encoders.full_graph import FullGraphEncoder
from recns_tf.encoders.layers import LayeredTables, layered
from recns_tf.encoders.tables import FullTables, StaleTables
from recns_tf.errors import UserError
from recns_tf.ops import random
from recns_tf.training.build import build
from tests import oracles
from tests.encoders.slopes import assert_slopes

CASES = [("lightgcn", "mean"), ("lightgcn", "learned"), ("ngcf", "mean"), ("mf", "mean")]


def make(toy, toy_config, name, weights="mean", **settings):
    config = dataclasses.replace(toy_config, encoder=name, layer_weights=weights, **settings)
    encoder = registry.ENCODERS[name].load().from_settings(config, toy)
    if weights == "learned":
        encoder.layer_logits.assign([0.5, -1.0, 0.2])
    return encoder


def powers(dense, nodes, num_layers):
    """The layers of LightGCN, by products with the dense matrix of its eq. (8)."""
    graph = oracles.adjacency(dense).astype(float)
    degree = graph.sum(axis=1)
    scale = np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    layers = [np.float64(nodes)]
    for _ in range(num_layers):
        layers.append(scale[:, None] * graph * scale @ layers[-1])
    return layers


def nodes_of(layer):
    return np.concatenate([layer.user, layer.item])


def test_layers_of_lightgcn_are_powers_of_the_matrix(toy, toy_config):
    encoder = make(toy, toy_config, "lightgcn", num_layers=3)
    tables = encoder.encode_layers(False)
    expected = powers(toy.train.toarray(), encoder.nodes.numpy(), 3)
    assert len(tables.layers) == 4
    for ours, theirs in zip(tables.layers, expected, strict=True):
        np.testing.assert_allclose(nodes_of(ours), theirs, rtol=1e-5, atol=1e-6)


def test_layers_of_ngcf_are_those_that_it_concatenates(toy, toy_config):
    encoder = make(toy, toy_config, "ngcf", num_layers=2)
    kernels = [[np.float64(kernel) for kernel in pair] for pair in encoder.transforms]
    expected = oracles.ngcf(toy.train.toarray(), encoder.nodes.numpy(), kernels)
    tables = encoder.encode_layers(False)
    assert len(tables.layers) == 3
    for ours, theirs in zip(tables.layers, np.split(expected, 3, axis=1), strict=True):
        np.testing.assert_allclose(nodes_of(ours), theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "weights"), CASES)
def test_layers_make_the_embeddings_to_rank_with(toy, toy_config, name, weights):
    encoder = make(toy, toy_config, name, weights)
    tables = encoder.encode_layers(False)
    for ours, theirs in zip((tables.user, tables.item), encoder.embeddings(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert {layer.user.shape[1] for layer in tables.layers} == {encoder.layer_width}


@pytest.mark.parametrize(("name", "weights"), CASES)
def test_factors_divide_scores_among_the_layers(toy, toy_config, name, weights):
    encoder = make(toy, toy_config, name, weights)
    user, item = (np.float64(table) for table in encoder.embeddings())
    tables = encoder.encode_layers(False)
    users = tf.constant([3, 7, 3])
    parts = [
        factor.numpy() @ layer.item.numpy().T
        for factor, layer in zip(tables.factors(users), tables.layers, strict=True)
    ]
    np.testing.assert_allclose(sum(parts), user[users] @ item.T, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "weights"), CASES)
def test_unit_layers_make_embeddings_of_length_1(toy, toy_config, name, weights):
    encoder = make(toy, toy_config, name, weights)
    unit = encoder.encode_layers(False).unit()
    for ours, theirs in zip((unit.user, unit.item), encoder.embeddings(), strict=True):
        np.testing.assert_allclose(ours, oracles.unit(theirs), rtol=1e-4, atol=1e-5)
    whole = encoder.encode_layers(False)
    length = np.linalg.norm(whole.item, axis=1, keepdims=True)
    for ours, theirs in zip(unit.layers, whole.layers, strict=True):
        np.testing.assert_allclose(length * ours.item, theirs.item, rtol=1e-4, atol=1e-6)


def test_gradients_of_the_layers_agree_with_the_oracle(toy, toy_config):
    encoder = make(toy, toy_config, "lightgcn", num_layers=3)
    encoder.nodes.assign(8 * encoder.nodes)
    dense = toy.train.toarray()
    assert_slopes(
        encoder,
        lambda: tf.concat(encoder.all_layers(None), axis=1),
        lambda weights: np.concatenate(powers(dense, weights[0], 3), axis=1),
    )


def test_learned_weights_get_the_gradient_of_the_pooled_layers(toy, toy_config):
    encoder = make(toy, toy_config, "lightgcn", "learned")
    encoder.nodes.assign(8 * encoder.nodes)
    dense = toy.train.toarray()

    def oracle(weights):
        nodes, logits = weights if weights[0].ndim == 2 else weights[::-1]
        share = np.exp(logits) / np.exp(logits).sum()
        return sum(a * layer for a, layer in zip(share, powers(dense, nodes, 2), strict=True))

    assert_slopes(encoder, lambda: nodes_live(encoder.encode_layers(False)), oracle)


def nodes_live(tables):
    return tf.concat([tables.user, tables.item], axis=0)


@pytest.mark.parametrize(("name", "weights"), CASES)
def test_frozen_layers_are_without_dropout_and_gradient(toy, toy_config, name, weights):
    encoder = make(toy, toy_config, name, weights, message_dropout=0.4)
    expected = encoder.encode_layers(False)
    with tf.GradientTape() as tape:
        live = encoder.encode_layers(True, random.root(1))
        frozen = live.frozen()
        value = sum(tf.reduce_sum(factor) for factor in frozen.factors(tf.constant([3])))
        value += sum(tf.reduce_sum(layer.item) for layer in frozen.layers)
    variables = [weight.value for weight in encoder.trainable_variables]
    assert tape.gradient(value, variables) == [None] * len(variables)
    for ours, theirs in zip(frozen.layers, expected.layers, strict=True):
        np.testing.assert_array_equal(ours.item, theirs.item)
    assert np.array_equal(live.item, expected.item) == (name != "ngcf")


def test_stale_tables_show_their_current_layers(toy, toy_config):
    current, before = (
        make(toy, toy_config, "mf", seed=seed).encode_layers(False) for seed in (0, 1)
    )
    stale = StaleTables(StaleTables(current, before), before)
    assert layered(stale) is current
    assert isinstance(stale.frozen(), LayeredTables)
    np.testing.assert_array_equal(stale.frozen().item, before.item)
    with pytest.raises(TypeError, match=r"FullTables has no layers: encode with Sampler.encode"):
        layered(FullTables(current.user, current.item))


def test_other_samplers_get_tables_without_layers(toy, toy_config):
    """LightGCN then needs no more than the polynomial."""
    model, _, _ = build(dataclasses.replace(toy_config, sampler="dns"), toy)
    model.encoder.all_layers = None
    assert not isinstance(model.sampler.encode(model.encoder, True), LayeredTables)


class Own(FullGraphEncoder):
    """A user's encoder, whose layers are unknown."""

    def __init__(self, num_users, num_items):
        super().__init__("own", num_users, num_items, dim=4, seed=0)
        self.width = 4

    @classmethod
    def from_settings(cls, config, interactions):
        return cls(interactions.num_users, interactions.num_items)

    def propagate(self, seed):
        return tf.convert_to_tensor(self.nodes)


@pytest.mark.parametrize("sampler", ["mixgcf", "dens"])
@pytest.mark.parametrize(
    ("encoder", "why"),
    [
        ("pinsage", "which pinsage does not allow, since only its last layer is scored"),
        (f"{__name__}:Own", "Own does not allow, since it does not define encode_layers"),
    ],
)
def test_encoders_without_layers_are_refused(toy, toy_config, sampler, encoder, why):
    config = dataclasses.replace(toy_config, encoder=encoder, sampler=sampler)
    with pytest.raises(UserError, match=rf"^--sampler={sampler} chooses .*{why}: choose another"):
        build(config, toy)
    made = registry.find(registry.ENCODERS, "encoder", encoder).load()
    with pytest.raises(UserError, match="has no layers to choose negatives in, since "):
        made.from_settings(toy_config, toy).encode_layers(False)
