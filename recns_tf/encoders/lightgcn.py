"""LightGCN: propagation without weights or non-linearity, and the mean of all layers.

Source: X. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
Recommendation", SIGIR 2020, eq. (3), (4), (7), (8). With E the layer-0 embeddings of all nodes
and  = D^-1/2 A D^-1/2, the final embeddings are E* = (E + ÂE + … + Â^L E) / (L + 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf import draws
from recns_tf.draws import Purpose
from recns_tf.encoders.base import Encoder, FullTables
from recns_tf.interactions import Interactions
from recns_tf.propagation import Adjacency, symmetric_adjacency

if TYPE_CHECKING:
    from recns_tf.config import Config


class LightGCN(Encoder):
    """LightGCN on the train graph.

    Its one weight is `nodes` [U + I, d], the layer-0 embeddings: users, then items, each
    block Glorot uniform (§5.1) as a table of its own.

    Args:
        adjacency: Â [U + I, U + I].
        num_users, num_items: U and I.
        dim: d.
        num_layers: L, 1 or more.
        seed: of the initial embeddings.
    """

    def __init__(
        self,
        adjacency: Adjacency,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        num_layers: int = 3,
        seed: int = 0,
    ):
        super().__init__(name="lightgcn")
        self.adjacency = adjacency
        self.num_users = num_users
        self.coefficients = [1 / (num_layers + 1)] * (num_layers + 1)
        self.nodes = self.add_weight(name="nodes", shape=(num_users + num_items, dim))
        weights = draws.stream(draws.root(seed), Purpose.WEIGHTS)
        tables = [
            glorot_uniform([rows, dim], draws.stream(weights, branch))
            for branch, rows in enumerate([num_users, num_items])
        ]
        self.nodes.assign(tf.concat(tables, axis=0))
        self.built = True

    @classmethod
    def from_config(cls, config: Config, interactions: Interactions) -> Self:
        """See Encoder."""
        matrix = symmetric_adjacency(interactions.train)
        return cls(
            Adjacency(matrix, config.sparse_engine),
            interactions.num_users,
            interactions.num_items,
            dim=config.dim,
            num_layers=config.num_layers,
            seed=config.seed,
        )

    def encode(self, training: bool, seed: tf.Tensor | None = None) -> FullTables:
        """See Encoder; there is nothing random in LightGCN."""
        final = self.adjacency.polynomial(tf.convert_to_tensor(self.nodes), self.coefficients)
        return FullTables(final[: self.num_users], final[self.num_users :])

    def penalty(self, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """Return (½ Σ‖e_u‖² + ½ Σ‖e_v‖² + ½ Σ‖e_n‖²) / B over the layer-0 rows of the batch.

        A row counts as often as the batch holds it, so that the sum over rows needs only the
        number of times each occurs, and no gather.
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
        """See Encoder."""
        tables = self.encode(training=False)
        return tables.user.numpy(), tables.item.numpy()


def glorot_uniform(shape: list[int], seed: tf.Tensor) -> tf.Tensor:
    """Return a table uniform on ±sqrt(6 / (rows + columns)); X. Glorot and Y. Bengio, 2010."""
    limit = (6 / sum(shape)) ** 0.5
    return tf.random.stateless_uniform(shape, seed, -limit, limit)
