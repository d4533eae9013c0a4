"""A run that is killed at any moment resumes to the same files."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.config.config import Workspace
from recns_tf.runs.folder import RunFolder
from recns_tf.training import results, train
from recns_tf.training.build import build
from recns_tf.training.negative_statistics import STATISTICS
from recns_tf.training.pipeline import Pipeline
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.training.train import train_and_evaluate


class Killed(BaseException):
    """Simulates the end of the process."""


class Deadline:
    """Kills the process before its n-th change of the file system, which is after the one before.

    After its death nothing changes any more, so that no `finally` tidies up.
    """

    def __init__(self, moment: int):
        self.left = moment
        self.dead = False

    def watch(self, function):
        def call(*arguments, **options):
            self.left -= 1
            if self.dead or self.left == 0:
                self.dead = True
                raise Killed
            return function(*arguments, **options)

        return call


def pretend_to_train(self, batches, initial_epoch, epochs, callbacks, **options):
    """Take the place of `fit`: an epoch changes the weights depending on its number alone."""
    (end,) = (each for each in callbacks if hasattr(each, "checkpoints"))
    end.set_model(self)
    end.set_params({"epochs": epochs})
    for epoch in range(initial_epoch, epochs):
        end.on_epoch_begin(epoch)
        for number, weight in enumerate(self.weights):
            noise = tf.random.stateless_normal(weight.shape, [epoch, number])
            weight.assign(tf.cast(0.5 * tf.cast(weight, tf.float32) + noise, weight.dtype))
        logs = dict.fromkeys([*STATISTICS, "loss", "sampling_seconds"], 0.5 + epoch)
        end.on_epoch_end(epoch, logs)


def contents(folder):
    """Return the files of a run without those that hold times."""
    texts = {
        name: (folder / name).read_bytes()
        for name in ("config.json", "embeddings/user.npy", "embeddings/item.npy")
    }
    run = RunFolder(folder)
    rows = [row | {"seconds": 0} for row in run.rows()]
    found = {key: value for key, value in run.read_results().items() if "seconds" not in key}
    return texts, rows, found, sorted(path.name for path in run.checkpoint.iterdir())


@pytest.fixture(params=["best", "last"])
def place(request, tmp_path, toy, toy_config, monkeypatch):
    """Returns a function that runs under a name, with one model for all runs."""
    config = dataclasses.replace(
        toy_config, encoder="mf", sampler="unins", epochs=2, keep=request.param
    )
    made = build(config, toy)
    model = made[0]
    variables = [*model.weights, *model.optimizer.variables]
    initial = [np.array(tf.convert_to_tensor(each)) for each in variables]

    def rebuild(*_):
        for variable, value in zip(variables, initial, strict=True):
            variable.assign(value)
        return made

    monkeypatch.setattr(train, "build", rebuild)
    monkeypatch.setattr(SampledRec, "fit", pretend_to_train)
    # These are slow, and what they give is of no importance here.
    for module, name, stand_in in (
        (results, "plot_curves", lambda *_: None),
        (results, "git_commit", lambda: None),
        (results, "versions", dict),
        (results, "measure", lambda _, tables, *__: {"recall@20": float(np.std(tables[0]))}),
        (train, "table", lambda *_: ""),
        (Pipeline, "batches", lambda *_, **__: None),
    ):
        monkeypatch.setattr(module, name, stand_in)

    def run(name):
        workspace = Workspace(runs_dir=str(tmp_path), run_name=name)
        train_and_evaluate(config, workspace, toy)
        return tmp_path / name

    return run


@pytest.mark.slow
def test_run_killed_at_any_change_of_a_file_resumes_to_the_same(place, monkeypatch):
    expected = contents(place("whole"))
    assert expected[2]["best_epoch"] > 1, "the best weights are replaced at least once"
    for moment in range(1, 1000):
        deadline = Deadline(moment)
        killed = False
        with monkeypatch.context() as patch:
            for module, name in (
                (os, "replace"), (os, "rename"), (os, "unlink"), (os, "mkdir"),
                (shutil, "rmtree"), (RunFolder, "append"), (tf.train.Checkpoint, "write"),
            ):  # fmt: skip
                patch.setattr(module, name, deadline.watch(getattr(module, name)))
            try:
                place("run")
            except Killed:
                killed = True
        if not killed:
            assert moment > 40
            return
        folder = place("run")
        assert contents(folder) == expected, f"killed at change {moment}"
        shutil.rmtree(folder)
    raise AssertionError("the run never ended")
