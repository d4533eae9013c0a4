"""A LightGCN step with RecNS, and its region, on a quarter, a half and the whole of a shape.

Run: .venv/bin/python -m benchmarks.scaling [--shape=zhihu]

Users, items and edges shrink together; batches keep their size. A step's time is linear in edges
once they outweigh the cost of the batch; a region's time is linear in edges times items.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.models import make_propagation, make_ready_model, make_step
from recns_tf.regions.region import build_region

SCALES = (0.25, 0.5, 1.0)


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Measure a step, its propagation and its region by the size of the graph."""
    functions: dict[str, Callable[[], Any]] = {}
    edges: dict[str, float] = {}
    for scale in SCALES:
        interactions = random_interactions(Shape(*(int(scale * size) for size in shape)))
        ready = make_ready_model(interactions, "lightgcn", "recns")
        functions[f"step, {scale:.0%}"] = make_step(ready)
        functions[f"propagation, {scale:.0%}"] = make_propagation(ready)
        functions[f"region, {scale:.0%}"] = partial(build_region, interactions.train)
        edges[f"edges, {scale:.0%}"] = interactions.train.nnz
    return measuring.report(
        "scaling",
        f"lightgcn with recns, batches of {ready.config.batch_size:,}",
        shape,
        alternating.time_all(functions, rounds),
        f"step, {SCALES[-1]:.0%}",
        edges,
    )


if __name__ == "__main__":
    measuring.run(measure)
