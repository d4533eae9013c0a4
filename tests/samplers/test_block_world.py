"""A dataset of four blocks, whose items a trained encoder distinguishes."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.config.config import Workspace
from recns_tf.interactions import make_interactions
from recns_tf.training.build import build
from recns_tf.training.train import train_and_evaluate

SIZE, BLOCKS = 48, 4


@pytest.fixture(scope="module")
def world():
    """Users choose half of the 12 items in their own block, and are shown random others."""
    rng = np.random.default_rng(4)
    block = np.arange(SIZE) % BLOCKS
    own = block[:, None] == block[None, :]
    train = own & (rng.random((SIZE, SIZE)) < 0.5)
    exposed = ~train & (rng.random((SIZE, SIZE)) < 0.1)
    return make_interactions(
        "planted",
        train=np.argwhere(train),
        valid=np.zeros((0, 2)),
        test=np.zeros((0, 2)),
        exposed=np.argwhere(exposed),
        user_ids=np.arange(SIZE),
        item_ids=np.arange(SIZE),
        source={},
    )


@pytest.fixture(scope="module")
def config(toy_config):
    return dataclasses.replace(
        toy_config,
        region="all",
        num_candidates=8,
        batch_size=72,
        learning_rate=0.02,
        epochs=15,
        generator_warmup=0,
        generator_learning_rate=0.02,
        srns_weight=0.0,
        srns_temperature=0.1,
        srns_memory=9,
    )


@pytest.fixture(scope="module")
def weights(world, config, tmp_path_factory):
    workspace = Workspace(runs_dir=str(tmp_path_factory.mktemp("runs")))
    config = dataclasses.replace(config, sampler="unins")
    train_and_evaluate(config, workspace, world)
    model, _, _ = build(config, world)
    model.load_weights(workspace.run_folder(config) / "best" / "model.weights.h5")
    return model.encoder.get_weights()


@pytest.fixture(scope="module")
def mean_score(world, config, weights):
    """Return the mean score of a sampler's negatives, after some updates with a frozen encoder."""

    def function(sampler, epochs=0):
        model, pipeline, _ = build(dataclasses.replace(config, sampler=sampler), world)
        model.encoder.set_weights(weights)
        model.sampler.begin_epoch(0, model.encoder)
        steps = pipeline.steps_per_epoch

        @tf.function(autograph=False)
        def feedback(batch):
            values, negatives = model.forward(batch)
            model.sampler.update_state(batch, negatives.feedback)
            return values["negative_score"]

        batches = pipeline.batches().take(steps * (epochs + 3))
        scores = [float(feedback(batch)) for batch in batches]
        return np.mean(scores[steps * epochs :])

    return function


@pytest.mark.slow
def test_hard_samplers_find_hard_negatives(mean_score):
    """Negatives from the user's own block are the hard ones by the model's scores."""
    uniform = mean_score("unins")
    spread = abs(mean_score("popns") - uniform)
    for sampler, epochs in (("recns-o", 0), ("mcns", 3), ("simns", 0), ("advns", 25)):
        assert mean_score(sampler, epochs) > uniform + spread, sampler
    hardest = mean_score("dns")
    assert hardest > mean_score("recns-o") and hardest > mean_score("mcns", 3)
    assert mean_score("srns", 5) > uniform + 0.5 * (hardest - uniform)


@pytest.mark.slow
def test_untrained_generator_is_no_harder_than_chance(mean_score):
    assert mean_score("advns", 25) > mean_score("advns", 0)


@pytest.mark.slow
def test_memory_without_updates_is_no_harder_than_chance(mean_score):
    assert mean_score("srns", 5) > mean_score("srns", 0)
