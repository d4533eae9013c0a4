"""Propagation forward and backward, relative to a memory bound, and other implementations.

Run: .venv/bin/python -m benchmarks.propagation [--shape=zhihu]

`ours` is one step's propagation and its gradient. `floor` is a bound set by memory: for each
product, it reads the rows that the matrix refers to, adds them up, and writes nothing.
`tensorflow csr` is TensorFlow's CSR product, `coo` its `sparse_dense_matmul`, `coo in 100 folds` is
how the authors' code calls it, and `scipy` is SciPy's product on one core.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_train
from benchmarks.quiet import tf
from recns_tf.encoders.propagation import Adjacency, symmetric_adjacency
from recns_tf.ops import kernels
from recns_tf.utils.compiled import compiled
from recns_tf.utils.parallel import over_rows, row_cuts
from recns_tf.utils.prefetch import AHEAD, LINE, prefetch

DIM = 64
LAYERS = 3
FOLDS = 100


def make_gradient(
    propagate: Callable[[tf.Tensor], tf.Tensor], nodes: tf.Variable, implementation: str
) -> Callable[[], tf.Tensor]:
    """Return a function that propagates `nodes` and returns the gradient of a loss on them."""

    @tf.function(jit_compile=False, autograph=False)
    def step() -> tf.Tensor:
        with kernels.using(implementation), tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(propagate(tf.convert_to_tensor(nodes))))
            return tape.gradient(loss, nodes)

    return step


def propagate_in_folds(
    matrix: csr_array, coefficients: list[float]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the propagation of the authors' code: one product per hundredth of the rows."""
    parts = []
    for rows in np.array_split(np.arange(matrix.shape[0]), FOLDS):
        part = matrix[rows[0] : rows[-1] + 1].tocoo()
        indices = np.stack([part.row, part.col], axis=1).astype(np.int64)
        parts.append(tf.SparseTensor(indices, part.data, part.shape))

    def propagate(nodes: tf.Tensor) -> tf.Tensor:
        final = coefficients[0] * nodes
        for coefficient in coefficients[1:]:
            folds = [tf.sparse.sparse_dense_matmul(part, nodes) for part in parts]
            nodes = tf.concat(folds, axis=0)
            final += coefficient * nodes
        return final

    return propagate


def propagate_with_scipy(matrix: csr_array, nodes: NDArray[np.float32]) -> None:
    """Compute the products of a step, forward and backward."""
    for _layer in range(2 * LAYERS):
        nodes = matrix @ nodes


@compiled(fastmath=True)
def add_up(indices, table, sums, first, last):  # type: ignore[no-untyped-def]
    """Add up rows of a table: reads as much as a product does, and writes nothing."""
    for place in range(first, last):
        ahead = indices[min(place + AHEAD, indices.size - 1)]
        for column in range(0, table.shape[1], LINE // 4):
            prefetch(table, np.int64(ahead), column)
        row = indices[place]
        for column in range(table.shape[1]):
            sums[column] += table[row, column]


def read_rows(matrix: csr_array, table: NDArray[np.float32]) -> None:
    """Read the embedding rows that the products of a step read, forward and backward."""

    def read(first: int, last: int) -> None:
        add_up(matrix.indices, table, np.zeros(table.shape[1], np.float32), first, last)

    for _layer in range(2 * LAYERS):
        over_rows(read, row_cuts(matrix.nnz))


def gradients(matrix: csr_array, nodes: tf.Variable) -> dict[str, Callable[[], tf.Tensor]]:
    """Return, per implementation, a function that propagates and returns the gradient."""
    coefficients = [1 / (LAYERS + 1)] * (LAYERS + 1)

    def polynomial(engine: str) -> Callable[[tf.Tensor], tf.Tensor]:
        return partial(Adjacency(matrix, engine).polynomial, coefficients=coefficients)

    ways = {
        "ours": (polynomial("csr"), "numba"),
        "tensorflow csr": (polynomial("csr"), "tensorflow"),
        "coo": (polynomial("coo"), "tensorflow"),
        f"coo in {FOLDS} folds": (propagate_in_folds(matrix, coefficients), "tensorflow"),
    }
    return {
        name: make_gradient(way, nodes, implementation)
        for name, (way, implementation) in ways.items()
    }


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Measure all implementations, relative to the floor."""
    matrix = symmetric_adjacency(random_train(shape))
    nodes = tf.Variable(tf.random.stateless_normal([matrix.shape[0], DIM], [0, 1]))
    functions: dict[str, Callable[[], Any]] = {
        "floor": partial(read_rows, matrix, nodes.numpy()),
        "scipy": partial(propagate_with_scipy, matrix, nodes.numpy()),
    }
    timings = alternating.time_all(functions | gradients(matrix, nodes), rounds)
    return measuring.report(
        "propagation", f"{LAYERS} layers, d = {DIM}, and its gradient", shape, timings, "floor"
    )


if __name__ == "__main__":
    measuring.run(measure)
