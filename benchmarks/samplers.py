"""A LightGCN step with every sampler, beside its propagation forward and backward.

Run: .venv/bin/python -m benchmarks.samplers [--shape=zhihu]

The notes give the milliseconds of each step spent choosing negatives, by the step's own clock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.models import propagating, ready, stepping
from recns_tf.registry import SAMPLERS


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Return the times of a step with each sampler beside propagation's."""
    interactions = random_interactions(shape)
    with tempfile.TemporaryDirectory() as cache:
        models = {name: ready(interactions, "lightgcn", name, Path(cache)) for name in SAMPLERS}
    totals: dict[str, list[float]] = {name: [] for name in models}
    functions: dict[str, Callable[[], Any]] = {"propagation": propagating(models["unins"])}
    for name, its in models.items():
        functions[name] = partial(noting, stepping(its), totals[name])
    timings = alternating.time_all(functions, rounds)
    return measuring.report(
        "samplers",
        f"lightgcn, batches of {models['unins'].config.batch_size:,}",
        shape,
        timings,
        "propagation",
        {
            f"{name}, ms choosing": round(float(np.median(np.diff(seconds))) * 1e3, 2)
            for name, seconds in totals.items()
        },
    )


def noting(step: Callable[[], dict[str, Any]], totals: list[float]) -> None:
    """Take a step and append the seconds that all steps so far took to choose negatives."""
    totals.append(float(step()["sampling_seconds"]))


if __name__ == "__main__":
    measuring.run(measure)
