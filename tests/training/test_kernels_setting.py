"""--kernels: a training step with either implementation."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recns_tf import registry
from recns_tf.config.config import Workspace
from recns_tf.ops import kernels
from recns_tf.training.build import build
from recns_tf.training.train import train_and_evaluate
from tests.conftest import PAIRS
from tests.graphs import operations_of

COMPARED = [pair for pair in PAIRS if pair[0] == "lightgcn" or pair[1] == "recns"]


@pytest.fixture(autouse=True)
def restored():
    """Leaves the choice as it was."""
    before = kernels.chosen
    yield
    kernels.use(before)


def ready(config, data):
    """Return a model past its warm-up, and an iterator over its batches."""
    model, pipeline, sets = build(config, data)
    sets.prepare(0)
    model.sampler.begin_epoch(5, model.encoder)
    model.refresh()
    return model, iter(pipeline.batches())


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "sampler"), COMPARED)
def test_a_step_calls_no_python(encoder, sampler, toy, toy_config):
    config = dataclasses.replace(toy_config, encoder=encoder, sampler=sampler, kernels="tensorflow")
    model, batches = ready(config, toy)
    found = operations_of(tf.function(model.train_step, autograph=False), next(batches))
    assert not any("PyFunc" in each for each in found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "sampler"),
    dict.fromkeys([*PAIRS, *(("mf", each) for each in registry.SAMPLERS)]),
)
def test_an_epoch_with_every_pair(encoder, sampler, toy, toy_config, monkeypatch):
    """It calls no compiled loop, and changes every weight of the encoder and of a generator."""
    config = dataclasses.replace(
        toy_config, encoder=encoder, sampler=sampler, kernels="tensorflow", batch_size=200
    )
    model, pipeline, sets = build(config, toy)
    sets.prepare(0)
    model.sampler.begin_epoch(5, model.encoder)
    model.refresh()
    assert pipeline.steps_per_epoch == 2
    batches = list(pipeline.batches(5).take(2))
    weights = [*model.encoder.trainable_variables, *model.sampler.trainable_variables]
    before = [weight.numpy() for weight in weights]
    monkeypatch.setattr(tf, "numpy_function", None)
    # Not in a graph, which takes longer to build than the steps.
    for batch in batches:
        means = model.train_step(batch)
    assert np.isfinite([float(mean) for mean in means.values()]).all()
    for weight, old in zip(weights, before, strict=True):
        assert np.isfinite(weight.numpy()).all()
        assert not np.array_equal(weight.numpy(), old), weight.path


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "sampler"), COMPARED)
def test_a_step_draws_the_same_negatives(encoder, sampler, toy, toy_config):
    losses, ids = [], []
    for name in ("numba", "tensorflow"):
        config = dataclasses.replace(toy_config, encoder=encoder, sampler=sampler, kernels=name)
        model, batches = ready(config, toy)
        batch = next(batches)
        with kernels.using(name):
            ids.append(tf.function(model.forward, autograph=False)(batch)[1].ids.numpy())
        step = tf.function(model.train_step, autograph=False)
        for _ in range(3):
            means = step(batch)
            batch = next(batches)
        losses.append(float(means["loss"]))
    np.testing.assert_array_equal(*ids)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
def test_runs_agree_and_record_the_choice(toy, toy_config, tmp_path):
    found = []
    for name in ("numba", "tensorflow"):
        config = dataclasses.replace(toy_config, sampler="recns", kernels=name)
        place = Workspace(runs_dir=str(tmp_path), run_name=name)
        found.append(train_and_evaluate(config, place, toy, quiet=True))
    one, other = found
    assert (one["config"]["kernels"], other["config"]["kernels"]) == ("numba", "tensorflow")
    assert one["test"]["recall@20"] == pytest.approx(other["test"]["recall@20"], abs=0.02)


@pytest.mark.slow
def test_two_models_keep_their_own_kernels(toy, toy_config):
    """The choice of a model built later does not reach the steps of an earlier one."""
    made = {
        name: build(dataclasses.replace(toy_config, encoder="mf", kernels=name), toy)
        for name in ("tensorflow", "numba")
    }
    for name, (model, pipeline, _) in made.items():
        found = operations_of(
            tf.function(model.train_step, autograph=False), next(iter(pipeline.batches()))
        )
        assert any("PyFunc" in each for each in found) == (name == "numba")
