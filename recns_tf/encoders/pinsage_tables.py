"""What a training step of PinSage hands its sampler and its loss: embeddings by id."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf

from recns_tf.encoders.base import FullTables, Tables
from recns_tf.ops.gather import products


class NodeEncoder(Protocol):
    """An encoder that embeds nodes on request; PinSage is one.

    Attributes:
        num_users: U; the nodes of items begin there.
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
        user, item: [U, d] and [I, d].
        encoder: PinSage.
    """

    def __init__(self, user: tf.Tensor, item: tf.Tensor, encoder: NodeEncoder):
        super().__init__(user, item)
        self.encoder = encoder

    def stale_ok(self) -> FullTables:
        """See Tables: from all neighbours, where `refresh` ever encoded them."""
        return (self.encoder.scores_from or self).frozen()


class DrawnTables:
    """The tables of a step of PinSage: nodes are encoded when they are asked for.

    Args:
        encoder: PinSage.
        seed: int64 [2], of the step. A node has the same neighbours, and so the same embedding,
            wherever it is asked for.
        live: whether gradients flow.
    """

    def __init__(self, encoder: NodeEncoder, seed: tf.Tensor, with_gradient: bool = True):
        self.encoder = encoder
        self.seed = seed
        self.with_gradient = with_gradient

    def of(self, nodes: tf.Tensor) -> tf.Tensor:
        """Return the embeddings of nodes: int32 [...] -> float32 [..., d]."""
        return tf.gather(*self.encoded(nodes))

    def encoded(self, nodes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return embeddings of the distinct ones among nodes, and which belongs to each."""
        table, place = self.encoder.layer(self.encoder.num_layers, nodes, self.seed)
        return table if self.with_gradient else tf.stop_gradient(table), place

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return self.of(ids)

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return self.of(ids + self.encoder.num_users)

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See Tables."""
        return products(vectors, *self.encoded(items + self.encoder.num_users))

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See Tables. Who the batch holds more than once is encoded once."""
        nodes = tf.concat([users[:, None], items + self.encoder.num_users], axis=1)
        table, place = self.encoded(nodes)
        return products(tf.gather(table, place[:, 0]), table, place[:, 1:])

    def frozen(self) -> DrawnTables:
        """See Tables."""
        return DrawnTables(self.encoder, self.seed, with_gradient=False)

    def stale_ok(self) -> Tables:
        """See Tables: what `refresh` encoded last, or if it never did, the same as `frozen`."""
        known = self.encoder.scores_from
        return known.frozen() if known else self.frozen()
