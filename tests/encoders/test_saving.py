"""Saving and loading with Keras: configs, assets, and data that are not loaded."""

import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf import registry
from recns_tf.encoders.pinsage import PinSage
from recns_tf.encoders.propagation import Adjacency
from recns_tf.encoders.saving import Unloaded, flatten, restore
from recns_tf.ops.bitmap import Bitmap
from recns_tf.ops.item_sets import ComplementItems, Fallback, ListedItems, Pool
from tests.conftest import make_toy

SETTINGS = {"message_dropout": 0.3, "num_neighbors": "4,2", "feature_dim": 5}
CHOICES = {
    "lightgcn": [{}, {"layer_weights": "learned", "adjacency": "row", "sparse_engine": "coo"}],
    "ngcf": [{}, {"ngcf_form": "code", "adjacency": "row"}],
    "pinsage": [{}, {"ranking_neighbors": "drawn"}, {"neighbor_draw": "shared"}],
    "mf": [{}],
}


def make(name, config, data, **changes):
    config = dataclasses.replace(config, encoder=name, **SETTINGS | changes)
    encoder = registry.ENCODERS[name].load().from_settings(config, data)
    for weight in encoder.weights:
        weight.assign(weight + 0.1)
    return encoder


@pytest.mark.parametrize(
    ("name", "changes"), [(name, each) for name, choices in CHOICES.items() for each in choices]
)
def test_saved_encoder_has_the_same_embeddings(name, changes, toy, toy_config, tmp_path):
    encoder = make(name, toy_config, toy, **changes)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    assert type(loaded) is type(encoder) and loaded.name == encoder.name
    assert loaded.get_config() == encoder.get_config()
    for ours, expected in zip(loaded.embeddings(), encoder.embeddings(), strict=True):
        np.testing.assert_array_equal(ours, expected)
    clicks = toy.train[[3, 4, 0]]
    expected = encoder.embed_new_users(clicks)
    np.testing.assert_array_equal(loaded.embed_new_users(clicks), expected)


@pytest.mark.parametrize("name", registry.ENCODERS)
def test_size_of_the_config_does_not_depend_on_the_graph(name, toy_config, tmp_path):
    sizes = []
    for density in (0.05, 0.4):
        make(name, toy_config, make_toy(density=density)).save(tmp_path / "encoder.keras")
        with zipfile.ZipFile(tmp_path / "encoder.keras") as archive:
            sizes.append(len(archive.read("config.json")))
    assert sizes[0] == sizes[1] < 1_500


@pytest.mark.parametrize("name", registry.ENCODERS)
def test_config_is_json_and_rebuilds_the_settings(name, toy, toy_config):
    encoder = make(name, toy_config, toy)
    config = json.loads(json.dumps(encoder.get_config()))
    copy = type(encoder).from_config(config)
    assert copy.get_config() == config
    assert [w.shape for w in copy.weights] == [w.shape for w in encoder.weights]


def test_encoder_without_its_graph_says_how_to_load_it(toy, toy_config, tmp_path):
    encoder = PinSage.from_config(make("pinsage", toy_config, toy).get_config())
    with pytest.raises(AttributeError, match=r"keras\.saving\.load_model reads"):
        encoder.embeddings()
    with pytest.raises(ValueError, match="'train' is not loaded"):
        encoder.save(tmp_path / "encoder.keras")


def test_table_for_samplers_is_saved(toy, toy_config, tmp_path):
    encoder = make("pinsage", toy_config, toy)
    encoder.refresh()
    encoder.nodes.assign(encoder.nodes * 2)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(loaded.scores_from.item, encoder.scores_from.item)


def test_weight_files_hold_no_graph(toy, toy_config, tmp_path):
    encoder = make("lightgcn", toy_config, toy)
    encoder.save_weights(tmp_path / "encoder.weights.h5")
    other = make("lightgcn", toy_config, make_toy(seed=9))
    other.load_weights(tmp_path / "encoder.weights.h5")
    np.testing.assert_array_equal(other.nodes, encoder.nodes)
    assert not np.array_equal(other.embeddings()[0], encoder.embeddings()[0])


ROWS = csr_array(np.random.default_rng(0).random((7, 70)) < 0.2)
USERS = tf.range(7)


def pool():
    sets = Pool(7, 70, 5)
    sets.assign(np.arange(35, dtype=np.int32).reshape(7, 5), np.arange(7, dtype=np.int32) % 5)
    return sets


@pytest.mark.parametrize(
    "sets",
    [
        ListedItems(ROWS),
        ComplementItems(ROWS),
        Fallback(ListedItems(ROWS), ComplementItems(ROWS)),
        Bitmap(np.random.default_rng(1).integers(0, 64, (7, 2)).astype(np.uint64), 70),
        pool(),
    ],
    ids=lambda sets: type(sets).__name__,
)
def test_item_sets_are_restored_from_their_arrays(sets):
    arrays = flatten(sets, "pool")
    assert all(array.dtype != object for array in arrays.values())
    restored = restore(arrays, "pool")
    assert type(restored) is type(sets)
    np.testing.assert_array_equal(restored.count(USERS), sets.count(USERS))
    items = tf.broadcast_to(tf.range(70), [7, 70])
    np.testing.assert_array_equal(restored.contains(USERS, items), sets.contains(USERS, items))
    ranks = tf.zeros([7, 1], tf.int32)
    np.testing.assert_array_equal(restored.item(USERS, ranks), sets.item(USERS, ranks))


@pytest.mark.parametrize("kind", ["symmetric", "row"])
@pytest.mark.parametrize("engine", ["csr", "coo"])
def test_adjacency_is_restored_from_its_arrays(kind, engine):
    adjacency = Adjacency.from_train(ROWS, kind, engine)
    restored = restore(flatten(adjacency, "graph"), "graph")
    x = tf.random.stateless_normal([77, 3], [1, 2])
    np.testing.assert_array_equal(restored.product(x), adjacency.product(x))
    assert (restored.adjoint is restored.matrix) == (kind == "symmetric")
    assert (restored.engine, restored.symmetric) == (engine, kind == "symmetric")


def test_unloaded_data_have_a_shape_alone():
    unloaded = Unloaded({"data": "csr", "shape": [3, 4]})
    assert unloaded.shape == (3, 4)
    with pytest.raises(AttributeError, match="'indptr' needs data"):
        _ = unloaded.indptr
