"""The k-core of a graph: repeatedly remove users and items with too few positives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def k_core(
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    sizes: tuple[int, int],
    least: tuple[int, int],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which users and items are in the k-core of the positive pairs.

    Args:
        users, items: integers [n], the distinct positive pairs.
        sizes: (num_users, num_items).
        least: minimum numbers of positives per user and per item; 0 keeps all.

    Returns:
        Masks of the users and items to keep, bool [num_users] and bool [num_items].
    """
    keep_user, keep_item = (np.ones(size, dtype=bool) for size in sizes)
    while True:
        inside = keep_user[users] & keep_item[items]
        next_user = keep_user & (np.bincount(users[inside], minlength=sizes[0]) >= least[0])
        next_item = keep_item & (np.bincount(items[inside], minlength=sizes[1]) >= least[1])
        if np.array_equal(next_user, keep_user) and np.array_equal(next_item, keep_item):
            return keep_user, keep_item
        keep_user, keep_item = next_user, next_item
