"""A whole run of one epoch, taken apart: what its time goes into, and how much memory it takes.

Run: .venv/bin/python -m benchmarks.epoch [--shape=zhihu --encoder=lightgcn --sampler=recns]

The dataset is a synthetic one, prepared before, and its region is kept from before too: "until the
first step" is what someone waits who starts a second run, TensorFlow's import included. "in steps"
holds the wait for input, "input alone" is what an epoch of batches takes with nothing else to do.
An epoch of more than MOST steps is cut there.
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
"""Of all positives, 80 % less the tenth that becomes validation."""
EXPOSURES = 1.15
"""For every positive, about as on Zhihu."""


class Clock:
    """Seconds spent in functions, by a name for them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.firsts: dict[str, tuple[float, float]] = {}

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and is timed."""

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
    """Make the dataset and its region, and keep them."""
    from recns_tf.regions.region import build_region

    interactions = datasets.load(config, data_dir)
    build_region(interactions.train, khop=config.khop, cache=Path(data_dir) / config.dataset)


def measure(shape: Shape, rounds: int, which: measuring.Model) -> measuring.Report:
    """Return the seconds of the parts of a run beside those of its epoch.

    Args:
        shape: the size.
        rounds: has no meaning here: there is one epoch.
        which: the model.
    """
    del rounds
    clicks = int(shape.edges / TRAIN_SHARE)
    config = dataclasses.replace(
        Config.for_run("synthetic", which.encoder),
        sampler=which.sampler,
        epochs=1,
        synthetic_users=shape.users,
        synthetic_items=shape.items,
        synthetic_clicks=clicks,
        synthetic_exposures=int(EXPOSURES * clicks),
    )
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        preparing = context.Process(target=prepare, args=(config, folder))
        preparing.start()
        preparing.join()
        return timed_run(config, shape, folder)


def timed_run(config: Config, shape: Shape, folder: str) -> measuring.Report:
    """Return the report of a run whose dataset is in `folder`."""
    began = time.perf_counter()
    with silenced_stderr():
        from recns_tf.training import train
        from recns_tf.training.sampled_rec import SampledRec

    from benchmarks.quiet import tf

    clock = Clock()
    clock.seconds["import of TensorFlow"] = time.perf_counter() - began
    build, validation, make = train.build, train.validation, SampledRec.make_train_function
    built: dict[str, Any] = {}

    def build_short(*arguments: Any) -> Any:
        model, pipeline, region = build(*arguments)
        built["pipeline"], built["steps"] = pipeline, pipeline.steps_per_epoch
        pipeline.steps_per_epoch = min(pipeline.steps_per_epoch, MOST)
        return model, pipeline, region

    def timed_validation(*arguments: Any) -> Any:
        validate = validation(*arguments)
        return validate and clock.around("validation", validate)

    def make_timed(model: SampledRec, force: bool = False) -> None:
        make(model, force)
        model.train_function = clock.around("in steps", model.train_function)

    run = train.train_and_evaluate
    save = tf.train.CheckpointManager.save
    with ExitStack() as patches:
        for owner, name, stand_in in (
            (datasets, "load", clock.around("reading the dataset", datasets.load)),
            (train, "build", clock.around("building the model", build_short)),
            (train, "validation", timed_validation),
            (SampledRec, "make_train_function", make_timed),
            (SampledRec, "fit", clock.around("epoch", SampledRec.fit)),
            (SampledRec, "save_weights", clock.around("checkpoint", SampledRec.save_weights)),
            (tf.train.CheckpointManager, "save", clock.around("checkpoint", save)),
        ):
            patches.enter_context(mock.patch.object(owner, name, stand_in))
        results = run(config, Workspace(data_dir=folder, runs_dir=str(Path(folder) / "runs")))
    pipeline = built["pipeline"]
    start = time.perf_counter()
    for _ in pipeline.epoch(tf.constant(0, tf.int64)).prefetch(tf.data.AUTOTUNE):
        pass
    clock.seconds["input alone"] = time.perf_counter() - start
    first, after = clock.firsts["in steps"]
    clock.seconds["until the first step"] = first - began
    clock.seconds["first step"] = after - first
    known = ("in steps", "validation", "checkpoint")
    inside = sum(clock.seconds[name] for name in known)
    choosing = results["sampling_seconds"] / pipeline.steps_per_epoch
    clock.seconds["rest of the epoch"] = clock.seconds["epoch"] - inside
    return measuring.report(
        "epoch",
        f"{config.encoder} with {config.sampler}, {pipeline.steps_per_epoch} of "
        f"{built['steps']} steps",
        shape,
        {name: Timing(seconds) for name, seconds in clock.seconds.items()},
        "epoch",
        {"ms choosing a step": round(choosing * 1e3, 2)},
    )


if __name__ == "__main__":
    measuring.run(measure, measuring.Model)
