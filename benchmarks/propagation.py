"""Propagation forward and backward beside what it is made of, and beside other ways.

Run: .venv/bin/python -m benchmarks.propagation [--users=16015 --items=44175 --edges=2630000]

`ours` is one step's propagation and its gradient. `floor` reads, for each of its products, the
rows that the matrix names from a table of the same size, adds them up, and writes nothing: what the
memory charges, whoever computes. `coo` is TensorFlow's `sparse_dense_matmul`, `coo in 100 folds`
how the authors' code calls it, `scipy` SciPy's product on one core. The defaults are the size of
Zhihu.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from absl import app, flags
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from benchmarks import alternating
from benchmarks.graphs import ZHIHU, random_train
from recns_tf.parallel import over_rows, row_cuts
from recns_tf.propagation import Adjacency, symmetric_adjacency

USERS = flags.DEFINE_integer("users", ZHIHU[0], "number of users", lower_bound=1)
ITEMS = flags.DEFINE_integer("items", ZHIHU[1], "number of items", lower_bound=1)
EDGES = flags.DEFINE_integer("edges", ZHIHU[2], "train pairs, about")
DIM = flags.DEFINE_integer("dim", 64, "embedding dimension", lower_bound=1)
LAYERS = flags.DEFINE_integer("layers", 3, "propagation layers", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "rounds timed, after one that is not", lower_bound=1)
SLOW = flags.DEFINE_bool("slow", True, "time the other ways too, which take seconds each")
JSON = flags.DEFINE_bool("json", False, "print figures as JSON")

FOLDS = 100


def differentiated(
    propagate: Callable[[tf.Tensor], tf.Tensor], nodes: tf.Variable
) -> Callable[[], tf.Tensor]:
    """Return a function that propagates `nodes` and returns the gradient of a loss on them."""

    @tf.function(jit_compile=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(propagate(tf.convert_to_tensor(nodes))))
        return tape.gradient(loss, nodes)

    return step


def in_folds(matrix: csr_array, coefficients: list[float]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the propagation of the authors' code: a product for each hundredth of the rows."""
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


def with_scipy(matrix: csr_array, nodes: NDArray[np.float32]) -> None:
    """Take the products of a step, forward and backward."""
    for _layer in range(2 * LAYERS.value):
        nodes = matrix @ nodes


@njit(nogil=True, cache=True, fastmath=True)
def add_up(indices, table, sums, first, last):  # type: ignore[no-untyped-def]
    """Add rows of a table up: what is read is what a product reads, and nothing is written."""
    for place in range(first, last):
        row = indices[place]
        for column in range(table.shape[1]):
            sums[column] += table[row, column]


def read_rows(matrix: csr_array, table: NDArray[np.float32]) -> None:
    """Read what the products of a step, forward and backward, must read of the embeddings."""

    def read(first: int, last: int) -> None:
        add_up(matrix.indices, table, np.zeros(table.shape[1], np.float32), first, last)

    for _layer in range(2 * LAYERS.value):
        over_rows(read, row_cuts(matrix.nnz))


def measure() -> dict[str, Any]:
    """Return the figures of one shape."""
    matrix = symmetric_adjacency(random_train(USERS.value, ITEMS.value, EDGES.value))
    size = matrix.shape[0]
    nodes = tf.Variable(tf.random.stateless_normal([size, DIM.value], [0, 1]))
    table = nodes.numpy()
    coefficients = [1 / (LAYERS.value + 1)] * (LAYERS.value + 1)
    ours = Adjacency(matrix)
    functions: dict[str, Callable[[], Any]] = {
        "ours": differentiated(partial(ours.polynomial, coefficients=coefficients), nodes),
        "floor": partial(read_rows, matrix, table),
    }
    if SLOW.value:
        whole = partial(Adjacency(matrix, "coo").polynomial, coefficients=coefficients)
        functions |= {
            "scipy": partial(with_scipy, matrix, table),
            "coo": differentiated(whole, nodes),
            f"coo in {FOLDS} folds": differentiated(in_folds(matrix, coefficients), nodes),
        }
    timings = alternating.time_all(functions, ROUNDS.value)
    return {
        "shape": [USERS.value, ITEMS.value, matrix.nnz // 2],
        "rows": alternating.rows(timings, "floor"),
    }


def main(_: list[str]) -> None:
    """Time all ways and print medians and ratios."""
    alternating.show(measure(), f"d = {DIM.value}", "floor", JSON.value)


if __name__ == "__main__":
    app.run(main)
