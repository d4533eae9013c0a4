"""What every encoder offers, and the embeddings it hands out (§2.1, §2.2)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config import Config


class Tables(Protocol):
    """The embeddings e* of one training step, by id; a sampler sees the encoder through it."""

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the embeddings of users: int32 [...] -> float32 [..., d]."""

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the embeddings of items: int32 [...] -> float32 [..., d]."""

    def frozen(self) -> Tables:
        """Return the same embeddings, through which no gradient flows."""


class FullTables(NamedTuple):
    """Tables of an encoder that embeds the whole graph at once: [U, d] and [I, d]."""

    user: tf.Tensor
    item: tf.Tensor

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return tf.gather(self.user, ids)

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return tf.gather(self.item, ids)

    def frozen(self) -> FullTables:
        """See Tables."""
        return FullTables(tf.stop_gradient(self.user), tf.stop_gradient(self.item))


class Encoder(keras.Model):
    """A graph encoder: a Keras model from (users, items) to their embeddings."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: Config, interactions: Interactions) -> Self:
        """Build the encoder that the flags describe on the train graph."""

    @abstractmethod
    def encode(self, training: bool, seed: tf.Tensor | None = None) -> Tables:
        """Return the embeddings e*; one propagation, to be called once a step.

        Args:
            training: whether dropout and neighbour sampling, if any, are on.
            seed: int64 [2], the step's stream for them; needed when training.
        """

    @abstractmethod
    def penalty(self, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """Return the scalar that the L2 coefficient multiplies.

        Args:
            users, positives: int32 [B].
            negatives: int32 [B, k].
        """

    def call(
        self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the embeddings of users and of items: int32 [n], [m] -> [n, d], [m, d]."""
        users, items = inputs
        tables = self.encode(training)
        return tables.users(users), tables.items(items)

    @abstractmethod
    def embeddings(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the embeddings to rank with: float32 [U, d] and [I, d], without dropout."""
