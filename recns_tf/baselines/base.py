"""The interface of a baseline: scores of all items for each choice of hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.baselines.settings import BaselineSettings
from recns_tf.errors import UserError

Scorer = Callable[[NDArray[np.integer]], NDArray[np.float64]]
"""Maps users, integer [n], to their scores of all items, float64 [n, I]; larger is better."""


class TooManyItems(UserError):
    """The catalog is too large for a baseline."""


class Fit(NamedTuple):
    """A baseline fitted with one choice of hyperparameters.

    Attributes:
        settings: the hyperparameters, by the names of their flags.
        scores: returns the scores of all items for given users.
    """

    settings: dict[str, float]
    scores: Scorer


class Baseline(Protocol):
    """A closed-form recommender.

    Example:
        def fits(train, settings):
            popularity = np.asarray(train.sum(axis=0), dtype=np.float64)
            yield Fit({}, lambda users: np.tile(popularity, (len(users), 1)))
    """

    def __call__(self, train: csr_array, settings: BaselineSettings) -> Iterator[Fit]:
        """Return an iterator over fits, one per choice of hyperparameters, computed on demand.

        Args:
            train: boolean CSR array [U, I], the train positives.
            settings: the grids of hyperparameters.

        Raises:
            TooManyItems: there are too many items. Raised by the call, not by the iterator.
        """


def binary(train: csr_array) -> csr_array:
    """Return positives as a float64 CSR array X [U, I] of zeros and ones."""
    return csr_array(train.astype(np.float64))
