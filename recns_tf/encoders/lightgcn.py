"""LightGCN: propagation without weights or nonlinearity, and a weighted sum of all layers.

Source: X. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
Recommendation", SIGIR 2020, eq. (3), (4), (7), (8). With E the layer-0 embeddings of all nodes
and Â = D^-1/2 A D^-1/2, the final embeddings are E* = α_0 E + α_1 ÂE + … + α_L Â^L E, where
α_l = 1 / (L + 1) unless the layer weights are learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import tensorflow as tf

from recns_tf.encoders.full_graph import FullGraphEncoder
from recns_tf.encoders.propagation import Adjacency
from recns_tf.encoders.saving import serializable
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
    """

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
    ):
        super().__init__(
            "lightgcn", num_users, num_items, dim=dim, initializer=initializer, seed=seed
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
        )

    def propagate(self, seed: tf.Tensor | None) -> tf.Tensor:
        nodes = tf.convert_to_tensor(self.nodes)
        if self.layer_logits is None:
            return self.adjacency.polynomial(nodes, self.coefficients)
        weights = tf.unstack(tf.nn.softmax(tf.convert_to_tensor(self.layer_logits)))
        final = weights[0] * nodes
        for weight in weights[1:]:
            nodes = self.adjacency.product(nodes)
            final += weight * nodes
        return final
