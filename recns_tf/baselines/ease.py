"""EASE: a linear model from a user's items to all others, in closed form.

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

MATRICES = 5
"""Dense float64 matrices [I, I] at a time: XᵀX, its factor, and the weights of three fits, the one
in the making, the one before and the best."""
GB = 1e9


def fits(train: csr_array, settings: BaselineSettings) -> Iterator[Fit]:
    """Return a fit for each λ, having looked first whether they fit in memory. See Baseline."""
    num_items = train.shape[1]
    needed = MATRICES * 8 * num_items**2 / GB
    if needed > settings.ease_memory:
        fitting = int((settings.ease_memory * GB / MATRICES / 8) ** 0.5)
        raise TooManyItems(
            f"ease needs {needed:,.1f} GB for its matrices of {num_items:,} x {num_items:,} items: "
            f"--ease_memory={settings.ease_memory:g} lets it have {fitting:,} items at most."
        )
    return fits_within(train, sorted(set(numbers(settings.ease_l2))))


def fits_within(train: csr_array, penalties: list[float]) -> Iterator[Fit]:
    """Yield a fit for each λ, whatever memory it takes."""
    positives = binary(train)
    gram = (positives.T @ positives).toarray()
    for l2 in penalties:
        yield Fit({"ease_l2": l2}, scorer(positives, weights(gram, l2)))


def weights(gram: NDArray[np.float64], l2: float) -> NDArray[np.float64]:
    """Return B, eq. (8): XᵀX [I, I] -> [I, I]."""
    regularised = gram.copy(order="F")
    np.fill_diagonal(regularised, gram.diagonal() + l2)
    factor = cho_factor(regularised, lower=True, overwrite_a=True, check_finite=False)
    inverse = cho_solve(factor, np.eye(len(gram), order="F"), overwrite_b=True, check_finite=False)
    inverse /= -inverse.diagonal()
    np.fill_diagonal(inverse, 0.0)
    return np.asarray(inverse)


def scorer(positives: csr_array, item_weights: NDArray[np.float64]) -> Scorer:
    """Return the function from users to their scores: rows of X times B."""

    def scores(users: NDArray[np.integer]) -> NDArray[np.float64]:
        return np.asarray(positives[users] @ item_weights)

    return scores
