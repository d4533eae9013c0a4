"""Weighted draws from the complements of item sets, exact and without rejection."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.ops import random

TOTAL = 2**30
"""Approximate sum of the integer weights; 2^32 random numbers leave four per unit of weight."""


class WeightedComplement:
    """All items except those of `rows`, drawn in proportion to their weights.

    Let P be the sorted missing items of a user, D_j the total weight of the remaining items below
    P_j, and S_t the total weight of the first t missing items. A random integer r below the
    remaining weight selects the item in whose interval of the cumulative weights r + S_t falls,
    where t is the number of j with D_j <= r. Items of zero weight are never drawn.

    Args:
        rows: boolean CSR array [U, I] of the missing items.
        weights: [I], nonnegative with a positive sum. They are scaled to sum to about 2^30 and
            rounded to integers, positive ones to at least 1.

    Example:
        >>> missing = csr_array(np.array([[True, False, False]]))
        >>> sets = WeightedComplement(missing, np.array([1.0, 0.0, 1.0]))
        >>> sets.draw(tf.constant([0]), 2, random.root(0)).numpy()
        array([[2, 2]], dtype=int32)
    """

    def __init__(self, rows: csr_array, weights: NDArray[np.floating]):
        whole = np.rint(weights * (TOTAL / weights.sum())).astype(np.int64)
        whole = np.where(weights > 0, np.maximum(whole, 1), 0)
        ends = np.cumsum(whole)
        self.total = int(ends[-1])
        starts = rows.indptr.astype(np.int64)
        missing = np.diff(starts)
        users = np.repeat(np.arange(rows.shape[0]), missing)
        weight = whole[rows.indices]
        running = np.concatenate([[0], np.cumsum(weight)])
        taken = running[:-1] - running[starts[users]]
        below = ends[rows.indices] - weight - taken
        self.ends = tf.constant(ends, tf.int64)
        self.starts = tf.constant(starts, tf.int64)
        self.below = tf.constant(below + users * (self.total + 1), tf.int64)
        self.running = tf.constant(running, tf.int64)

    def left(self, users: tf.Tensor) -> tf.Tensor:
        """Return the total weight of the items that each user can draw: [B] -> int64 [B]."""
        first, last = tf.gather(self.starts, users), tf.gather(self.starts, users + 1)
        return self.total - tf.gather(self.running, last) + tf.gather(self.running, first)

    def draw(self, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
        """Draw n independent items per user: int32 [B] -> int32 [B, n].

        A user without remaining weight gets unspecified items.
        """
        bound = tf.maximum(self.left(users), 1)[:, None]
        number = tf.cast(random.integers(seed, bound, [tf.size(users), n]), tf.int64)
        sought = number + tf.cast(users, tf.int64)[:, None] * (self.total + 1)
        found = tf.searchsorted(self.below, tf.reshape(sought, [-1]), "right", tf.int64)
        first = tf.gather(self.running, tf.gather(self.starts, users))[:, None]
        skipped = tf.gather(self.running, tf.reshape(found, tf.shape(sought))) - first
        place = tf.reshape(number + skipped, [-1])
        item = tf.searchsorted(self.ends, place, "right", tf.int32)
        return tf.reshape(tf.minimum(item, tf.size(self.ends) - 1), tf.shape(sought))
