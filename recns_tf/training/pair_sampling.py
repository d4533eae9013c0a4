"""Positive samplers S_p, which choose the positive pairs of each batch (§2.3)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.ops import random


class PairSampling(Protocol):
    """Chooses the pairs of each step of an epoch by their indices.

    Args:
        users: int [n], the users of the train pairs, ascending.
        batch_size: B.

    Attributes:
        steps: number of steps per epoch.
    """

    steps: int

    def __init__(self, users: NDArray[np.integer], batch_size: int): ...

    def prepare(self, seed: tf.Tensor) -> tf.Tensor:
        """Return a tensor that all steps of an epoch share.

        Args:
            seed: int64 [2], the epoch's seed.
        """

    def choose(self, shared: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the indices of a step's pairs, int32 with at most B elements.

        Args:
            shared: the result of `prepare`.
            step: int64 scalar, from 0.
            seed: int64 [2], the step's seed.
        """


class Edges:
    """All train pairs once per epoch, in a new random order; the last batch may be smaller."""

    def __init__(self, users: NDArray[np.integer], batch_size: int):
        self.num_pairs = len(users)
        self.batch_size = batch_size
        self.steps = -(-len(users) // batch_size)

    def prepare(self, seed: tf.Tensor) -> tf.Tensor:
        """Return the order of the pairs, int32 [n]."""
        return tf.random.experimental.stateless_shuffle(tf.range(self.num_pairs), seed)

    def choose(self, shared: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del seed
        return shared[step * self.batch_size : (step + 1) * self.batch_size]


class FilledEdges(Edges):
    """Like Edges, but the last batch is filled up with the first pairs of the epoch.

    Source: the authors' PinSage (zyang-16/RecNS).
    """

    def choose(self, shared: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del seed
        place = step * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
        return tf.gather(shared, place % self.num_pairs)


class Users:
    """B random users and a random train item of each; pairs of users with few items are frequent.

    The users are distinct if there are at least B of them, and independent otherwise. An epoch has
    ⌊n / B⌋ + 1 steps. Source: the authors' LightGCN (zyang-16/RecNS).
    """

    def __init__(self, users: NDArray[np.integer], batch_size: int):
        self.batch_size = batch_size
        self.steps = len(users) // batch_size + 1
        _, first, count = np.unique(users, return_index=True, return_counts=True)
        self.first = tf.constant(first, tf.int32)
        self.count = tf.constant(count, tf.int32)

    def prepare(self, seed: tf.Tensor) -> tf.Tensor:
        """Return an unused constant, because the steps share nothing."""
        del seed
        return tf.constant(0)

    def choose(self, shared: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del shared, step
        number = len(self.first)
        who, which = (random.stream(seed, branch) for branch in range(2))
        if number >= self.batch_size:
            everyone = tf.random.experimental.stateless_shuffle(tf.range(number), who)
            chosen = everyone[: self.batch_size]
        else:
            chosen = random.integers(who, tf.constant(number), [self.batch_size])
        rank = random.integers(which, tf.gather(self.count, chosen), [self.batch_size])
        return tf.gather(self.first, chosen) + rank


PAIR_SAMPLINGS: dict[str, type[PairSampling]] = {
    "edges": Edges,
    "filled": FilledEdges,
    "users": Users,
}
"""The positive samplers by the values of --pair_sampling."""
