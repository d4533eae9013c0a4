"""Items in a user's region that were not exposed to the user."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.interactions import to_pairs, to_rows
from recns_tf.ops import random
from recns_tf.ops.item_sets import ComplementItems, Fallback, ItemSets, ListedItems


class Unexposed:
    """Draws from each user's pool without the exposed items.

    If the pool is the complement of listed items, so is the pool without exposed items, and one
    search finds an item. For any other pool, exposed items are drawn again. If all items of a
    user's pool were exposed, the whole pool is used.

    Args:
        pool: the items to draw from.
        exposed: boolean CSR array [U, I], the items to leave out.
    """

    def __init__(self, pool: ItemSets, exposed: csr_array):
        self.pool = pool
        self.exposures = ListedItems(exposed)
        self.rest: ItemSets | None = None
        if isinstance(pool, ComplementItems):
            pairs = [to_pairs(rows) for rows in (pool.rows, exposed)]
            missing = to_rows(np.concatenate(pairs), pool.rows.shape)
            self.rest = Fallback(ComplementItems(missing), pool)

    def draw(self, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
        """Draw n independent uniform items per user: [B] -> int32 [B, n]."""
        if self.rest is not None:
            return random.with_replacement(self.rest, users, n, seed)
        return random.accepted(self._propose, self._accept, self._propose, users, n, seed)

    def _propose(self, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
        return random.with_replacement(self.pool, users, n, seed)

    def _accept(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return ~self.exposures.contains(users, items)
