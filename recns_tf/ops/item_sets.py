"""Per-user item sets that support lookup by rank inside a TensorFlow graph."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.ops import kernels
from recns_tf.utils.devices import HOST

ROWS_PER_SLICE = 65_536


class ItemSets(Protocol):
    """An item set for every user, with lookup by rank and tests of membership."""

    def count(self, users: tf.Tensor) -> tf.Tensor:
        """Return the number of items in each user's set: int32 [B] -> int32 [B]."""

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """Return the items with the given ranks, from 0, in each user's set.

        A rank outside the set gives an unspecified item.

        Args:
            users: int32 [B].
            ranks: int32 [B, n].

        Returns:
            int32 [B, n].
        """

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return whether items are in each user's set: int32 [B], int32 [B, n] -> bool [B, n]."""

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return which of the given items are in each user's set.

        Much faster than `contains` if C is large.

        Args:
            users: int32 [B].
            items: int32 [C].

        Returns:
            bool [B, C].
        """


def entries_of(starts: tf.Tensor, users: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return all entries of the given rows of a CSR array, row after row.

    Args:
        starts: int64 [U + 1], where each row begins.
        users: int32 [B], rows, repeats allowed.

    Returns:
        For each of the t entries, the index of its row in `users`, int32 [t], and its position in
        the CSR array, int64 [t].
    """
    first = tf.gather(starts, users)
    length = tf.gather(starts, users + 1) - first
    owner = tf.repeat(tf.range(tf.size(users)), length)
    offset = tf.range(tf.reduce_sum(length)) - tf.gather(tf.cumsum(length, exclusive=True), owner)
    return owner, tf.gather(first, owner) + offset


class ListedItems:
    """Item sets stored as sorted lists.

    Args:
        rows: boolean CSR array [num_users, num_items], whose indices ascend in each row.

    Example:
        >>> sets = ListedItems(csr_array(np.array([[True, False, True]])))
        >>> sets.item(tf.constant([0]), tf.constant([[0, 1]])).numpy()
        array([[0, 2]], dtype=int32)
        >>> sets.contains(tf.constant([0]), tf.constant([[0, 1]])).numpy()
        array([[ True, False]])
    """

    def __init__(self, rows: csr_array):
        self.num_items = rows.shape[1]
        self.starts = tf.constant(rows.indptr, tf.int64)
        # One spare element keeps the gather for an empty last set in range.
        self.items = tf.constant(np.append(rows.indices, 0), tf.int32)

    def count(self, users: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(self.starts, users + 1) - tf.gather(self.starts, users), tf.int32)

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        where = tf.gather(self.starts, users)[:, None] + tf.cast(ranks, tf.int64)
        return tf.gather(self.items, tf.minimum(where, tf.size(self.items, tf.int64) - 1))

    def other(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """Return the integers of the given ranks that are not in each user's set.

        Args:
            users: int32 [B].
            ranks: int32 [B, n], from 0.

        Returns:
            int32 [B, n]; may exceed the number of items for ranks beyond the complement.
        """
        return kernels.unlisted(self.starts, self.items, users, ranks)

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return kernels.members(self.starts, self.items, users, items)

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        owner, place = entries_of(self.starts, users)
        entries = tf.gather(self.items, place)
        return kernels.marks(owner, entries, items, tf.size(users), self.num_items)


class ComplementItems:
    """Item sets stored as the sorted lists of the items that are *not* in them.

    With P the sorted missing items of a user, P[j] - j elements of the set are smaller than P[j].
    The element of rank r is therefore r + t, where t is the number of j with P[j] - j <= r: one
    binary search, no rejection.

    Args:
        rows: boolean CSR array [num_users, num_items] of the missing items, whose indices ascend
            in each row.

    Example:
        >>> sets = ComplementItems(csr_array(np.array([[False, True, False]])))
        >>> sets.item(tf.constant([0]), tf.constant([[0, 1]])).numpy()
        array([[0, 2]], dtype=int32)
    """

    def __init__(self, rows: csr_array):
        self.rows = rows
        self.num_items = rows.shape[1]
        self.missing = ListedItems(rows)

    def count(self, users: tf.Tensor) -> tf.Tensor:
        return self.num_items - self.missing.count(users)

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        return tf.minimum(self.missing.other(users, ranks), self.num_items - 1)

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return ~self.missing.contains(users, items)

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return ~self.missing.membership(users, items)


class Fallback:
    """The sets of `first`, or of `second` for users whose set in `first` is empty."""

    def __init__(self, first: ItemSets, second: ItemSets):
        self.first = first
        self.second = second

    def count(self, users: tf.Tensor) -> tf.Tensor:
        count = self.first.count(users)
        return tf.where(count > 0, count, self.second.count(users))

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        return self._choose("item", users, ranks)

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return self._choose("contains", users, items)

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return self._choose("membership", users, items)

    def _choose(self, method: str, users: tf.Tensor, argument: tf.Tensor) -> tf.Tensor:
        full = self.first.count(users)[:, None] > 0
        first, second = (getattr(sets, method) for sets in (self.first, self.second))
        return tf.where(full, first(users, argument), second(users, argument))


class Pool:
    """Item sets of limited size that can be replaced at any time.

    Args:
        num_users: number of sets.
        num_items: number of items.
        size: maximum number of items in a set.
    """

    def __init__(self, num_users: int, num_items: int, size: int):
        self.num_items = num_items
        self.size = size
        # The input pipeline reads these variables, and always runs on the CPU. TensorFlow has no
        # int32 variables on a GPU, either.
        with tf.device(HOST):
            self.items = tf.Variable(tf.zeros([num_users, size], tf.int32), trainable=False)
            self.counts = tf.Variable(tf.zeros([num_users], tf.int32), trainable=False)

    def assign(self, items: NDArray[np.int32], counts: NDArray[np.int32]) -> None:
        """Replace all sets.

        Args:
            items: int32 [num_users, size]. The leading entries of a row are the user's set; the
                other entries are not in the set, but must be valid items.
            counts: int32 [num_users], the number of leading entries in the set.
        """
        # TensorFlow copies its arguments; slices keep that copy small. Assigning to
        # self.items[start:stop] would read, and so copy, the whole variable for each slice.
        for start in range(0, len(items), ROWS_PER_SLICE):
            part = items[start : start + ROWS_PER_SLICE]
            rows = tf.range(start, start + len(part))
            self.items.scatter_update(tf.IndexedSlices(part, rows))
        self.counts.assign(counts)

    def count(self, users: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.counts, users)

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        ranks = tf.clip_by_value(ranks, 0, self.size - 1)
        if not kernels.is_compiled():
            # XLA has no gather_nd of a variable.
            return tf.gather(tf.gather(self.items, users), ranks, batch_dims=1)
        rows = tf.broadcast_to(users[:, None], tf.shape(ranks))
        return tf.gather_nd(self.items, tf.stack([rows, ranks], axis=2))

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return whether items are in each user's set; requires ascending leading entries."""
        inside = tf.range(self.size) < tf.gather(self.counts, users)[:, None]
        rows = tf.where(inside, tf.gather(self.items, users), np.iinfo(np.int32).max)
        place = tf.minimum(tf.searchsorted(rows, items), self.size - 1)
        return tf.gather(rows, place, batch_dims=1) == items

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        inside = tf.range(self.size) < tf.gather(self.counts, users)[:, None]
        rows = tf.gather(self.items, users)
        owner = tf.cast(tf.where(inside)[:, 0], tf.int32)
        entries = tf.boolean_mask(rows, inside)
        return kernels.marks(owner, entries, items, tf.size(users), self.num_items)
