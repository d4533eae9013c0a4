"""Split each user's positives into train, valid and test, 80/10/10 (§5.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRAIN, VALID, TEST = 0, 1, 2


def split_per_user(
    users: NDArray[np.integer],
    order: NDArray[np.generic],
    valid: float = 0.1,
    test: float = 0.1,
) -> NDArray[np.int8]:
    """Assign each positive pair to train, valid or test, user by user.

    Of a user's n positives, round(n * test) go to test and round(n * valid) to valid, with halves
    rounded up; the rest, at least one, go to train. With the paper's shares of 0.1, users with
    fewer than 5 positives have only train items.

    Args:
        users: integers [n], user of each pair.
        order: [n], sort key of each user's pairs: random numbers for a random split, timestamps
            for a temporal one. The last pairs go to test, those before them to valid.
        valid, test: shares, in [0, 1).

    Returns:
        int8 [n], TRAIN, VALID or TEST for each pair.

    Example:
        >>> split_per_user(np.zeros(10, int), np.arange(10))
        array([0, 0, 0, 0, 0, 0, 0, 0, 1, 2], dtype=int8)
    """
    by_user = np.lexsort((order, users))
    counts = np.bincount(users) if len(users) else np.zeros(0, dtype=np.int64)
    size = counts[users[by_user]]
    ends = np.cumsum(counts)[users[by_user]]
    from_last = ends - 1 - np.arange(len(users))
    in_test = np.minimum(np.floor(size * test + 0.5), size - 1)
    in_valid = np.minimum(np.floor(size * valid + 0.5), size - 1 - in_test)
    labels = np.empty(len(users), dtype=np.int8)
    labels[by_user] = np.select(
        [from_last < in_test, from_last < in_test + in_valid], [TEST, VALID], TRAIN
    )
    return labels
