"""A step of every encoder with RecNS and with UniNS, beside LightGCN's with RecNS.

Run: .venv/bin/python -m benchmarks.encoders [--shape=zhihu]

Each has the settings of its flagfile, and so its own batch size: the notes give the steps of an
epoch, and its minutes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.models import ready, stepping
from recns_tf.registry import ENCODERS

CHOSEN = ("recns", "unins")
BASE = "lightgcn recns"


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Return the times of a step of each encoder beside those of LightGCN."""
    interactions = random_interactions(shape)
    with tempfile.TemporaryDirectory() as cache:
        models = {
            f"{encoder} {sampler}": ready(interactions, encoder, sampler, Path(cache))
            for encoder in ENCODERS
            for sampler in CHOSEN
        }
    timings = alternating.time_all({name: stepping(its) for name, its in models.items()}, rounds)
    notes: dict[str, float] = {}
    for name, its in models.items():
        notes[f"{name}, steps an epoch"] = its.pipeline.steps_per_epoch
        notes[f"{name}, minutes an epoch"] = round(
            timings[name].wall * its.pipeline.steps_per_epoch / 60, 2
        )
    return measuring.report("encoders", "settings of their flagfiles", shape, timings, BASE, notes)


if __name__ == "__main__":
    measuring.run(measure)
