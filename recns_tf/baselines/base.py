"""The interface of a baseline: scores of all items for each choice of hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.baselines.settings import BaselineSettings
from recns_tf.errors import UserError, first_line

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


def fault(fits: Any) -> str:
    """Return why an object cannot be used as a baseline, or "" if it can.

    It is fitted to 3 users and 4 items, and its first fit scores two of the users.
    """
    train = csr_array(np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0]], dtype=bool))
    try:
        fit = next(iter(fits(train, BaselineSettings())))
    except Exception as error:
        return f"called with (train, settings), it raises {first_line(error)}"
    if not isinstance(fit, Fit):
        return f"its fits are {type(fit).__name__}, not {Fit.__module__}.{Fit.__name__}"
    try:
        shape = np.shape(fit.scores(np.array([0, 2])))
    except Exception as error:
        return f"the scores of its fit raise {first_line(error)}"
    return "" if shape == (2, 4) else f"the scores of 2 users and 4 items have the shape {shape}"
