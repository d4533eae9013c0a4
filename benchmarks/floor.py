"""The least time of a LightGCN step on a GPU: the bytes it moves, divided by the bandwidth.

Run: .venv/bin/python -m benchmarks.floor

It needs no GPU. docs/devices.md has the formulas and the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from benchmarks import placement
from benchmarks.graphs import SHAPES, Shape, random_interactions
from benchmarks.quiet import tf
from recns_tf.config.config import Config
from recns_tf.utils import markdown

FLOAT = INT = 4
"""Bytes of a float32 and of an int32."""

CARDS = {"H100": 3.35, "A100 80 GB": 2.0, "A100 40 GB": 1.55, "T4": 0.32}
"""Memory bandwidth in terabytes per second, as NVIDIA states it."""

LAUNCH = (5, 10)
"""Microseconds from the launch of one small kernel to that of the next."""

NO_WORK = frozenset(
    [
        *("Bitcast", "Const", "EnsureShape", "ExpandDims", "Identity", "IdentityN", "NoOp"),
        *("Placeholder", "ReadVariableOp", "Reshape", "Shape", "Size", "Squeeze", "StopGradient"),
    ]
)
"""Operations that launch no kernel."""


class Step(NamedTuple):
    """What the size of a LightGCN step depends on.

    Attributes:
        nodes: N, users and items.
        entries: E, of the adjacency matrix, two per train pair.
        dim: d.
        layers: L.
        batch: B, pairs.
        negatives: k.
        candidates: M, of each kind.
    """

    nodes: int
    entries: int
    dim: int
    layers: int
    batch: int
    negatives: int
    candidates: int


def step_of(shape: Shape, config: Config) -> Step:
    """Return the sizes of a step on a graph with the settings of a run."""
    return Step(
        shape.users + shape.items,
        2 * shape.edges,
        config.dim,
        config.num_layers,
        config.batch_size,
        config.num_negatives,
        config.num_candidates,
    )


def parts(step: Step) -> dict[str, int]:
    """Return the bytes that each part moves if every operation reads and writes a tensor once.

    The last part is an upper bound on the first: with a cache that holds no table, a product reads
    a row of d numbers from memory for every entry.
    """
    table = step.nodes * step.dim * FLOAT
    matrix = step.entries * (FLOAT + INT) + (step.nodes + 1) * INT
    row = step.dim * FLOAT
    # A product reads the matrix and a table and writes a table. Horner's rule then scales the
    # layer-0 table, 2, and adds it, 3.
    propagation = 2 * (step.layers * (matrix + (2 + 2 + 3) * table) + 2 * table)
    uncached = 2 * step.layers * (step.entries * row - table)
    scored = step.batch * (1 + step.negatives) * row
    chosen = step.batch * 2 * step.candidates * row
    return {
        "propagation": propagation,
        # Rows are gathered, 2, and multiplied, 1.
        "choosing": 3 * chosen,
        # The same forward, once more for the users' gradient, and for the items' gradient a
        # product that is written, 1, read, 1, and added to rows, 2.
        "scores": (3 + 3 + 4) * scored,
        # Squares are read, 1; their gradient is read and written, 2; two gradients are added, 3.
        "penalty": 6 * table,
        # Weights and two moments are read and written, 6; the gradient is read, 1.
        "Adam": 7 * table,
        "propagation without a cache": propagation + uncached,
    }


def rows(step: Step) -> Iterable[tuple[str, ...]]:
    """Yield the rows of the table: part, megabytes, and milliseconds on each card."""
    found = parts(step)
    uncached = found.popitem()
    total = "step", sum(found.values())
    worst = "step without a cache", total[1] - found["propagation"] + uncached[1]
    for name, size in (*found.items(), total, uncached, worst):
        times = (f"{size / (speed * 1e12) * 1e3:.2f}" for speed in CARDS.values())
        yield name, f"{size / 1e6:,.0f}", *times


def table(step: Step) -> list[str]:
    """Return the lines of the table of docs/devices.md."""
    return markdown.table(("part", "MB", *(f"{card}, ms" for card in CARDS)), rows(step))


def zhihu() -> Step:
    """Return a step with the size of Zhihu and the settings of a run on it."""
    return step_of(SHAPES["zhihu"], Config.for_run("zhihu", "lightgcn"))


def launches(graph: tf.Graph) -> int:
    """Return how many operations of a step launch a kernel on a GPU; bodies of loops count once."""
    return sum(map(is_launched, placement.operations(graph)))


def is_launched(operation: tf.Operation) -> bool:
    """Return whether an operation computes data on a GPU."""
    kernel = placement.gpu_kernel(operation)
    return (
        kernel is not None
        and operation.type not in NO_WORK
        and any(
            name not in kernel.host_memory_arg
            for name, tensor in placement.tensors(operation)
            if placement.is_data(tensor)
        )
    )


if __name__ == "__main__":
    print("\n".join(table(zhihu())))
    interactions = random_interactions(placement.SHAPE)
    for sampler in ("unins", "recns"):
        count = launches(placement.step_graph(interactions, sampler))
        low, high = (count * each / 1e3 for each in LAUNCH)
        print(f"{sampler}: {count} kernels, {low:.1f} to {high:.1f} ms")
