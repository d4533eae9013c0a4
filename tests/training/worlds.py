"""Datasets of extreme shapes."""

import numpy as np

from recns_tf.interactions import Interactions, make_interactions

NUM_ITEMS = 3


def saturated(others=(), num_users=4) -> Interactions:
    """Return a dataset of 3 items, all of them train positives of users 0 to 2.

    Args:
        others: train pairs of further users.
        num_users: number of users.
    """
    pairs = [(user, item) for user in range(3) for item in range(NUM_ITEMS)]
    none = np.zeros((0, 2))
    return make_interactions(
        "full",
        train=np.array([*pairs, *others]),
        valid=none,
        test=none,
        exposed=none,
        user_ids=np.arange(num_users),
        item_ids=np.arange(NUM_ITEMS),
        source={},
    )
