"""Weighted draws from the items that a user has not: exact, by binary search, without rejection."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.ops import random

TOTAL = 2**30
"""What whole weights add up to, about: one of 2^32 random numbers falls on each quarter of one."""


class WeightedComplement:
    """All items but those of `rows`, each as likely as its weight among what is left.

    With P the sorted missing items of a user, D_j is the weight of the items below P_j that are
    left, and S_t that of the first t missing ones. A number r below the weight left belongs to
    the item v for which r + S_t falls into v's stretch of all weights laid end to end, t being the
    number of j with D_j <= r. Zero weights are never drawn.

    Args:
        rows: boolean CSR array [U, I] of what is missing.
        weights: [I], 0 or more, with a positive sum. Rounded to whole numbers that sum to about
            2^30, a positive one to 1 at least.
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
        """Return the weight that each user has left: [B] -> int64 [B]."""
        first, last = tf.gather(self.starts, users), tf.gather(self.starts, users + 1)
        return self.total - tf.gather(self.running, last) + tf.gather(self.running, first)

    def draw(self, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
        """Draw n independent items a user: [B] -> int32 [B, n].

        A user with no weight left gets unspecified items.
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
