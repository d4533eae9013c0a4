"""Samplers in a SavedModel, loaded by a program that has TensorFlow alone."""

import dataclasses
import functools
import os
import runpy
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from recns_tf import registry
from recns_tf.config.config import Workspace
from recns_tf.errors import UserError
from recns_tf.ops import random
from recns_tf.samplers.batch import Batch
from recns_tf.serving import saved_sampler
from recns_tf.training import load
from recns_tf.training.build import build
from recns_tf.training.train import train_and_evaluate
from tests.test_docs import program

PAIRS = [
    *(("lightgcn", sampler) for sampler in registry.SAMPLERS),
    *((encoder, "recns") for encoder in registry.ENCODERS if encoder != "lightgcn"),
]
CHANGING = ("mcns", "srns", "advns", "rns-as")
"""Samplers whose state a step of training changes."""

CHILD = """
import pathlib, sys
import numpy as np, tensorflow as tf
answers = {}
for folder in pathlib.Path("models").iterdir():
    with np.load(f"{folder.name}.npz") as batch:
        batch = [tf.constant(batch[name]) for name in ("users", "positives", "candidates",
                                                       "exposed", "seed")]
    model = tf.saved_model.load(str(folder))
    for rows in (len(batch[0]), 5):
        found = model.sample(*(part[:rows] for part in batch[:4]), batch[4])
        for name, values in found.items():
            answers[f"{folder.name}/{rows}/{name}"] = values.numpy()
assert "recns_tf" not in sys.modules and "numba" not in sys.modules
np.savez("answers.npz", **answers)
"""


def ready(config, data, **settings):
    """Return a model whose state is that of a later epoch, and a batch.

    Chains are short, since chains of the same random numbers meet after a few steps.
    """
    settings |= {"mcns_burn": 0, "generator_learning_rate": 0.1}
    model, pipeline, sets = build(
        dataclasses.replace(config, sparse_engine="coo", **settings), data
    )
    sets.prepare(0)
    for epoch in (0, 5):
        model.sampler.begin_epoch(epoch, model.encoder)
    return model, next(iter(pipeline.batches()))


def sampled(model, batch, rows):
    """Return what the sampler itself answers, with the compiled loops."""
    some = Batch(*(part[:rows] for part in batch[:4]), batch.seed)
    found = model.sampler.sample(some, model.sampler.encode(model.encoder, False), batch.seed)
    parts = {name: getattr(found, name) for name in ("ids", "scores", "positive_scores", "kept")}
    return {name: part.numpy() for name, part in parts.items() if part is not None}


@pytest.fixture(scope="module")
def answers(toy, toy_config, tmp_path_factory):
    """What the models answer in a process of their own, and what the samplers do."""
    place = tmp_path_factory.mktemp("saved")
    wanted, rows = {}, toy_config.batch_size

    def put(name, model, batch):
        np.savez(place / f"{name}.npz", **dict(zip(batch._fields, batch, strict=True)))
        saved_sampler.export(model.encoder, model.sampler, place / "models" / name)
        for size in (rows, 5):
            for key, values in sampled(model, batch, size).items():
                wanted[f"{name}/{size}/{key}"] = values

    for encoder, sampler in PAIRS:
        model, batch = ready(toy_config, toy, encoder=encoder, sampler=sampler)
        put(f"{encoder}-{sampler}", model, batch)
        if sampler in CHANGING:
            for step in range(3):
                seed = random.stream(batch.seed, step)
                tables = model.sampler.encode(model.encoder, False)
                feedback = model.sampler.sample(batch, tables, seed).feedback
                model.sampler.update_state(batch, feedback)
            put(f"{encoder}-{sampler}-changed", model, batch)
    pools = {"region": "intermediate", "region_memory": 0.0, "pool_size": 6}
    put("mf-unins-pools", *ready(toy_config, toy, encoder="mf", sampler="unins", **pools))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", CHILD], cwd=place, env=environment, check=True)
    with np.load(place / "answers.npz") as found:
        return dict(found), wanted


@pytest.mark.slow
def test_a_loaded_sampler_chooses_the_same(answers):
    found, wanted = answers
    # The two answers of inbatch also have `kept`.
    assert len(found) == 6 * (len(PAIRS) + len(CHANGING) + 1) + 2
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        if name.endswith(("/ids", "/kept")):
            np.testing.assert_array_equal(found[name], values, err_msg=name)
            assert found[name].dtype == (np.int32 if name.endswith("/ids") else bool)
        else:
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_loaded_sampler_has_the_state_of_the_time_when_it_was_saved(answers):
    found, _ = answers
    for sampler in CHANGING:
        before, after = (found[f"lightgcn-{sampler}{end}/64/ids"] for end in ("", "-changed"))
        assert not np.array_equal(before, after), sampler


@pytest.mark.slow
def test_later_training_reaches_a_model_that_is_not_saved_yet(toy, toy_config):
    model, batch = ready(toy_config, toy, encoder="mf", sampler="mcns")
    saved = saved_sampler.SavedSampler(model.encoder, model.sampler)
    feedback = model.sampler.sample(
        batch, model.sampler.encode(model.encoder, False), random.root(3)
    ).feedback
    model.sampler.update_state(batch, feedback)
    model.encoder.nodes.assign(-2 * model.encoder.nodes.numpy())
    found = saved.sample(*batch)
    for name, values in sampled(model, batch, 64).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ["lightgcn", "ngcf", "pinsage"])
def test_a_csr_matrix_is_refused(encoder, toy, toy_config):
    config = dataclasses.replace(toy_config, encoder=encoder, sampler="unins")
    model, _, _ = build(config, toy)
    with pytest.raises(UserError, match="cannot hold the matrix of --sparse_engine=csr: build"):
        saved_sampler.SavedSampler(model.encoder, model.sampler)


def test_what_no_model_can_hold_is_refused(toy, toy_config, monkeypatch):
    config = dataclasses.replace(toy_config, encoder="mf", sampler="unins")
    pools = dataclasses.replace(config, region="distant", region_memory=0.0)
    model, _, sets = build(pools, toy)
    with pytest.raises(UserError, match="the sampler's pools are empty: call"):
        saved_sampler.SavedSampler(model.encoder, model.sampler)
    sets.prepare(0)
    saved_sampler.SavedSampler(model.encoder, model.sampler)
    # The starts of 40 lists take 8 bytes each.
    monkeypatch.setattr(saved_sampler, "LARGEST_CONSTANTS", 300)
    model, _, _ = build(config, toy)
    with pytest.raises(UserError, match=r"take 0\.0 GB in a SavedModel, which has room for 0\.0"):
        saved_sampler.SavedSampler(model.encoder, model.sampler)


@pytest.mark.slow
def test_the_folder_is_not_replaced_unless_asked(toy, toy_config, tmp_path):
    model, batch = ready(toy_config, toy, encoder="mf", sampler="unins")
    folder = saved_sampler.export(model.encoder, model.sampler, tmp_path / "new" / "unins")
    with pytest.raises(UserError, match="unins already exists: choose another folder, or over"):
        saved_sampler.export(model.encoder, model.sampler, folder)
    model.encoder.nodes.assign(2 * model.encoder.nodes.numpy())
    saved_sampler.export(model.encoder, model.sampler, folder, overwrite=True)
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"]
    found = answer(**dict(zip(batch._fields, batch, strict=True)))
    np.testing.assert_allclose(found["scores"], sampled(model, batch, 64)["scores"], atol=1e-6)


@pytest.mark.slow
def test_program_of_the_docs_runs(toy, toy_config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(toy_config, sampler="dns", sparse_engine="coo", epochs=1)
    train_and_evaluate(config, Workspace(), toy, quiet=True)
    monkeypatch.setattr(load, "load", functools.partial(load.load, interactions=toy))
    (tmp_path / "export.py").write_text(program("docs/devices.md"), encoding="utf-8")
    found = runpy.run_path("export.py")["answer"]
    assert found["ids"].shape == (3, config.num_negatives)
    assert str(found["ids"].numpy()) in capsys.readouterr().out
