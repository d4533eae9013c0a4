"""Interface of encoders and of the embeddings they return (§2.1, §2.2)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.encoders.new_nodes import NewNodes, embed_rows
from recns_tf.encoders.saving import Serializable
from recns_tf.encoders.tables import Tables
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.ops import random
from recns_tf.ops.replicas import SameEverywhere

if TYPE_CHECKING:
    from recns_tf.config.config import Config


class Encoder(Serializable, SameEverywhere, keras.Model):
    """A graph encoder: a Keras model from (users, items) to their embeddings.

    The nodes are the users, then the items: item v is node U + v. `encoder.save("x.keras")` writes
    settings, weights and graph.

    Attributes:
        num_users, num_items: U and I.
        width: number of columns of the embeddings.
        without_layers: why samplers that choose in each layer cannot use it; empty if they can.
        layer_width: number of columns of each layer, if they can.
        splits_columns: whether it can keep some columns of the embeddings only; see columns.py.

    Example:
        >>> encoder = LightGCN(Adjacency.from_train(train), *train.shape)
        >>> users, items = encoder.embeddings()
    """

    num_users: int
    num_items: int
    width: int
    without_layers: ClassVar[str] = "it does not define encode_layers"
    layer_width: int = 0
    splits_columns: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def from_settings(cls, config: Config, interactions: Interactions) -> Self:
        """Build the encoder that the flags describe on the train graph."""

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if the encoder cannot have these settings. The default accepts all."""

    @abstractmethod
    def encode(self, training: bool, seed: tf.Tensor | None = None) -> Tables:
        """Return the embeddings e*. Propagates once; call it once per step.

        Args:
            training: whether to apply dropout and to sample neighbors, if the encoder does.
            seed: int64 [2], of the step's dropout and sampling; required when training.
        """

    def encode_layers(self, training: bool, seed: tf.Tensor | None = None) -> Tables:
        """Return what `encode` does, as LayeredTables, for samplers that choose in each layer.

        Raises:
            UserError: the encoder has no such layers.
        """
        del training, seed
        raise UserError(
            f"the encoder {type(self).__name__} has no layers to choose negatives in, since "
            f"{self.without_layers}."
        )

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
        """Return ½ Σ‖θ‖² over all weights, whatever the batch. An alternative to `penalty`."""
        del users, positives, negatives
        return half_squares(self.trainable_variables)

    def total(self, parts: tf.Tensor) -> tf.Tensor:
        """Return the sum of what the workers compute from their columns of the embeddings."""
        return parts

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

    def new_users(self) -> NewNodes:
        """Return a module that embeds users from the items they chose, with the current weights.

        Raises:
            UserError: the encoder does not define `new_nodes`.
        """
        return self.new_nodes(like=self.user_nodes, neighbors=self.item_nodes)

    def new_items(self) -> NewNodes:
        """Return a module that embeds items from the users who chose them.

        Raises:
            UserError: the encoder does not define `new_nodes`.
        """
        return self.new_nodes(like=self.item_nodes, neighbors=self.user_nodes)

    def new_nodes(self, like: slice, neighbors: slice) -> NewNodes:
        """Return a module that embeds nodes from their neighbors, with the current weights.

        Args:
            like: the nodes of their own side: `user_nodes` for new users.
            neighbors: those of the other side.

        Raises:
            UserError: the encoder does not define it.
        """
        del like, neighbors
        raise UserError(
            f"the encoder {type(self).__name__} cannot embed new users and items: it does not "
            "define new_nodes."
        )

    @property
    def user_nodes(self) -> slice:
        """The numbers of the users among the nodes."""
        return slice(0, self.num_users)

    @property
    def item_nodes(self) -> slice:
        """The numbers of the items among the nodes."""
        return slice(self.num_users, self.num_users + self.num_items)

    def first_rows(
        self, like: NDArray[np.float32], neighbors: NDArray[np.float32], clicks: csr_array
    ) -> NDArray[np.float32]:
        """Return rows of the first weight for nodes that it lacks, to start training from.

        The default is the mean row of the known nodes of their side.

        Args:
            like, neighbors: the rows of the known nodes of their side and of the other one,
                float32 [m, columns].
            clicks: boolean CSR array [n, neighbors].

        Returns:
            float32 [n, columns].
        """
        del neighbors
        return np.tile(like.mean(axis=0, keepdims=True), (clicks.shape[0], 1))

    def embed_new_users(self, clicks: csr_array) -> NDArray[np.float32]:
        """Return embeddings of users who were not in the data, from what they chose.

        Args:
            clicks: boolean CSR array [n, I]; a row may be empty.

        Returns:
            float32 [n, d], to rank with the items of `embeddings`.

        Raises:
            UserError: the encoder does not define `new_nodes`.
            ValueError: `clicks` does not have a column per item.

        Example:
            >>> new = encoder.embed_new_users(data.train[[0, 1]])
        """
        return embed_rows(self.new_users(), clicks)

    def embed_new_items(self, clicks: csr_array) -> NDArray[np.float32]:
        """Return embeddings of items that were not in the data, from the users who chose them.

        Args:
            clicks: boolean CSR array [n, U]; a row may be empty.

        Returns:
            float32 [n, d], to rank with the users of `embeddings`.

        Raises:
            UserError: the encoder does not define `new_nodes`.
            ValueError: `clicks` does not have a column per user.

        Example:
            >>> new = encoder.embed_new_items(csr_array(data.train.T)[[0, 1]])
        """
        return embed_rows(self.new_items(), clicks)

    def refresh(self) -> None:
        """Update what Tables.stale_ok returns, if it is not of the current step."""


def initial_nodes(
    num_users: int, num_items: int, dim: int, seed: tf.Tensor, initializer: str = "glorot"
) -> tf.Tensor:
    """Return layer-0 embeddings, float32 [U + I, dim]: users, then items.

    Args:
        num_users, num_items: U and I.
        dim: number of columns.
        seed: int64 [2].
        initializer: one of INITIALIZERS.
    """
    sizes = [num_users + num_items] if initializer in JOINT else [num_users, num_items]
    tables = [
        INITIALIZERS[initializer]([rows, dim], random.stream(seed, branch))
        for branch, rows in enumerate(sizes)
    ]
    return tf.concat(tables, axis=0)


def glorot_uniform(shape: list[int], seed: tf.Tensor) -> tf.Tensor:
    """Return a table uniform on ±sqrt(6 / (rows + columns)); X. Glorot and Y. Bengio, 2010."""
    limit = (6 / sum(shape)) ** 0.5
    return tf.random.stateless_uniform(shape, seed, -limit, limit)


def small_normal(shape: list[int], seed: tf.Tensor) -> tf.Tensor:
    """Return a normal table with standard deviation 0.01, the start of the authors' LightGCN."""
    return tf.random.stateless_normal(shape, seed, stddev=0.01)


def tiny_normal(shape: list[int], seed: tf.Tensor) -> tf.Tensor:
    """Return a normal table with standard deviation 0.0001, the start of RePo and of SimpleX."""
    return tf.random.stateless_normal(shape, seed, stddev=0.0001)


INITIALIZERS = {
    "glorot": glorot_uniform,
    "joint_glorot": glorot_uniform,
    "normal": small_normal,
    "tiny_normal": tiny_normal,
}
"""How layer-0 embeddings are drawn."""

JOINT = ("joint_glorot",)
"""Those that draw users and items as one table, whose number of rows bounds the values."""


def half_squares(weights: Sequence[keras.Variable]) -> tf.Tensor:
    """Return ½ Σ‖W‖² over the weights, a scalar.

    The norms are stacked because TensorFlow may reorder a chain of additions between runs, which
    changes rounding.
    """
    return tf.reduce_sum(tf.stack([tf.nn.l2_loss(tf.convert_to_tensor(w)) for w in weights]))
