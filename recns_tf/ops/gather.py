"""Weighted sums of table rows, and dot products with table rows, inside the graph.

CSR products are multithreaded, and transposing the matrix takes one pass over its entries. Segment
sums run on one core and must sort first.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from recns_tf.ops import kernels


class RowSums:
    """A sparse matrix [B, m] that adds weights[b, i] at row b and column columns[b, i].

    Args:
        weights: float32 [B, n].
        columns: int32 [B, n], repeats allowed; n must be known when the graph is built.
        size: m, number of columns of the matrix.

    Example:
        >>> sums = RowSums(tf.constant([[1.0, 2.0]]), tf.constant([[0, 2]]), tf.constant(3))
        >>> sums.of(tf.constant([[1.0], [10.0], [100.0]])).numpy()
        array([[201.]], dtype=float32)
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
        """Return weighted sums of the rows of a table: float32 [m, d] -> float32 [B, d]."""
        return tf.raw_ops.SparseMatrixMatMul(a=self.matrix, b=table)

    def scatter_add(self, vectors: tf.Tensor) -> tf.Tensor:
        """Add each weighted vector to its rows (the adjoint of `of`): float32 [B, d] -> [m, d]."""
        transposed = tf.raw_ops.SparseMatrixTranspose(input=self.matrix, type=tf.float32)
        return tf.raw_ops.SparseMatrixMatMul(a=transposed, b=vectors)


def mean_of_rows(table: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Return the mean of the selected rows of a table.

    Neither the forward nor the backward pass creates a tensor of shape [n, S, d].

    Args:
        table: float32 [m, d].
        rows: int32 [n, S], rows of the table; S must be known when the graph is built.

    Returns:
        float32 [n, d].

    Example:
        >>> mean_of_rows(tf.constant([[1.0], [3.0]]), tf.constant([[0, 1], [1, 1]])).numpy()
        array([[2.],
               [3.]], dtype=float32)
    """
    size = rows.shape[1]

    @tf.custom_gradient
    def apply(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        sums = RowSums(tf.fill(tf.shape(rows), 1 / size), rows, tf.shape(values)[0])
        return sums.of(values), sums.scatter_add

    return apply(table)


def products(vectors: tf.Tensor, table: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Return the dot products vectors[b] · table[columns[b, i]].

    No tensor of shape [B, n, d] is created: a compiled loop reads each row once, and both gradients
    are sparse products.

    Args:
        vectors: float32 [B, d].
        table: float32 [m, d]; d must be known when the graph is built.
        columns: int32 [B, n], rows of the table, repeats allowed; n must be known when the graph
            is built.

    Returns:
        float32 [B, n].

    Example:
        >>> products(tf.constant([[2.0]]), tf.constant([[1.0], [3.0]]), tf.constant([[1, 0]]))
        <tf.Tensor: shape=(1, 2), dtype=float32, numpy=array([[6., 2.]], dtype=float32)>
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
