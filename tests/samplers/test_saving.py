"""Serialization of samplers by Keras."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from recns_tf import registry
from recns_tf.ops import random
from recns_tf.samplers.base import Sampler
from recns_tf.samplers.unins import UniNS
from recns_tf.training.build import build
from tests.samplers import worlds


@pytest.mark.slow
@pytest.mark.parametrize("region", ["all", "intermediate"])
@pytest.mark.parametrize("name", registry.SAMPLERS)
def test_sampler_is_restored_from_config_weights_and_assets(
    name, region, toy, toy_config, tmp_path
):
    own_shares = region == "intermediate"
    config = dataclasses.replace(
        toy_config, sampler=name, region=region, exposed_share_per_user=own_shares
    )
    model, pipeline, _ = build(config, toy)
    sampler = model.sampler
    sampler.begin_epoch(0, model.encoder)
    batch = next(iter(pipeline.batches()))
    tables = model.sampler.encode(model.encoder, False)
    sampler.update_state(batch, sampler.sample(batch, tables, batch.seed).feedback)

    text = json.dumps(keras.saving.serialize_keras_object(sampler))
    assert len(text) < 1_500
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(copy) is type(sampler)
    assert copy.get_config() == sampler.get_config()
    copy.set_weights(sampler.get_weights())
    sampler.save_assets(tmp_path)
    copy.load_assets(tmp_path)
    for n in range(3):
        ours, expected = (
            each.sample(batch, tables, random.root(n)).ids for each in (copy, sampler)
        )
        np.testing.assert_array_equal(ours, expected)


def test_loading_other_data_replaces_what_was_computed_from_the_first(toy, toy_config, tmp_path):
    config = dataclasses.replace(toy_config, sampler="popns", popularity_power=1.0)
    sampler = build(config, toy)[0].sampler
    before = sampler.weighted
    sampler.save_assets(tmp_path)
    sampler.load_assets(tmp_path)
    assert sampler.weighted is not before
    np.testing.assert_array_equal(sampler.weighted.ends, before.ends)


class Forgetful(UniNS):
    """Keeps its argument under another name."""

    def __init__(self, num_negatives, pool, share):
        super().__init__(num_negatives, pool)
        self.omega = share


class Opaque(UniNS):
    """Takes what no config can hold."""

    def __init__(self, num_negatives, pool, generator):
        super().__init__(num_negatives, pool)
        self.generator = generator


def test_own_sampler_without_a_config_trains_and_cannot_be_saved(tmp_path):
    pool = worlds.unobserved([[0]], 4)
    tables = worlds.tables([[1.0]], [[1.0]] * 4)
    for sampler, message in (
        (Forgetful(2, pool, 0.5), "Forgetful cannot be saved: keep its argument 'share'"),
        (Opaque(2, pool, np.random.default_rng(0)), "its argument 'generator' is a Generator"),
    ):
        assert worlds.sample(sampler, worlds.batch(3), tables).ids.shape == (3, 2)
        with pytest.raises(NotImplementedError, match=message):
            sampler.get_config()


class Explicit(Sampler):
    """Defines its own config."""

    def __init__(self, num_negatives, share):
        super().__init__(num_negatives)
        self.omega = share

    def get_config(self):
        return {"num_negatives": self.num_negatives, "share": self.omega}


def test_own_config_is_used(tmp_path):
    copy = Explicit.from_config(Explicit(2, 0.25).get_config())
    copy.save_assets(tmp_path)
    copy.load_assets(tmp_path)
    assert (copy.num_negatives, copy.omega) == (2, 0.25)
    assert not list(tmp_path.iterdir())
