"""Constant sparse matrices that multiply dense ones, inside the graph: the sparse engines.

Where graphs use compiled loops, those multiply a CSR matrix: they fetch the rows that come next
from memory while they add, and so take about half the time of TensorFlow's CSR kernels if the
matrices exceed the processor's cache. These in turn are many times faster than
`tf.sparse.sparse_dense_matmul`, which is public.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.ops import compiled_products, kernels
from recns_tf.utils.parallel import even_cuts


class SparseMatrix(Protocol):
    """A constant sparse matrix, float32 [N, M]."""

    def product(self, x: tf.Tensor) -> tf.Tensor:
        """Return matrix @ x: float32 [M, d] -> [N, d]."""

    def product_plus(self, x: tf.Tensor, scale: float, other: tf.Tensor) -> tf.Tensor:
        """Return matrix @ x + scale * other: float32 [M, d], [], [N, d] -> [N, d]."""

    def to_scipy(self) -> csr_array:
        """Return the matrix as a float32 CSR array [N, M]."""


class CSRMatrix:
    """A sparse matrix whose entries are stored row by row.

    Args:
        matrix: CSR array [N, M].
    """

    def __init__(self, matrix: csr_array):
        self.matrix = matrix.astype(np.float32, copy=False)
        starts = self.matrix.indptr.astype(np.int64, copy=False)
        self.cuts = even_cuts(starts)
        self.parts = (
            starts,
            self.matrix.indices.astype(np.int32, copy=False),
            self.matrix.data,
        )

    @cached_property
    def by_tensorflow(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A function that multiplies by TensorFlow's CSR kernels."""
        # Not public, but needed: a tf.function cannot capture the variant tensor of tf.raw_ops, and
        # converting it in each pass made propagation 11 to 16 % slower at the size of Zhihu.
        from tensorflow.python.ops.linalg.sparse import sparse_csr_matrix_ops as csr

        with tf.init_scope():
            return partial(csr.matmul, csr.CSRSparseMatrix(to_tensorflow(self.matrix)))

    def product(self, x: tf.Tensor) -> tf.Tensor:
        def compiled(x: NDArray[np.float32]) -> NDArray[np.float32]:
            return compiled_products.product(self.cuts, *self.parts, x)

        return kernels.apply(
            compiled, lambda x: self.by_tensorflow(x), [x], tf.float32, self._shape(x)
        )

    def product_plus(self, x: tf.Tensor, scale: float, other: tf.Tensor) -> tf.Tensor:
        def compiled(x: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
            plus = np.float32(scale), other
            return compiled_products.product_plus(self.cuts, *self.parts, x, *plus)

        def pure(x: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
            return self.by_tensorflow(x) + scale * other

        return kernels.apply(compiled, pure, [x, other], tf.float32, self._shape(x))

    def to_scipy(self) -> csr_array:
        return self.matrix

    def _shape(self, x: tf.Tensor) -> tf.TensorShape:
        return tf.TensorShape([self.matrix.shape[0], x.shape[1]])


class COOMatrix:
    """A sparse matrix as a tf.SparseTensor, for public operations alone.

    Args:
        matrix: CSR array [N, M].
    """

    def __init__(self, matrix: csr_array):
        self.matrix = to_tensorflow(matrix)

    def product(self, x: tf.Tensor) -> tf.Tensor:
        return tf.sparse.sparse_dense_matmul(self.matrix, x)

    def product_plus(self, x: tf.Tensor, scale: float, other: tf.Tensor) -> tf.Tensor:
        return self.product(x) + scale * other

    def to_scipy(self) -> csr_array:
        rows, columns = self.matrix.indices.numpy().T
        return csr_array(
            (self.matrix.values.numpy(), (rows, columns)), shape=tuple(self.matrix.shape)
        )


ENGINES: dict[str, type[CSRMatrix | COOMatrix]] = {kernels.CSR: CSRMatrix, kernels.COO: COOMatrix}
"""The classes that the values of --sparse_engine name."""


def to_tensorflow(matrix: csr_array) -> tf.SparseTensor:
    """Convert a SciPy matrix to a tf.SparseTensor of float32."""
    coordinates = matrix.tocoo()
    indices = np.stack([coordinates.row, coordinates.col], axis=1).astype(np.int64)
    return tf.SparseTensor(indices, coordinates.data.astype(np.float32), matrix.shape)
