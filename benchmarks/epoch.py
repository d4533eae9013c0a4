"""The parts of a whole run of one epoch, and its memory.

Run: .venv/bin/python -m benchmarks.epoch [--shape=zhihu --encoder=lightgcn --sampler=recns]

The synthetic dataset and its region are prepared beforehand: "until the first step" is the waiting
time of a second run, including the import of TensorFlow. "in steps" includes waiting for input;
"input alone" is the time to draw an epoch of batches without training. Epochs are cut after MOST
steps.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import measuring
from benchmarks.alternating import Timing
from benchmarks.graphs import Shape
from recns_tf import datasets
from recns_tf.config.config import Config, Workspace
from recns_tf.utils.quiet import silenced_stderr

MOST = 200
TRAIN_SHARE = 0.72
"""Share of positives in train: 80 %, less a tenth for validation."""
EXPOSURES = 1.15
"""Exposed pairs per positive, about as in Zhihu."""


class Stopwatch:
    """Measures the seconds spent in functions, by name.

    Attributes:
        seconds: total seconds by name.
        firsts: start and end of the first call by name.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.firsts: dict[str, tuple[float, float]] = {}

    def timed_as(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function wrapped so that its calls are timed under `name`."""

        def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                stop = time.perf_counter()
                self.seconds[name] += stop - start
                self.firsts.setdefault(name, (start, stop))

        return timed


def prepare(config: Config, data_dir: str) -> None:
    """Create the dataset and its region on disk."""
    from recns_tf.regions.region import build_region

    interactions = datasets.load(config, data_dir)
    build_region(interactions.train, khop=config.khop, cache=Path(data_dir) / config.dataset)


def prepare_elsewhere(config: Config, data_dir: str) -> None:
    """Do what `prepare` does in another process, so that this one has imported nothing."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=prepare, args=(config, data_dir))
    process.start()
    process.join()


def settings(shape: Shape, chosen: measuring.Model) -> Config:
    """Return the settings of a run of one epoch on synthetic data of a size."""
    clicks = int(shape.edges / TRAIN_SHARE)
    return dataclasses.replace(
        Config.for_run("synthetic", chosen.encoder),
        sampler=chosen.sampler,
        epochs=1,
        synthetic_users=shape.users,
        synthetic_items=shape.items,
        synthetic_clicks=clicks,
        synthetic_exposures=int(EXPOSURES * clicks),
    )


def measure(shape: Shape, rounds: int, chosen: measuring.Model) -> measuring.Report:
    """Measure the parts of a run, relative to its epoch.

    Args:
        shape: size of the graph.
        rounds: ignored, because there is only one epoch.
        chosen: the model.
    """
    del rounds
    config = settings(shape, chosen)
    with tempfile.TemporaryDirectory() as folder:
        prepare_elsewhere(config, folder)
        return timed_run(config, shape, folder)


def timed_run(config: Config, shape: Shape, folder: str) -> measuring.Report:
    """Run an epoch on the dataset in `folder` and return its report."""
    began = time.perf_counter()
    with silenced_stderr():
        from recns_tf.training import train
        from recns_tf.training.checkpoints import Checkpoints
        from recns_tf.training.sampled_rec import SampledRec

    from benchmarks.quiet import tf

    stopwatch = Stopwatch()
    stopwatch.seconds["import of TensorFlow"] = time.perf_counter() - began
    build, validation, make = train.build, train.validation, SampledRec.make_train_function
    built: dict[str, Any] = {}

    def build_short(*arguments: Any) -> Any:
        model, pipeline, region = build(*arguments)
        built["pipeline"], built["steps"] = pipeline, pipeline.steps_per_epoch
        pipeline.steps_per_epoch = min(pipeline.steps_per_epoch, MOST)
        return model, pipeline, region

    def timed_validation(*arguments: Any) -> Any:
        validate = validation(*arguments)
        return validate and stopwatch.timed_as("validation", validate)

    def make_timed(model: SampledRec, force: bool = False) -> None:
        make(model, force)
        model.train_function = stopwatch.timed_as("in steps", model.train_function)

    run = train.train_and_evaluate
    save = Checkpoints.save
    with ExitStack() as patches:
        for owner, name, stand_in in (
            (datasets, "load", stopwatch.timed_as("reading the dataset", datasets.load)),
            (train, "build", stopwatch.timed_as("building the model", build_short)),
            (train, "validation", timed_validation),
            (SampledRec, "make_train_function", make_timed),
            (SampledRec, "fit", stopwatch.timed_as("epoch", SampledRec.fit)),
            (SampledRec, "save_weights", stopwatch.timed_as("checkpoint", SampledRec.save_weights)),
            (Checkpoints, "save", stopwatch.timed_as("checkpoint", save)),
        ):
            patches.enter_context(mock.patch.object(owner, name, stand_in))
        results = run(config, Workspace(data_dir=folder, runs_dir=str(Path(folder) / "runs")))
    pipeline = built["pipeline"]
    start = time.perf_counter()
    for _ in pipeline.epoch(tf.constant(0, tf.int64)).prefetch(tf.data.AUTOTUNE):
        pass
    stopwatch.seconds["input alone"] = time.perf_counter() - start
    first, after = stopwatch.firsts["in steps"]
    stopwatch.seconds["until the first step"] = first - began
    stopwatch.seconds["first step"] = after - first
    known = ("in steps", "validation", "checkpoint")
    inside = sum(stopwatch.seconds[name] for name in known)
    choosing = results["sampling_seconds"] / pipeline.steps_per_epoch
    stopwatch.seconds["rest of the epoch"] = stopwatch.seconds["epoch"] - inside
    return measuring.report(
        "epoch",
        f"{config.encoder} with {config.sampler}, {pipeline.steps_per_epoch} of "
        f"{built['steps']} steps",
        shape,
        {name: Timing(seconds) for name, seconds in stopwatch.seconds.items()},
        "epoch",
        {"ms choosing per step": round(choosing * 1e3, 2)},
    )


if __name__ == "__main__":
    measuring.run(measure, measuring.Model)
