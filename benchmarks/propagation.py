"""Propagation forward and backward: our CSR products beside TensorFlow's COO product.

Run: .venv/bin/python -m benchmarks.propagation [--users=16015 --items=44175 --edges=2630000]

The defaults are the size of Zhihu. Ratios are between medians of alternating rounds in one
run; the machine's own speed drops out of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks.graphs import ZHIHU, random_train
from recns_tf.catalog import SPARSE_ENGINES
from recns_tf.propagation import Adjacency, symmetric_adjacency

USERS = flags.DEFINE_integer("users", ZHIHU[0], "number of users", lower_bound=1)
ITEMS = flags.DEFINE_integer("items", ZHIHU[1], "number of items", lower_bound=1)
EDGES = flags.DEFINE_integer("edges", ZHIHU[2], "train pairs, about")
DIM = flags.DEFINE_integer("dim", 64, "embedding dimension", lower_bound=1)
LAYERS = flags.DEFINE_integer("layers", 3, "propagation layers", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "rounds timed, after one that is not", lower_bound=1)


def make_step(adjacency: Adjacency, nodes: tf.Variable) -> Callable[[], tf.Tensor]:
    """Return a function that propagates `nodes` and returns the gradient of a loss on them."""
    coefficients = [1 / (LAYERS.value + 1)] * (LAYERS.value + 1)

    @tf.function(jit_compile=False)
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            final = adjacency.polynomial(tf.convert_to_tensor(nodes), coefficients)
            loss = tf.reduce_sum(tf.square(final))
        return tape.gradient(loss, nodes)

    return step


def main(_: list[str]) -> None:
    """Time every engine and print medians and ratios."""
    matrix = symmetric_adjacency(random_train(USERS.value, ITEMS.value, EDGES.value))
    size = USERS.value + ITEMS.value
    nodes = tf.Variable(tf.random.stateless_normal([size, DIM.value], [0, 1]))
    steps = {engine: make_step(Adjacency(matrix, engine), nodes) for engine in SPARSE_ENGINES}
    seconds: dict[str, list[float]] = {engine: [] for engine in SPARSE_ENGINES}
    for _round in range(ROUNDS.value + 1):
        for engine, step in steps.items():
            start = time.perf_counter()
            step().numpy()
            seconds[engine].append(time.perf_counter() - start)
    medians = {engine: float(np.median(times[1:])) for engine, times in seconds.items()}
    print(f"{size:,} nodes, {matrix.nnz:,} nonzeros, d = {DIM.value}, {LAYERS.value} layers")
    for engine, median in medians.items():
        print(f"{engine}: {median * 1e3:8.1f} ms, {median / medians['csr']:5.2f} x csr")


if __name__ == "__main__":
    app.run(main)
