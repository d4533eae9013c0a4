"""Exact random draws inside the graph: stateless, unbiased, without rejection.

Every draw takes a seed, an int64 tensor [2], and one seed gives one result. Seeds form a tree
whose branches are what they are for, then a number if there are several (`stream`): the run's
seed, training, the epoch, its steps, the step, the candidates. No seed serves two purposes, and a
resumed run draws what an uninterrupted one would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.laws import Law


class Purpose(IntEnum):
    """What a stream of random numbers is for."""

    # children of a run's seed
    WEIGHTS = 0
    TRAINING = 1
    # of an epoch's
    PAIRS = 2
    STEPS = 3
    # of a step's
    CANDIDATES = 4
    EXPOSED = 5
    ENCODER = 6
    SAMPLER = 7
    # of a sampler's in a step
    CHOICE = 8
    ALPHA = 9


def stream(seed: tf.Tensor, *branches: tf.Tensor | int) -> tf.Tensor:
    """Return the seed [2] of a branch: one fold for each of `branches`, in order."""
    for branch in branches:
        seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(branch, seed.dtype))
    return seed


def root(seed: int) -> tf.Tensor:
    """Return the seed [2] that the run's `--seed` stands for."""
    return tf.constant([seed, 0], dtype=tf.int64)


def integers(seed: tf.Tensor, bound: tf.Tensor, shape: tf.Tensor | list[int]) -> tf.Tensor:
    """Draw integers uniform on {0, …, bound - 1}.

    32 random bits times `bound`, shifted right by 32: the bias is at most bound / 2^32, where
    a float32 between 0 and 1 would own uneven shares of a large catalogue.

    Args:
        seed: [2].
        bound: integers of at least 1, of a shape that broadcasts to `shape`.
        shape: shape of the result.

    Returns:
        int32 of `shape`.
    """
    bits = tf.random.stateless_uniform(shape, seed, minval=None, maxval=None, dtype=tf.uint32)
    scaled = tf.cast(bits, tf.int64) * tf.cast(bound, tf.int64)
    return tf.cast(tf.bitwise.right_shift(scaled, tf.constant(32, tf.int64)), tf.int32)


class ItemSets(Protocol):
    """A set of items for every user, whose elements can be told by their rank."""

    def count(self, users: tf.Tensor) -> tf.Tensor:
        """Return the number of items in each user's set: [B] -> int32 [B]."""

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """Return the items of rank 0, 1, … in each user's set: [B], [B, n] -> int32 [B, n].

        A rank outside the set gives an unspecified item of the catalogue.
        """


class Listed:
    """Sets given by their items: `rows` is a boolean CSR array [num_users, num_items]."""

    def __init__(self, rows: csr_array):
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


class Complement:
    """Sets given by what is *not* in them: all items but those of `rows`.

    With P the sorted missing items of a user, P[j] - j elements of the set stand below P[j].
    The element of rank r is therefore r + t, where t counts the j with P[j] - j <= r: one
    binary search, no rejection. All users' searches go through one ascending array, to which
    each user adds an offset of its own.
    """

    def __init__(self, rows: csr_array):
        missing = np.diff(rows.indptr)
        below = rows.indices - (np.arange(rows.nnz) - np.repeat(rows.indptr[:-1], missing))
        self.num_items = rows.shape[1]
        self.stride = self.num_items + 1
        offsets = np.repeat(np.arange(rows.shape[0], dtype=np.int64) * self.stride, missing)
        self.below = tf.constant(offsets + below, tf.int64)
        self.starts = tf.constant(rows.indptr, tf.int64)

    def count(self, users: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        missing = tf.gather(self.starts, users + 1) - tf.gather(self.starts, users)
        return self.num_items - tf.cast(missing, tf.int32)

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        sought = tf.cast(users, tf.int64)[:, None] * self.stride + tf.cast(ranks, tf.int64)
        found = tf.searchsorted(self.below, tf.reshape(sought, [-1]), "right", tf.int64)
        shift = tf.reshape(found, tf.shape(sought)) - tf.gather(self.starts, users)[:, None]
        return tf.minimum(ranks + tf.cast(shift, tf.int32), self.num_items - 1)


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
        full = self.first.count(users)[:, None] > 0
        return tf.where(full, self.first.item(users, ranks), self.second.item(users, ranks))


def with_replacement(sets: ItemSets, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw n independent uniform items from each user's set: [B] -> int32 [B, n].

    An empty set gives an unspecified item.
    """
    bound = tf.maximum(sets.count(users), 1)[:, None]
    return sets.item(users, integers(seed, bound, [tf.size(users), n]))


def without_replacement(sets: ItemSets, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw n distinct items, every n-subset of the set equally likely: [B] -> int32 [B, n].

    A set of fewer than n items is drawn from with replacement instead, so that the shape and
    the uniform share of each item stay; an empty set gives an unspecified item. Method: R. W.
    Floyd's, in J. Bentley, "Programming Pearls", CACM 1987.
    """
    count = tf.maximum(sets.count(users), 1)
    last = count[:, None] - n + tf.range(n)
    distinct_bound = last + 1
    bound = tf.where(count[:, None] >= n, distinct_bound, count[:, None])
    drawn = integers(seed, bound, [tf.size(users), n])
    ranks = drawn[:, :1]
    for t in range(1, n):
        fresh = drawn[:, t]
        taken = tf.reduce_any(ranks == fresh[:, None], axis=1) & (count >= n)
        ranks = tf.concat([ranks, tf.where(taken, last[:, t], fresh)[:, None]], axis=1)
    return sets.item(users, ranks)


def categorical(log_weights: tf.Tensor, k: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw k independent columns of each row with probability proportional to exp(log_weight).

    Weights are scaled by the largest of their row, so that none is lost where all are tiny.

    Args:
        log_weights: [B, M] float32, each row with a finite maximum; -inf is never drawn.
        k: number of draws a row, with replacement.
        seed: [2].

    Returns:
        int32 [B, k] of columns 0 … M - 1.
    """
    largest = tf.reduce_max(log_weights, axis=1, keepdims=True)
    cumulative = tf.cumsum(tf.exp(log_weights - largest), axis=1)
    uniform = tf.random.stateless_uniform([tf.shape(log_weights)[0], k], seed)
    found = tf.searchsorted(cumulative, uniform * cumulative[:, -1:], side="right")
    # Scores that are no numbers must not lead outside the row.
    return tf.minimum(found, tf.shape(log_weights)[1] - 1)


def from_law(law: Law, shape: tf.Tensor | list[int], seed: tf.Tensor) -> tf.Tensor:
    """Draw float32 of `shape` independently from a law."""
    return LAWS[law.kind](law, shape, seed)


def _uniform(law: Law, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed, law.first, law.second)


def _normal(law: Law, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_normal(shape, seed, law.first, law.second**0.5)


def _constant(law: Law, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    del seed
    return tf.fill(shape, tf.constant(law.first, tf.float32))


LAWS: dict[str, Callable[[Law, tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "uniform": _uniform,
    "normal": _normal,
    "constant": _constant,
}
