"""Sparse products with the normalized user-item graph.

A custom gradient replaces the automatic one: the product with the adjoint, which for a symmetric
matrix is the same product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array, eye_array

from recns_tf.interactions import to_pairs, to_rows
from recns_tf.ops.sparse_matrices import ENGINES, SparseMatrix


def bipartite(train: csr_array) -> csr_array:
    """Return the graph of users (nodes 0 … U - 1) and items (nodes U … U + I - 1).

    Args:
        train: boolean CSR array [U, I].

    Returns:
        boolean CSR array [U + I, U + I], symmetric; the neighbors of a node ascend.
    """
    num_users, num_items = train.shape
    users, items = to_pairs(train).T
    pairs = np.stack([users, items + num_users], axis=1)
    size = num_users + num_items
    return to_rows(np.concatenate([pairs, pairs[:, ::-1]]), (size, size))


def symmetric_adjacency(train: csr_array) -> csr_array:
    """Return D^-1/2 A D^-1/2 of the user-item graph, without self loops.

    A joins users and items as in `bipartite`, D is the diagonal of degrees. The row of a node
    without neighbors is zero. Source: He et al., "LightGCN", SIGIR 2020, eq. (8).

    Args:
        train: boolean CSR array [U, I].

    Returns:
        float32 CSR array [U + I, U + I], symmetric.
    """
    graph = bipartite(train)
    degree = np.diff(graph.indptr)
    scale = np.divide(1.0, np.sqrt(degree), out=np.zeros(len(degree)), where=degree > 0)
    values = np.repeat(scale, degree) * scale[graph.indices]
    return csr_array((values.astype(np.float32), graph.indices, graph.indptr), shape=graph.shape)


def row_normalized_adjacency(train: csr_array) -> csr_array:
    """Return D^-1 (A + I) of the user-item graph: the mean over a node and its neighbors.

    D is the diagonal of the degrees in A + I. Source: the default of the authors' code
    (zyang-16/RecNS), which follows NGCF's.

    Args:
        train: boolean CSR array [U, I].

    Returns:
        float32 CSR array [U + I, U + I], not symmetric.
    """
    graph = bipartite(train)
    graph = csr_array(graph + eye_array(graph.shape[0], dtype=bool, format="csr"))
    degree = np.diff(graph.indptr)
    values = np.repeat(1.0 / degree, degree).astype(np.float32)
    return csr_array((values, graph.indices, graph.indptr), shape=graph.shape)


ADJACENCIES = {"symmetric": symmetric_adjacency, "row": row_normalized_adjacency}
"""Functions from the train graph to the matrix that propagates embeddings."""


class Adjacency:
    """A constant sparse matrix [N, N] that multiplies dense [N, d] tensors.

    Args:
        matrix: float32 CSR array [N, N].
        engine: "csr", or "coo" for public operations alone; results agree up to rounding.
        symmetric: whether the matrix is symmetric, and therefore its own adjoint.

    Raises:
        ValueError: the engine is unknown.
    """

    def __init__(self, matrix: csr_array, engine: str = "csr", symmetric: bool = True):
        if engine not in ENGINES:
            raise ValueError(f"engine '{engine}': choose one of {', '.join(ENGINES)}")
        self.engine = engine
        self.symmetric = symmetric
        self.matrix: SparseMatrix = ENGINES[engine](matrix)
        self.adjoint = self.matrix if symmetric else ENGINES[engine](csr_array(matrix.T))

    @classmethod
    def from_train(cls, train: csr_array, kind: str = "symmetric", engine: str = "csr") -> Self:
        """Build the matrix named `kind` in ADJACENCIES from the train graph."""
        return cls(ADJACENCIES[kind](train), engine, symmetric=kind == "symmetric")

    def to_scipy(self) -> csr_array:
        """Return the matrix as a float32 CSR array [N, N]."""
        return self.matrix.to_scipy()

    def product(self, x: tf.Tensor) -> tf.Tensor:
        """Return matrix @ x: float32 [N, d] -> [N, d]; its gradient is the adjoint's product."""

        @tf.custom_gradient
        def apply(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                return self.adjoint.product(upstream)

            return self.matrix.product(values), gradient

        return apply(x)

    def polynomial(self, x: tf.Tensor, coefficients: Sequence[float]) -> tf.Tensor:
        """Return (c_0 I + c_1 A + … + c_L A^L) x by Horner's rule: L products, no layers stored.

        The gradient with respect to x is the same polynomial of the adjoint matrix, applied to the
        incoming gradient.

        Args:
            x: float32 [N, d].
            coefficients: c_0 … c_L.

        Returns:
            float32 [N, d].
        """

        def evaluate(matrix: SparseMatrix, values: tf.Tensor) -> tf.Tensor:
            result = coefficients[-1] * values
            for coefficient in reversed(coefficients[:-1]):
                result = matrix.product_plus(result, coefficient, values)
            return result

        @tf.custom_gradient
        def apply(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            return evaluate(self.matrix, values), partial(evaluate, self.adjoint)

        return apply(x)
