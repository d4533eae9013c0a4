"""EASE: a linear item-to-item model in closed form.

Source: H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, eq. (8) and
Algorithm 1: with P = (XᵀX + λI)^-1 the weights are B = I - P · diagMat(1 ⊘ diag(P)), whose
diagonal is 0, and the scores are XB. It minimises ‖X - XB‖² + λ‖B‖² under that constraint.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from recns_tf.baselines.base import Fit, Scorer, TooManyItems, binary
from recns_tf.baselines.settings import BaselineSettings, numbers
from recns_tf.utils.memory import available_bytes
from recns_tf.utils.text import bytes_text

MATRICES = 5
"""Number of dense float64 [I, I] matrices in memory at once: XᵀX, its Cholesky factor, and the
weights of three fits: the current, the previous and the best one."""
GIGA = 10**9


def fits(train: csr_array, settings: BaselineSettings) -> Iterator[Fit]:
    """Return an iterator with one fit per λ. See Baseline.

    Raises:
        TooManyItems: the matrices need more memory than settings.ease_memory, or than there is.
    """
    num_items = train.shape[1]
    needed = MATRICES * 8 * num_items**2
    if needed > settings.ease_memory * GIGA:
        fitting = int((settings.ease_memory * GIGA / MATRICES / 8) ** 0.5)
        raise TooManyItems(
            f"ease needs {bytes_text(needed)} for its matrices of {num_items:,} x {num_items:,} "
            f"items: --ease_memory={settings.ease_memory:g} allows {fitting:,} items at most."
        )
    if needed > (available := available_bytes()):
        raise TooManyItems(
            f"ease needs {bytes_text(needed)} for its matrices of {num_items:,} x {num_items:,} "
            f"items, and {bytes_text(available)} of memory are available."
        )
    return fit_each(train, sorted(set(numbers(settings.ease_l2))))


def fit_each(train: csr_array, penalties: list[float]) -> Iterator[Fit]:
    """Yield one fit per λ in `penalties`."""
    positives = binary(train)
    gram = (positives.T @ positives).toarray()
    for l2 in penalties:
        yield Fit({"ease_l2": l2}, scorer(positives, weights(gram, l2)))


def weights(gram: NDArray[np.float64], l2: float) -> NDArray[np.float64]:
    """Return the item weights B of eq. (8).

    Args:
        gram: XᵀX, float64 [I, I].
        l2: λ.

    Returns:
        float64 [I, I] with a zero diagonal.
    """
    regularized = gram.copy(order="F")
    np.fill_diagonal(regularized, gram.diagonal() + l2)
    factor = cho_factor(regularized, lower=True, overwrite_a=True, check_finite=False)
    inverse = cho_solve(factor, np.eye(len(gram), order="F"), overwrite_b=True, check_finite=False)
    inverse /= -inverse.diagonal()
    np.fill_diagonal(inverse, 0.0)
    return np.asarray(inverse)


def scorer(positives: csr_array, item_weights: NDArray[np.float64]) -> Scorer:
    """Return a scorer: rows of X times B."""

    def scores(users: NDArray[np.integer]) -> NDArray[np.float64]:
        return np.asarray(positives[users] @ item_weights)

    return scores
