"""EASE: a linear item-to-item model in closed form.

Source: H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, eq. (8) and
Algorithm 1: with P = (XᵀX + λI)^-1 the weights are B = I - P · diagMat(1 ⊘ diag(P)), whose
diagonal is 0, and the scores are XB. It minimises ‖X - XB‖² + λ‖B‖² under that constraint.

A single array [I, I] holds in turn XᵀX + λI, its Cholesky factor, P and B, for one λ at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.sparse import csr_array

from recns_tf.baselines.base import Fit, Scorer, TooManyItems, binary
from recns_tf.baselines.settings import BaselineSettings, numbers
from recns_tf.errors import UserError
from recns_tf.evaluation.scored_lists import blocks
from recns_tf.utils.memory import available_bytes
from recns_tf.utils.text import bytes_text

GIGA = 10**9
MANY = 10_000
"""Items from which an inversion takes so long that a line says that it begins."""
MIRRORED = 256
"""Rows that are copied together to columns."""


def fits(train: csr_array, settings: BaselineSettings) -> Iterator[Fit]:
    """Return an iterator with one fit per λ. See Baseline.

    Raises:
        TooManyItems: the matrix needs more memory than settings.ease_memory, or than there is.
        UserError: λ is too small for an inversion; raised by the iterator.
    """
    num_items = train.shape[1]
    needed = 8 * num_items**2
    if needed > settings.ease_memory * GIGA:
        fitting = int((settings.ease_memory * GIGA / 8) ** 0.5)
        raise TooManyItems(
            f"ease needs {bytes_text(needed)} for its matrix of {num_items:,} x {num_items:,} "
            f"items: --ease_memory={settings.ease_memory:g} allows {fitting:,} items at most."
        )
    if needed > (available := available_bytes()):
        raise TooManyItems(
            f"ease needs {bytes_text(needed)} for its matrix of {num_items:,} x {num_items:,} "
            f"items, and {bytes_text(available)} of memory are available."
        )
    return fit_each(train, sorted(set(numbers(settings.ease_l2))))


def fit_each(train: csr_array, penalties: list[float]) -> Iterator[Fit]:
    """Yield one fit per λ in `penalties`."""
    model = Ease(binary(train))
    for l2 in penalties:
        model.fit(l2)
        yield Fit({"ease_l2": l2}, scorer(model, l2))


class Ease:
    """The weights of one λ at a time, so that there is one matrix [I, I] in memory.

    Args:
        positives: X, float64 CSR array [U, I].
    """

    def __init__(self, positives: csr_array):
        self.positives = positives
        self.l2 = 0.0
        self.weights = np.zeros((0, 0))

    def fit(self, l2: float) -> None:
        """Compute the weights of λ unless they are those in memory."""
        if l2 != self.l2:
            # Two matrices may not fit into memory.
            self.weights = np.zeros((0, 0))
            self.weights = weights(self.positives, l2)
            self.l2 = l2


def scorer(model: Ease, l2: float) -> Scorer:
    """Return a scorer: rows of X times the weights B of λ, computed again if they were dropped."""

    def scores(users: NDArray[np.integer]) -> NDArray[np.float64]:
        model.fit(l2)
        return np.asarray(model.positives[users] @ model.weights)

    return scores


def weights(positives: csr_array, l2: float) -> NDArray[np.float64]:
    """Return the item weights B of eq. (8).

    Args:
        positives: X, float64 CSR array [U, I].
        l2: λ.

    Returns:
        float64 [I, I] in rows, with a zero diagonal.

    Raises:
        UserError: XᵀX + λI is singular in float64, because λ is too small.
    """
    num_items = positives.shape[1]
    if num_items >= MANY:
        size = bytes_text(8 * num_items**2)
        print(
            f"ease_l2 {l2:g}: inverting a matrix of {num_items:,} x {num_items:,} items ({size})",
            file=sys.stderr,
        )
    matrix = gram(positives)
    np.fill_diagonal(matrix, matrix.diagonal() + l2)
    # LAPACK works in place on columns: the lower triangle of the transpose, which is symmetric.
    factor, failed = dpotrf(matrix.T, lower=True, clean=False, overwrite_a=True)
    if failed:
        raise UserError(
            f"--ease_l2={l2:g} is too small to invert the matrix of {num_items:,} x {num_items:,} "
            "items: choose a larger number."
        )
    inverse, _ = dpotri(factor, lower=True, overwrite_c=True)
    matrix = inverse.T
    mirror(matrix)
    matrix /= -matrix.diagonal()
    np.fill_diagonal(matrix, 0.0)
    return matrix


def gram(positives: csr_array) -> NDArray[np.float64]:
    """Return XᵀX, float64 [I, I] in rows, made in blocks of them."""
    num_items = positives.shape[1]
    by_item = csr_array(positives.T)
    matrix = np.empty((num_items, num_items))
    for block in blocks(num_items, num_items):
        rows = slice(block[0], block[-1] + 1)
        (by_item[rows] @ positives).toarray(out=matrix[rows])
    return matrix


def mirror(matrix: NDArray[np.float64]) -> None:
    """Copy what is above the diagonal of a square matrix to the places below it."""
    for start in range(0, len(matrix), MIRRORED):
        stop = start + MIRRORED
        square = matrix[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T
