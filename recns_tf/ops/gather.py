"""Sums of a few rows of a table each, and products with them, inside the graph.

CSR products are multithreaded, and turning a matrix of n entries a row takes one pass over them;
sums over segments run on one core, and must sort first.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from recns_tf.ops import kernels


class RowSums:
    """The matrix [B, m] whose row b has weights[b, i] added at columns[b, i].

    Args:
        weights: float32 [B, n].
        columns: int32 [B, n], repeats allowed; n known when the graph is built.
        size: m.
    """

    def __init__(self, weights: tf.Tensor, columns: tf.Tensor, size: tf.Tensor):
        rows = tf.shape(columns, tf.int64)[0]
        owner = tf.repeat(tf.range(rows), columns.shape[1])
        self.matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
            indices=tf.stack([owner, tf.cast(tf.reshape(columns, [-1]), tf.int64)], axis=1),
            values=tf.reshape(weights, [-1]),
            dense_shape=tf.stack([rows, tf.cast(size, tf.int64)]),
        )

    def of(self, table: tf.Tensor) -> tf.Tensor:
        """Return the weighted sums of rows of a table: float32 [m, d] -> [B, d]."""
        return tf.raw_ops.SparseMatrixMatMul(a=self.matrix, b=table)

    def scatter_add(self, vectors: tf.Tensor) -> tf.Tensor:
        """Return the adjoint, each vector added to its rows: float32 [B, d] -> [m, d]."""
        turned = tf.raw_ops.SparseMatrixTranspose(input=self.matrix, type=tf.float32)
        return tf.raw_ops.SparseMatrixMatMul(a=turned, b=vectors)


def mean_of_rows(table: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Return the means of some rows of a table: float32 [m, d], int32 [n, S] -> [n, d].

    No [n, S, d] tensor is made, forward or backward.
    """
    size = rows.shape[1]

    @tf.custom_gradient
    def apply(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        sums = RowSums(tf.fill(tf.shape(rows), 1 / size), rows, tf.shape(values)[0])
        return sums.of(values), sums.scatter_add

    return apply(table)


def products(vectors: tf.Tensor, table: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Return vectors[b] · table[columns[b, i]].

    No [B, n, d] tensor is made: a compiled loop reads each row once, and both gradients are sparse
    products.

    Args:
        vectors: float32 [B, d].
        table: float32 [m, d], d known when the graph is built.
        columns: int32 [B, n], rows of the table, repeats allowed; n known likewise.

    Returns:
        float32 [B, n].
    """

    @tf.custom_gradient
    def apply(
        vectors: tf.Tensor, table: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            sums = RowSums(upstream, columns, tf.shape(table)[0])
            return sums.of(table), sums.scatter_add(vectors)

        arguments = [vectors, table, columns]
        found = kernels.in_graph(kernels.dots, arguments, tf.float32, columns.shape)
        return found, gradient

    return apply(vectors, table)
