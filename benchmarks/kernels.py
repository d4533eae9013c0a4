"""A LightGCN step with TensorFlow's kernels, relative to the same step with compiled ones.

Run: .venv/bin/python -m benchmarks.kernels [--shape=zhihu]

The first row is UniNS with compiled kernels; the notes give each sampler's own ratio.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.models import make_ready_model, make_step
from recns_tf.ops.kernels import NUMBA, TENSORFLOW

SAMPLERS = ("unins", "dns", "recns")


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Measure steps with both implementations, in turn."""
    interactions = random_interactions(shape)
    with tempfile.TemporaryDirectory() as cache:
        steps = {
            f"{sampler}, {name}": make_step(
                make_ready_model(interactions, "lightgcn", sampler, Path(cache), kernels=name)
            )
            for sampler in SAMPLERS
            for name in (NUMBA, TENSORFLOW)
        }
    timings = alternating.time_all(steps, rounds)
    ratios = {
        f"{sampler}, {TENSORFLOW} to {NUMBA}": round(
            timings[f"{sampler}, {TENSORFLOW}"].wall / timings[f"{sampler}, {NUMBA}"].wall, 2
        )
        for sampler in SAMPLERS
    }
    base = f"{SAMPLERS[0]}, {NUMBA}"
    return measuring.report("kernels", "lightgcn", shape, timings, base, ratios)


if __name__ == "__main__":
    measuring.run(measure)
