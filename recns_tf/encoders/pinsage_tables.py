"""The embeddings that a training step of PinSage provides to its sampler and its loss."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf

from recns_tf.encoders.tables import FullTables, Tables
from recns_tf.ops.gather import products


class NodeEncoder(Protocol):
    """An encoder that embeds nodes on request, such as PinSage.

    Attributes:
        num_users: U, the node of the first item.
        num_layers: L.
        scores_from: the embeddings of the last `refresh`, None before the first.
    """

    num_users: int
    num_layers: int
    scores_from: FullTables | None

    def layer(self, number: int, nodes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return layer `number` of the distinct nodes, and the row of each node in it."""


class WholeTables(FullTables):
    """The tables of a step that encodes all nodes.

    Args:
        user, item: float32 [U, d] and [I, d].
        encoder: PinSage.
    """

    def __init__(self, user: tf.Tensor, item: tf.Tensor, encoder: NodeEncoder):
        super().__init__(user, item)
        self.encoder = encoder

    def stale_ok(self) -> FullTables:
        """Return the embeddings of the last `refresh`, or frozen ones of this step before it."""
        return (self.encoder.scores_from or self).frozen()


class DrawnTables:
    """The tables of a step that encodes nodes on request.

    Args:
        encoder: PinSage.
        seed: int64 [2], of the step. A node has the same neighbors, and therefore the same
            embedding, in all calls.
        with_gradient: whether gradients flow.
    """

    def __init__(self, encoder: NodeEncoder, seed: tf.Tensor, with_gradient: bool = True):
        self.encoder = encoder
        self.seed = seed
        self.with_gradient = with_gradient

    def embed(self, nodes: tf.Tensor) -> tf.Tensor:
        """Return the embeddings of nodes: int32 [...] -> float32 [..., d]."""
        return tf.gather(*self.encode_distinct(nodes))

    def encode_distinct(self, nodes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the embeddings of the distinct nodes, and the row of each node in them."""
        table, place = self.encoder.layer(self.encoder.num_layers, nodes, self.seed)
        return table if self.with_gradient else tf.stop_gradient(table), place

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        return self.embed(ids)

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        return self.embed(ids + self.encoder.num_users)

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return products(vectors, *self.encode_distinct(items + self.encoder.num_users))

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return e_u·e_v of users with the items of their rows; encodes repeated nodes once."""
        nodes = tf.concat([users[:, None], items + self.encoder.num_users], axis=1)
        table, place = self.encode_distinct(nodes)
        return products(tf.gather(table, place[:, 0]), table, place[:, 1:])

    def unit(self) -> DrawnTables:
        """Return these tables: the last layer of PinSage scales embeddings to length 1."""
        return self

    def frozen(self) -> DrawnTables:
        return DrawnTables(self.encoder, self.seed, with_gradient=False)

    def stale_ok(self) -> Tables:
        """Return the embeddings of the last `refresh`, or `frozen` ones before the first."""
        known = self.encoder.scores_from
        return known.frozen() if known else self.frozen()
