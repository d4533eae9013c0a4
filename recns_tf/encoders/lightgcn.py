"""LightGCN: propagation without weights or nonlinearity, and a weighted sum of all layers.

Source: X. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
Recommendation", SIGIR 2020, eq. (3), (4), (7), (8). With E the layer-0 embeddings of all nodes
and Â = D^-1/2 A D^-1/2, the final embeddings are E* = α_0 E + α_1 ÂE + … + α_L Â^L E, where
α_l = 1 / (L + 1) unless the layer weights are learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.encoders.columns import STRATEGY, Columns, columns_of
from recns_tf.encoders.full_graph import FullGraphEncoder
from recns_tf.encoders.layers import pooled
from recns_tf.encoders.new_nodes import (
    NewNodes,
    constant,
    lengths,
    neighbor_scale,
    propagated,
    sums,
)
from recns_tf.encoders.propagation import Adjacency
from recns_tf.encoders.saving import serializable
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class LightGCN(FullGraphEncoder):
    """LightGCN on the train graph.

    Its weights are `nodes` [U + I, d], the layer-0 embeddings, and, if layer weights are learned,
    `layer_logits` [L + 1], initially zero, whose softmax is α.

    Args:
        adjacency: Â [U + I, U + I].
        num_users, num_items: U and I.
        dim: d.
        num_layers: L, 1 or more.
        learned: whether the layer weights α are learned.
        initializer: of the layer-0 embeddings, one of INITIALIZERS.
        seed: of the initial embeddings.
        columns: the columns of `nodes` to keep, those of one worker; None for all.
    """

    without_layers: ClassVar[str] = ""
    splits_columns: ClassVar[bool] = True

    def __init__(
        self,
        adjacency: Adjacency,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        num_layers: int = 3,
        learned: bool = False,
        initializer: str = "glorot",
        seed: int = 0,
        columns: Columns | None = None,
    ):
        super().__init__(
            "lightgcn",
            num_users,
            num_items,
            dim=dim,
            initializer=initializer,
            seed=seed,
            columns=columns,
        )
        self.adjacency = adjacency
        self.num_layers = num_layers
        self.learned = learned
        self.width = dim
        self.coefficients = [1 / (num_layers + 1)] * (num_layers + 1)
        self.layer_logits = None
        if learned:
            shape = (num_layers + 1,)
            self.layer_logits = self.add_weight(
                name="layer_logits", shape=shape, initializer="zeros"
            )

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if columns are divided, but weights would belong to all of them."""
        if config.strategy == STRATEGY and config.layer_weights == "learned":
            raise UserError(
                "--strategy=columns divides the columns of the embeddings among the workers, but "
                "--layer_weights=learned has weights that belong to all of them: choose "
                "--layer_weights=mean."
            )

    @classmethod
    def from_settings(cls, config: Config, interactions: Interactions) -> Self:
        return cls(
            Adjacency.from_train(interactions.train, config.adjacency, config.sparse_engine),
            interactions.num_users,
            interactions.num_items,
            dim=config.dim,
            num_layers=config.num_layers,
            learned=config.layer_weights == "learned",
            initializer=config.initializer,
            seed=config.seed,
            columns=columns_of(config),
        )

    def new_nodes(self, like: slice, neighbors: slice) -> LightGCNNewNodes:
        del like
        nodes, layers = tf.convert_to_tensor(self.nodes), []
        scale = neighbor_scale(self.adjacency, neighbors)
        for _ in range(self.num_layers):
            layers.append(scale * nodes[neighbors])
            nodes = self.adjacency.product(nodes)
        weights = tf.unstack(tf.convert_to_tensor(self.layer_weights()))
        return LightGCNNewNodes(layers, weights[1:], self.adjacency.symmetric)

    def first_rows(
        self, like: NDArray[np.float32], neighbors: NDArray[np.float32], clicks: csr_array
    ) -> NDArray[np.float32]:
        """Return zeros, the layer-0 embedding of a new node."""
        del neighbors
        return np.zeros((clicks.shape[0], like.shape[1]), np.float32)

    def propagate(self, seed: tf.Tensor | None) -> tf.Tensor:
        if self.layer_logits is None:
            return self.adjacency.polynomial(tf.convert_to_tensor(self.nodes), self.coefficients)
        return pooled(self.all_layers(seed), self.layer_weights())

    def all_layers(self, seed: tf.Tensor | None) -> list[tf.Tensor]:
        del seed
        layers = [tf.convert_to_tensor(self.nodes)]
        for _ in range(self.num_layers):
            layers.append(self.adjacency.product(layers[-1]))
        return layers

    def layer_weights(self) -> Sequence[tf.Tensor | float]:
        if self.layer_logits is None:
            return self.coefficients
        return tf.unstack(tf.nn.softmax(tf.convert_to_tensor(self.layer_logits)))


class LightGCNNewNodes(NewNodes):
    """A user appended to the train graph, whose layer-0 embedding is 0.

    With H the history and N_i the users of item i in train, the user's embedding is

        e* = Σ_l α_l e^l,    e^l = Σ_{i in H} e_i^(l-1) / (sqrt|H| sqrt|N_i|),    l = 1 … L,

    eq. (3) and (4) of LightGCN for a node that has no embedding of its own. The items' e_i^l are
    those of the train graph. As the sum is linear in them, one table is kept, T_i =
    Σ_l α_l e_i^(l-1) / sqrt|N_i|. With --adjacency=row the user's own e^(l-1) counts, too, so that
    a table per layer is kept. The embedding of an empty history is 0.

    Args:
        layers: e^0 … e^(L-1) of the items times `neighbor_scale`, float32 [I, d] each.
        weights: α_1 … α_L, scalars.
        is_symmetric: whether the matrix that propagates is the symmetric one.
    """

    def __init__(self, layers: list[tf.Tensor], weights: list[tf.Tensor], is_symmetric: bool):
        super().__init__(len(layers[0]))
        if is_symmetric:
            mixed = [weight * layer for weight, layer in zip(weights, layers, strict=True)]
            layers, weights = [tf.add_n(mixed)], [tf.constant(1.0)]
        self.tables = [constant(layer) for layer in layers]
        self.weights = constant(tf.stack(weights))
        self.is_symmetric = is_symmetric

    def embed(self, histories: tf.RaggedTensor) -> tf.Tensor:
        count = lengths(histories)
        own = final = tf.zeros([1, self.tables[0].shape[1]])
        for table, weight in zip(self.tables, tf.unstack(self.weights), strict=True):
            own = propagated(sums(table, histories), own, count, self.is_symmetric)
            final += weight * own
        return final
