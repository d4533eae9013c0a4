"""Weighted sums of table rows, and dot products with table rows, inside the graph.

On a CPU, CSR products are multithreaded, and transposing the matrix takes one pass over its
entries, whereas segment sums run on one core. TensorFlow does not publish the CSR operations; with
--sparse_engine=coo, public ones take their place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

from recns_tf.ops import kernels


class RowSums(Protocol):
    """A sparse matrix [B, m] that adds weights[b, i] at row b and column columns[b, i]."""

    def of(self, table: tf.Tensor) -> tf.Tensor:
        """Return weighted sums of the rows of a table: float32 [m, d] -> float32 [B, d]."""

    def scatter_add(self, vectors: tf.Tensor) -> tf.Tensor:
        """Add each weighted vector to its rows (the adjoint of `of`): float32 [B, d] -> [m, d]."""


class CSRSums:
    """RowSums as a CSR matrix.

    Args:
        weights, columns, size: see `row_sums`.
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
        return tf.raw_ops.SparseMatrixMatMul(a=self.matrix, b=table)

    def scatter_add(self, vectors: tf.Tensor) -> tf.Tensor:
        transposed = tf.raw_ops.SparseMatrixTranspose(input=self.matrix, type=tf.float32)
        return tf.raw_ops.SparseMatrixMatMul(a=transposed, b=vectors)


class GatheredSums:
    """RowSums that gathers the rows and adds them up by public operations.

    Args:
        weights, columns, size: see `row_sums`.
    """

    def __init__(self, weights: tf.Tensor, columns: tf.Tensor, size: tf.Tensor):
        self.weights, self.columns, self.size = weights, columns, size

    def of(self, table: tf.Tensor) -> tf.Tensor:
        return tf.einsum("bn,bnd->bd", self.weights, tf.gather(table, self.columns))

    def scatter_add(self, vectors: tf.Tensor) -> tf.Tensor:
        added = tf.reshape(self.weights[:, :, None] * vectors[:, None], [-1, vectors.shape[1]])
        return tf.math.unsorted_segment_sum(added, tf.reshape(self.columns, [-1]), self.size)


def row_sums(weights: tf.Tensor, columns: tf.Tensor, size: tf.Tensor) -> RowSums:
    """Return the sparse matrix with weights[b, i] at row b and column columns[b, i].

    Args:
        weights: float32 [B, n].
        columns: int32 [B, n], repeats allowed; n must be known when the graph is built.
        size: m, number of columns of the matrix.

    Example:
        >>> sums = row_sums(tf.constant([[1.0, 2.0]]), tf.constant([[0, 2]]), tf.constant(3))
        >>> sums.of(tf.constant([[1.0], [10.0], [100.0]])).numpy()
        array([[201.]], dtype=float32)
    """
    form = CSRSums if kernels.engine == kernels.CSR else GatheredSums
    return form(weights, columns, size)


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
        sums = row_sums(tf.fill(tf.shape(rows), 1 / size), rows, tf.shape(values)[0])
        return sums.of(values), sums.scatter_add

    return apply(table)


def products(vectors: tf.Tensor, table: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Return the dot products vectors[b] · table[columns[b, i]].

    With compiled loops, no tensor of shape [B, n, d] is created: each row is read once, and both
    gradients are sparse products.

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
            sums = row_sums(upstream, columns, tf.shape(table)[0])
            return sums.of(table), sums.scatter_add(vectors)

        return kernels.dots(vectors, table, columns), gradient

    return apply(vectors, table)
