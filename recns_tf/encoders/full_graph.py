"""Encoders that compute the embeddings of all nodes at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.encoders.base import Encoder, initial_nodes
from recns_tf.encoders.columns import Columns, ColumnTables
from recns_tf.encoders.layers import LayeredTables
from recns_tf.encoders.tables import FullTables
from recns_tf.ops import random
from recns_tf.ops.random import Purpose


class FullGraphEncoder(Encoder):
    """An encoder that propagates one layer-0 embedding per node.

    The weight `nodes` [U + I, d] holds the layer-0 embeddings: users, then items. A subclass that
    defines `all_layers` sets `without_layers` to "".

    Args:
        name: name of the model.
        num_users, num_items: U and I.
        dim: d, columns of `nodes`.
        initializer: of the layer-0 embeddings, one of INITIALIZERS.
        seed: of the initial embeddings.
        columns: the columns of `nodes` to keep, those of one worker; None for all.
    """

    def __init__(
        self,
        name: str,
        num_users: int,
        num_items: int,
        *,
        dim: int,
        initializer: str = "glorot",
        seed: int,
        columns: Columns | None = None,
    ):
        super().__init__(name=name)
        self.num_users = num_users
        self.num_items = num_items
        self.dim = self.layer_width = dim
        self.initializer = initializer
        self.seed = seed
        self.weights_seed = random.stream(random.root(seed), Purpose.WEIGHTS)
        self.columns = columns
        nodes = initial_nodes(num_users, num_items, dim, self.weights_seed, initializer)
        if columns is not None:
            nodes = nodes[:, columns.of(dim)]
        self.nodes = self.add_weight(name="nodes", shape=nodes.shape)
        self.nodes.assign(nodes)
        self.built = True

    @abstractmethod
    def propagate(self, seed: tf.Tensor | None) -> tf.Tensor:
        """Return the final embeddings of all nodes, [U + I, D].

        Args:
            seed: int64 [2], of the randomness in training; None for none.
        """

    @property
    def is_random(self) -> bool:
        """Whether propagation is random in training."""
        return False

    def encode(self, training: bool, seed: tf.Tensor | None = None) -> FullTables:
        if training and self.is_random:
            user, item = self._sides(seed)
            return FullTables(user, item, without_dropout=lambda: self.encode(training=False))
        if self.columns is not None:
            user, item = self._sides(None)
            return ColumnTables(user, item, self.columns)
        return FullTables(*self._sides(None))

    def total(self, parts: tf.Tensor) -> tf.Tensor:
        return parts if self.columns is None else self.columns.group.total(parts)

    def _sides(self, seed: tf.Tensor | None) -> list[tf.Tensor]:
        return self.split(self.propagate(seed))

    def split(self, nodes: tf.Tensor) -> list[tf.Tensor]:
        """Return the rows of users and those of items: [U + I, d] -> [U, d], [I, d]."""
        return tf.split(nodes, [self.num_users, self.num_items])

    def all_layers(self, seed: tf.Tensor | None) -> list[tf.Tensor]:
        """Return e^0 … e^L of all nodes, [U + I, d] each, whose pooling `propagate` returns.

        Args:
            seed: as for `propagate`.
        """
        raise NotImplementedError

    def layer_weights(self) -> Sequence[tf.Tensor | float] | None:
        """Return the weights of the layers in the final embeddings; None to concatenate them."""
        return None

    def encode_layers(self, training: bool, seed: tf.Tensor | None = None) -> LayeredTables:
        if self.without_layers:
            super().encode_layers(training, seed)
        is_random = training and self.is_random
        layers = [
            FullTables(*self.split(each)) for each in self.all_layers(seed if is_random else None)
        ]
        again = (lambda: self.encode_layers(training=False)) if is_random else None
        return LayeredTables(layers, self.layer_weights(), again)

    def penalty(self, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """Return (½ Σ‖e_u‖² + ½ Σ‖e_v‖² + ½ Σ‖e_n‖²) / B over the layer-0 rows of the batch.

        A row counts as often as it occurs in the batch. The sum therefore needs only the number of
        occurrences, and no gather.
        """
        batch_nodes = [users, positives + self.num_users, negatives + self.num_users]
        occurrences = tf.math.bincount(
            tf.concat([tf.reshape(ids, [-1]) for ids in batch_nodes], axis=0),
            minlength=self.nodes.shape[0],
            dtype=tf.float32,
        )
        squares = tf.reduce_sum(tf.square(tf.convert_to_tensor(self.nodes)), axis=1)
        return 0.5 * tf.tensordot(occurrences, squares, 1) / tf.cast(tf.size(users), tf.float32)

    def embeddings(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        tables = self.encode(training=False)
        return tables.user.numpy(), tables.item.numpy()
