"""A LightGCN step with every sampler, relative to its propagation forward and backward.

Run: .venv/bin/python -m benchmarks.samplers [--shape=zhihu] [--samplers=unins,dens]

The notes give the milliseconds per step spent choosing negatives, as measured by the step itself.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.models import make_propagation, make_ready_model, make_step
from recns_tf.config.flags import Checked, option, some_of
from recns_tf.registry import SAMPLERS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared(Checked):
    """The samplers to measure."""

    samplers: str = option(",".join(SAMPLERS), "negative samplers", some_of(*SAMPLERS))


def measure(shape: Shape, rounds: int, compared: Compared) -> measuring.Report:
    """Measure a step with each sampler, relative to propagation."""
    interactions = random_interactions(shape)
    with tempfile.TemporaryDirectory() as cache:
        models = {
            name: make_ready_model(interactions, "lightgcn", name, Path(cache))
            for name in compared.samplers.split(",")
        }
    first = next(iter(models.values()))
    totals: dict[str, list[float]] = {name: [] for name in models}
    functions: dict[str, Callable[[], Any]] = {"propagation": make_propagation(first)}
    for name, ready in models.items():
        functions[name] = partial(record_sampling_time, make_step(ready), totals[name])
    timings = alternating.time_all(functions, rounds)
    return measuring.report(
        "samplers",
        f"lightgcn, batches of {first.config.batch_size:,}",
        shape,
        timings,
        "propagation",
        {
            f"{name}, ms choosing": round(float(np.median(np.diff(seconds))) * 1e3, 2)
            for name, seconds in totals.items()
        },
    )


def record_sampling_time(step: Callable[[], dict[str, Any]], totals: list[float]) -> None:
    """Take a step and append the total seconds spent choosing negatives so far."""
    totals.append(float(step()["sampling_seconds"]))


if __name__ == "__main__":
    measuring.run(measure, Compared)
