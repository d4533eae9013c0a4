"""Random graphs of three sizes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from recns_tf.interactions import Interactions, make_interactions, to_pairs, to_rows


class Shape(NamedTuple):
    """Size of a graph: numbers of users and items, and approximate number of train pairs."""

    users: int
    items: int
    edges: int

    def __str__(self) -> str:
        return f"{self.users:,} users, {self.items:,} items, {self.edges:,} train pairs"


SHAPES = {
    "small": Shape(3_000, 8_000, 300_000),
    "zhihu": Shape(16_015, 44_175, 2_630_000),
    "alibaba": Shape(434_442, 227_410, 5_700_000),
}
"""The last two have the size of the paper's datasets."""

USER_SIGMA, ITEM_SIGMA = 0.75, 1.3
LEAST = 3


def random_train(shape: Shape, seed: int = 0) -> csr_array:
    """Return train positives with log-normal degrees, boolean CSR array [users, items].

    Every user and every item has about LEAST positives or more, as in logs that were reduced to a
    core. Repeated pairs are merged, so there are somewhat fewer than `shape.edges`.
    """
    rng = np.random.default_rng(seed)

    by_user, by_item = (
        weights / weights.sum()
        for weights in (
            rng.lognormal(0, USER_SIGMA, shape.users),
            rng.lognormal(0, ITEM_SIGMA, shape.items),
        )
    )
    each_user = np.repeat(np.arange(shape.users), LEAST)
    each_item = np.repeat(np.arange(shape.items), LEAST)
    rest = max(shape.edges - len(each_user) - len(each_item), 0)
    users = [each_user, rng.choice(shape.users, len(each_item) + rest, p=by_user)]
    items = [rng.choice(shape.items, len(each_user), p=by_item), each_item]
    items.append(rng.choice(shape.items, rest, p=by_item))
    pairs = np.stack([np.concatenate(users), np.concatenate(items)], axis=1)
    return to_rows(pairs, (shape.users, shape.items))


def random_interactions(shape: Shape) -> Interactions:
    """Return a dataset of `random_train` and as many random exposures, without held-out pairs."""
    pairs = to_pairs(random_train(shape))
    shown = np.random.default_rng(1).integers(0, shape.items, len(pairs))
    return make_interactions(
        "random",
        train=pairs,
        valid=np.zeros((0, 2), np.int64),
        test=np.zeros((0, 2), np.int64),
        exposed=np.stack([pairs[:, 0], shown], axis=1),
        user_ids=np.arange(shape.users),
        item_ids=np.arange(shape.items),
        source={},
    )
