"""Sets of items, one a user, in forms that tell an item by its rank inside the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.ops import kernels

ROWS_PER_SLICE = 65_536


class ItemSets(Protocol):
    """A set of items for every user, whose elements can be told by their rank."""

    def count(self, users: tf.Tensor) -> tf.Tensor:
        """Return the number of items in each user's set: [B] -> int32 [B]."""

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """Return the items of rank 0, 1, … in each user's set: [B], [B, n] -> int32 [B, n].

        A rank outside the set gives an unspecified item of the catalogue.
        """

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return whether items are in each user's set: [B], int32 [B, n] -> bool [B, n]."""

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return which of some distinct items each user's set has: [B], [C] -> bool [B, C].

        Many times as fast as `contains` where C is large.
        """


def entries_of(starts: tf.Tensor, users: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return all entries of some rows of a CSR array, one row after the other.

    Args:
        starts: int64 [U + 1], where each row begins.
        users: int32 [B], rows, repeats allowed.

    Returns:
        For each entry the number of its row in `users`, int32, and its place in the CSR array,
        int64.
    """
    first = tf.gather(starts, users)
    length = tf.gather(starts, users + 1) - first
    owner = tf.repeat(tf.range(tf.size(users)), length)
    offset = tf.range(tf.reduce_sum(length)) - tf.gather(tf.cumsum(length, exclusive=True), owner)
    return owner, tf.gather(first, owner) + offset


def marks(
    owner: tf.Tensor, entries: tf.Tensor, items: tf.Tensor, num_rows: tf.Tensor, num_items: int
) -> tf.Tensor:
    """Return which of `items` are among the entries of each row.

    Args:
        owner: int32 [t], the row of each entry.
        entries: int32 [t], items.
        items: int32 [C], distinct.
        num_rows: B.
        num_items: I.

    Returns:
        bool [B, C].
    """
    size = tf.size(items)
    column = tf.scatter_nd(items[:, None], tf.range(1, size + 1), [num_items])
    found = tf.gather(column, entries)
    hit = found > 0
    cell = tf.boolean_mask(owner * size + found - 1, hit)
    counts = tf.scatter_nd(cell[:, None], tf.ones_like(cell), [num_rows * size])
    return tf.reshape(counts > 0, [num_rows, size])


class ListedItems:
    """Sets given by their items.

    Args:
        rows: boolean CSR array [num_users, num_items], whose indices ascend in each row.
    """

    def __init__(self, rows: csr_array):
        self.num_items = rows.shape[1]
        self.starts = tf.constant(rows.indptr, tf.int64)
        # One spare element keeps the gather of an empty last set legal.
        self.items = tf.constant(np.append(rows.indices, 0), tf.int32)

    def count(self, users: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return tf.cast(tf.gather(self.starts, users + 1) - tf.gather(self.starts, users), tf.int32)

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        where = tf.gather(self.starts, users)[:, None] + tf.cast(ranks, tf.int64)
        return tf.gather(self.items, tf.minimum(where, tf.size(self.items, tf.int64) - 1))

    def other(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """Return the numbers of rank 0, 1, … that are not in each set: [B], [B, n] -> [B, n]."""
        return self._searched(kernels.unlisted, users, ranks, tf.int32)

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return self._searched(kernels.members, users, items, tf.bool)

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        owner, place = entries_of(self.starts, users)
        entries = tf.gather(self.items, place)
        return marks(owner, entries, items, tf.size(users), self.num_items)

    def _searched(
        self, search: Callable[..., NDArray], users: tf.Tensor, numbers: tf.Tensor, kind: tf.DType
    ) -> tf.Tensor:
        arguments = [self.starts, self.items, users, numbers]
        return kernels.in_graph(search, arguments, kind, numbers.shape)


class ComplementItems:
    """Sets given by what is *not* in them: all items but those of `rows`.

    With P the sorted missing items of a user, P[j] - j elements of the set stand below P[j].
    The element of rank r is therefore r + t, where t counts the j with P[j] - j <= r: one
    binary search, no rejection.
    """

    def __init__(self, rows: csr_array):
        self.rows = rows
        self.num_items = rows.shape[1]
        self.missing = ListedItems(rows)

    def count(self, users: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return self.num_items - self.missing.count(users)

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return tf.minimum(self.missing.other(users, ranks), self.num_items - 1)

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return ~self.missing.contains(users, items)

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return ~self.missing.membership(users, items)


class Fallback:
    """The sets of `first`, and those of `second` for users whose set in `first` is empty."""

    def __init__(self, first: ItemSets, second: ItemSets):
        self.first = first
        self.second = second

    def count(self, users: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        count = self.first.count(users)
        return tf.where(count > 0, count, self.second.count(users))

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return self._choose("item", users, ranks)

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return self._choose("contains", users, items)

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return self._choose("membership", users, items)

    def _choose(self, method: str, users: tf.Tensor, argument: tf.Tensor) -> tf.Tensor:
        full = self.first.count(users)[:, None] > 0
        first, second = (getattr(sets, method) for sets in (self.first, self.second))
        return tf.where(full, first(users, argument), second(users, argument))


class Pool:
    """Sets of at most `size` items each, which may be replaced at any time.

    Args:
        num_users: number of sets.
        num_items: size of the catalogue.
        size: the most items a set may have.
    """

    def __init__(self, num_users: int, num_items: int, size: int):
        self.num_items = num_items
        self.size = size
        # The input pipeline reads it, and runs there even if there are other devices.
        with tf.device("CPU"):
            self.items = tf.Variable(tf.zeros([num_users, size], tf.int32), trainable=False)
            self.counts = tf.Variable(tf.zeros([num_users], tf.int32), trainable=False)

    def assign(self, items: NDArray[np.int32], counts: NDArray[np.int32]) -> None:
        """Replace all sets.

        Args:
            items: int32 [num_users, size], of which the leading entries of a row are the
                user's set; the others are not in it, but must be items too.
            counts: int32 [num_users], how many leading entries are.
        """
        # TensorFlow copies what it is given: by slices, the whole is never there twice. To assign
        # to self.items[start:stop] would read, and so copy, all of it for each slice.
        for start in range(0, len(items), ROWS_PER_SLICE):
            part = items[start : start + ROWS_PER_SLICE]
            rows = tf.range(start, start + len(part))
            self.items.scatter_update(tf.IndexedSlices(part, rows))
        self.counts.assign(counts)

    def count(self, users: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return tf.gather(self.counts, users)

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        ranks = tf.clip_by_value(ranks, 0, self.size - 1)
        rows = tf.broadcast_to(users[:, None], tf.shape(ranks))
        return tf.gather_nd(self.items, tf.stack([rows, ranks], axis=2))

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets; the leading entries of a row must ascend."""
        inside = tf.range(self.size) < tf.gather(self.counts, users)[:, None]
        rows = tf.where(inside, tf.gather(self.items, users), np.iinfo(np.int32).max)
        place = tf.minimum(tf.searchsorted(rows, items), self.size - 1)
        return tf.gather(rows, place, batch_dims=1) == items

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        inside = tf.range(self.size) < tf.gather(self.counts, users)[:, None]
        rows = tf.gather(self.items, users)
        owner = tf.cast(tf.where(inside)[:, 0], tf.int32)
        entries = tf.boolean_mask(rows, inside)
        return marks(owner, entries, items, tf.size(users), self.num_items)
