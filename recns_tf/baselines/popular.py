"""Most popular items: the same ranking for every user, without the items they have seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.baselines.base import Fit
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.interactions import degrees_of_items


def fits(train: csr_array, settings: BaselineSettings) -> Iterator[Fit]:
    """Yield a single fit: the score of an item is its number of train users. See Baseline."""
    popularity = degrees_of_items(train).astype(np.float64)

    def scores(users: NDArray[np.integer]) -> NDArray[np.float64]:
        return np.tile(popularity, (len(users), 1))

    yield Fit({}, scores)
