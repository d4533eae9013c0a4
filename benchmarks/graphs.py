"""Random graphs to time things on."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from recns_tf.interactions import Interactions, make_interactions, to_pairs, to_rows

ZHIHU = (16_015, 44_175, 2_630_000)
ALIBABA = (434_442, 227_410, 5_700_000)
"""Users, items and train edges of the paper's data."""

USER_SIGMA, ITEM_SIGMA = 0.75, 1.3
LEAST = 3


def random_train(num_users: int, num_items: int, num_edges: int, seed: int = 0) -> csr_array:
    """Return train positives with log-normal degrees, boolean [num_users, num_items].

    Every user and every item has about LEAST positives, as in logs that were cut to a core. Pairs
    that were drawn twice fall together, so that there are somewhat fewer than `num_edges`.
    """
    rng = np.random.default_rng(seed)

    by_user, by_item = (
        weights / weights.sum()
        for weights in (
            rng.lognormal(0, USER_SIGMA, num_users),
            rng.lognormal(0, ITEM_SIGMA, num_items),
        )
    )
    each_user = np.repeat(np.arange(num_users), LEAST)
    each_item = np.repeat(np.arange(num_items), LEAST)
    rest = max(num_edges - len(each_user) - len(each_item), 0)
    users = [each_user, rng.choice(num_users, len(each_item) + rest, p=by_user)]
    items = [rng.choice(num_items, len(each_user), p=by_item), each_item]
    items.append(rng.choice(num_items, rest, p=by_item))
    pairs = np.stack([np.concatenate(users), np.concatenate(items)], axis=1)
    return to_rows(pairs, (num_users, num_items))


def random_interactions(num_users: int, num_items: int, num_edges: int) -> Interactions:
    """Return `random_train` with as many exposures, of random items, and nothing held out."""
    pairs = to_pairs(random_train(num_users, num_items, num_edges))
    shown = np.random.default_rng(1).integers(0, num_items, len(pairs))
    return make_interactions(
        "random",
        train=pairs,
        valid=np.zeros((0, 2)),
        test=np.zeros((0, 2)),
        exposed=np.stack([pairs[:, 0], shown], axis=1),
        user_ids=np.arange(num_users),
        item_ids=np.arange(num_items),
        source={},
    )
