"""A step of every encoder with RecNS and with UniNS, relative to LightGCN with RecNS.

Run: .venv/bin/python -m benchmarks.encoders [--shape=zhihu]

Each encoder has the settings of its flagfile, and so its own batch size. The notes give the steps
and minutes per epoch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.models import make_ready_model, make_step
from recns_tf.registry import ENCODERS

CHOSEN = ("recns", "unins")
BASE = "lightgcn recns"


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Measure a step of each encoder, relative to LightGCN."""
    interactions = random_interactions(shape)
    with tempfile.TemporaryDirectory() as cache:
        models = {
            f"{encoder} {sampler}": make_ready_model(interactions, encoder, sampler, Path(cache))
            for encoder in ENCODERS
            for sampler in CHOSEN
        }
    timings = alternating.time_all(
        {name: make_step(ready) for name, ready in models.items()}, rounds
    )
    notes: dict[str, float] = {}
    for name, ready in models.items():
        notes[f"{name}, steps per epoch"] = ready.pipeline.steps_per_epoch
        notes[f"{name}, minutes per epoch"] = round(
            timings[name].wall * ready.pipeline.steps_per_epoch / 60, 2
        )
    return measuring.report("encoders", "settings of their flagfiles", shape, timings, BASE, notes)


if __name__ == "__main__":
    measuring.run(measure)
