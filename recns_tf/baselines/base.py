"""What a baseline offers: scores of all items, for each choice of its hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.baselines.settings import BaselineSettings
from recns_tf.errors import UserError

Scorer = Callable[[NDArray[np.integer]], NDArray[np.float64]]
"""From users [n] to their scores of all items, [n, I]; larger is better."""


class TooManyItems(UserError):
    """The catalogue is larger than a baseline may take."""


class Fit(NamedTuple):
    """A baseline with its hyperparameters chosen and fitted.

    Attributes:
        settings: the hyperparameters by the names of their flags.
        scores: what it recommends by.
    """

    settings: dict[str, float]
    scores: Scorer


class Baseline(Protocol):
    """A recommender in closed form."""

    def __call__(self, train: csr_array, settings: BaselineSettings) -> Iterator[Fit]:
        """Return a fit for each choice of hyperparameters, made when it is asked for.

        Args:
            train: boolean CSR array [U, I].
            settings: which choices there are.

        Raises:
            TooManyItems: there are too many items; at once, not when a fit is asked for.
        """


def binary(train: csr_array) -> csr_array:
    """Return positives as the float64 CSR array X [U, I] of zeros and ones."""
    return csr_array(train.astype(np.float64))
