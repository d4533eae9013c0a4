"""Train, valid and test per user, 80/10/10 (§5.1)."""

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
    """Assign every positive pair to a split, user by user.

    A user with n positives gives round(n * test) of them to test and round(n * valid) to
    valid, halves rounded up; the rest, at least one, is train. With the paper's tenths a user
    with under 5 positives has train items alone.

    Args:
        users: [n] user index of each pair.
        order: [n] key by which a user's pairs are sorted: random numbers for a random split,
            timestamps for a temporal one. The last go to test, those before them to valid.
        valid, test: shares, in [0, 1).

    Returns:
        [n] int8 of TRAIN, VALID and TEST.
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
