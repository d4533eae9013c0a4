"""The embeddings of one training step, by id: what losses and samplers see of an encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from recns_tf.ops.gather import products


class Tables(Protocol):
    """The embeddings e* of one training step, by id: what a sampler sees of the encoder."""

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the embeddings of users: int32 [...] -> float32 [..., d]."""

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the embeddings of items: int32 [...] -> float32 [..., d]."""

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return the products of vectors with the items of their rows: [B, d], [B, n] -> [B, n].

        Much faster than gathering the embeddings with `items`.
        """

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return e_u·e_v (eq. 4) of users with the items of their rows: [B], [B, n] -> [B, n]."""

    def unit(self) -> Tables:
        """Return the same embeddings scaled to length 1, so that scores are cosines."""

    def frozen(self) -> Tables:
        """Return the same embeddings without dropout, through which no gradient flows."""

    def stale_ok(self) -> Tables:
        """Return frozen embeddings that cost only a gather.

        If encoding an item costs more, they are some steps old (--table_steps).
        """


class FullTables:
    """Tables of an encoder that embeds the whole graph at once.

    Args:
        user, item: float32 [U, d] and [I, d].
        without_dropout: returns the tables without dropout; None if these have none.
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
        return tf.gather(self.user, ids)

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.item, ids)

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return products(vectors, self.item, items)

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return self.products(self.users(users), items)

    def unit(self) -> FullTables:
        return FullTables(*(tf.math.l2_normalize(each, axis=1) for each in (self.user, self.item)))

    def frozen(self) -> FullTables:
        tables = self.without_dropout() if self.without_dropout else self
        return FullTables(tf.stop_gradient(tables.user), tf.stop_gradient(tables.item))

    def stale_ok(self) -> FullTables:
        return self.frozen()


@dataclass(frozen=True)
class StaleTables:
    """Tables whose frozen embeddings, which samplers use, are others than those of the loss.

    Attributes:
        current: for the loss.
        sampling: for the sampler, such as those of the encoder one step before.
    """

    current: Tables
    sampling: Tables

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        return self.current.users(ids)

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        return self.current.items(ids)

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return self.current.products(vectors, items)

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return self.current.scores(users, items)

    def unit(self) -> StaleTables:
        return StaleTables(self.current.unit(), self.sampling)

    def frozen(self) -> Tables:
        return self.sampling.frozen()

    def stale_ok(self) -> Tables:
        return self.sampling.stale_ok()
