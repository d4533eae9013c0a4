"""Which positive pairs make a batch: the positive sampler S_p (§2.3)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.ops import random


class PairSampling(Protocol):
    """Chooses the pairs of each step of an epoch, by their numbers.

    It is made from the users of the train pairs, ascending, int [n], and the batch size B.

    Attributes:
        steps: of an epoch.
    """

    steps: int

    def __init__(self, users: NDArray[np.integer], batch_size: int): ...

    def prepare(self, seed: tf.Tensor) -> tf.Tensor:
        """Return what the steps of an epoch share; `seed` [2] is the epoch's."""

    def choose(self, shared: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the numbers of a step's pairs, int32 [B] or fewer.

        Args:
            shared: of `prepare`.
            step: int64, from 0.
            seed: [2], of the step.
        """


class Edges:
    """All train pairs in a new order each epoch, each once; the last batch may be short."""

    def __init__(self, users: NDArray[np.integer], batch_size: int):
        self.num_pairs = len(users)
        self.batch_size = batch_size
        self.steps = -(-len(users) // batch_size)

    def prepare(self, seed: tf.Tensor) -> tf.Tensor:
        """See PairSampling: the order."""
        return tf.random.experimental.stateless_shuffle(tf.range(self.num_pairs), seed)

    def choose(self, shared: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See PairSampling."""
        del seed
        return shared[step * self.batch_size : (step + 1) * self.batch_size]


class FilledEdges(Edges):
    """As Edges, but the last batch is filled up with the first pairs of the epoch.

    Source: the authors' PinSage (zyang-16/RecNS).
    """

    def choose(self, shared: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See PairSampling."""
        del seed
        place = step * self.batch_size + tf.range(self.batch_size, dtype=tf.int64)
        return tf.gather(shared, place % self.num_pairs)


class Users:
    """B users, then one train item of each: users with few items have each of them more often.

    The users are distinct where there are B of them, and independent where there are fewer; an
    epoch has ⌊n / B⌋ + 1 steps. Source: the authors' LightGCN (zyang-16/RecNS).
    """

    def __init__(self, users: NDArray[np.integer], batch_size: int):
        self.batch_size = batch_size
        self.steps = len(users) // batch_size + 1
        _, first, count = np.unique(users, return_index=True, return_counts=True)
        self.first = tf.constant(first, tf.int32)
        self.count = tf.constant(count, tf.int32)

    def prepare(self, seed: tf.Tensor) -> tf.Tensor:
        """See PairSampling: nothing."""
        del seed
        return tf.constant(0)

    def choose(self, shared: tf.Tensor, step: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See PairSampling."""
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
"""The ways to choose a batch's pairs."""
