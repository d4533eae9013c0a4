"""What every encoder offers, and the embeddings it hands out (§2.1, §2.2)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.encoders.saving import Serializable
from recns_tf.interactions import Interactions
from recns_tf.ops import random
from recns_tf.ops.gather import products

if TYPE_CHECKING:
    from recns_tf.config.config import Config


class Tables(Protocol):
    """The embeddings e* of one training step, by id; a sampler sees the encoder through it."""

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the embeddings of users: int32 [...] -> float32 [..., d]."""

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the embeddings of items: int32 [...] -> float32 [..., d]."""

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return the products of vectors with the items of their rows: [B, d], [B, n] -> [B, n].

        Many times as fast as to gather what `items` returns.
        """

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return e_u·e_v (eq. 4) of users with the items of their rows: [B], [B, n] -> [B, n]."""

    def frozen(self) -> Tables:
        """Return the same embeddings without dropout, through which no gradient flows."""

    def stale_ok(self) -> Tables:
        """Return frozen embeddings that cost a gather, whatever the encoder.

        Where encoding an item costs more than that they are some steps old (--table_steps).
        """


class FullTables:
    """Tables of an encoder that embeds the whole graph at once.

    Args:
        user, item: [U, d] and [I, d].
        steady: returns the tables without dropout; None if there is none in these.
    """

    def __init__(
        self,
        user: tf.Tensor,
        item: tf.Tensor,
        without_dropout: Callable[[], FullTables] | None = None,
    ):
        self.user = user
        self.item = item
        self.without_dropout = without_dropout

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return tf.gather(self.user, ids)

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return tf.gather(self.item, ids)

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return products(vectors, self.item, items)

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return self.products(self.users(users), items)

    def frozen(self) -> FullTables:
        """See Tables."""
        tables = self.without_dropout() if self.without_dropout else self
        return FullTables(tf.stop_gradient(tables.user), tf.stop_gradient(tables.item))

    def stale_ok(self) -> FullTables:
        """See Tables."""
        return self.frozen()


@dataclass(frozen=True)
class StaleTables:
    """Tables that a sampler sees as another encoder has them; the loss sees the live ones.

    Attributes:
        live: of this step.
        known: of the encoder one step before.
    """

    current: Tables
    sampling: Tables

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return self.current.users(ids)

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return self.current.items(ids)

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return self.current.products(vectors, items)

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return self.current.scores(users, items)

    def frozen(self) -> Tables:
        """See Tables."""
        return self.sampling.frozen()

    def stale_ok(self) -> Tables:
        """See Tables."""
        return self.sampling.stale_ok()


class Encoder(Serializable, keras.Model):
    """A graph encoder: a Keras model from (users, items) to their embeddings.

    Its nodes are the users, then the items: item v is node U + v.

    Attributes:
        width: columns of its embeddings.
    """

    width: int

    @classmethod
    @abstractmethod
    def from_settings(cls, config: Config, interactions: Interactions) -> Self:
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

    def whole_penalty(
        self, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor
    ) -> tf.Tensor:
        """Return ½ Σ‖θ‖² over all weights, in place of `penalty`; the batch has no part in it."""
        del users, positives, negatives
        return half_squares(self.trainable_variables)

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

    def refresh(self) -> None:
        """Bring up to date what Tables.cached returns, where that is not this step's."""


def initial_nodes(
    num_users: int, num_items: int, dim: int, seed: tf.Tensor, initializer: str = "glorot"
) -> tf.Tensor:
    """Return layer-0 embeddings [U + I, dim], each side drawn as a table of its own.

    Args:
        num_users, num_items: U and I.
        dim: columns.
        seed: int64 [2].
        initializer: one of INITIALIZERS.
    """
    tables = [
        INITIALIZERS[initializer]([rows, dim], random.stream(seed, branch))
        for branch, rows in enumerate([num_users, num_items])
    ]
    return tf.concat(tables, axis=0)


def glorot_uniform(shape: list[int], seed: tf.Tensor) -> tf.Tensor:
    """Return a table uniform on ±sqrt(6 / (rows + columns)); X. Glorot and Y. Bengio, 2010."""
    limit = (6 / sum(shape)) ** 0.5
    return tf.random.stateless_uniform(shape, seed, -limit, limit)


def small_normal(shape: list[int], seed: tf.Tensor) -> tf.Tensor:
    """Return a table of normal numbers of deviation 0.01, as the authors' LightGCN starts from."""
    return tf.random.stateless_normal(shape, seed, stddev=0.01)


INITIALIZERS = {"glorot": glorot_uniform, "normal": small_normal}
"""How layer-0 embeddings are drawn."""


def half_squares(weights: Sequence[keras.Variable]) -> tf.Tensor:
    """Return ½ Σ‖W‖² over the weights, a scalar.

    Stacked, as TensorFlow reorders a chain of additions from run to run, and rounds otherwise.
    """
    return tf.reduce_sum(tf.stack([tf.nn.l2_loss(tf.convert_to_tensor(w)) for w in weights]))
