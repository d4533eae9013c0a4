"""NGCF: propagation that also passes on how a node and its neighbors interact.

Source: X. Wang et al., "Neural Graph Collaborative Filtering", SIGIR 2019, eq. (7), (8) for the
propagation, (10) for the final embeddings. With E^0 the layer-0 embeddings of all nodes and
Â = D^-1/2 A D^-1/2,

    E^l = LeakyReLU((ÂE^(l-1) + E^(l-1)) W1_l + (ÂE^(l-1) ⊙ E^(l-1)) W2_l),

one sparse product per layer. E* is the concatenation of E^0 and of the later layers, whose rows
are scaled to length 1 (xiangwang1223/neural_graph_collaborative_filtering).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import tensorflow as tf

from recns_tf.encoders.base import glorot_uniform, half_squares
from recns_tf.encoders.full_graph import FullGraphEncoder
from recns_tf.encoders.propagation import Adjacency
from recns_tf.encoders.saving import serializable
from recns_tf.interactions import Interactions
from recns_tf.ops import random

if TYPE_CHECKING:
    from recns_tf.config.config import Config

SLOPE = 0.2
"""Slope of LeakyReLU below 0: the default of tf.nn, which NGCF's code uses."""


@serializable
class NGCF(FullGraphEncoder):
    """NGCF on the train graph.

    Its weights are `nodes` [U + I, d], the layer-0 embeddings, and for every layer W1 and W2
    [d, d], Glorot uniform.

    Args:
        adjacency: Â [U + I, U + I].
        num_users, num_items: U and I.
        dim: d; final embeddings have (L + 1) d columns.
        num_layers: L, 1 or more.
        message_dropout: share of the values in a layer's output that become 0 in training.
        node_dropout: share of the nodes that send no messages to others in training, drawn for
            each layer.
        initializer: of the layer-0 embeddings, one of INITIALIZERS.
        seed: of the initial weights.
    """

    def __init__(
        self,
        adjacency: Adjacency,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        num_layers: int = 3,
        message_dropout: float = 0.1,
        node_dropout: float = 0.0,
        initializer: str = "glorot",
        seed: int = 0,
    ):
        super().__init__("ngcf", num_users, num_items, dim=dim, initializer=initializer, seed=seed)
        self.adjacency = adjacency
        self.num_layers = num_layers
        self.width = (num_layers + 1) * dim
        self.message_dropout = message_dropout
        self.node_dropout = node_dropout
        self.kernels = []
        for layer in range(1, num_layers + 1):
            pair = []
            for part in (1, 2):
                kernel = self.add_weight(name=f"w{part}_{layer}", shape=(dim, dim))
                branch = random.stream(self.weights_seed, 1 + layer, part)
                kernel.assign(glorot_uniform([dim, dim], branch))
                pair.append(kernel)
            self.kernels.append(pair)

    @classmethod
    def from_settings(cls, config: Config, interactions: Interactions) -> Self:
        return cls(
            Adjacency.from_train(interactions.train, config.adjacency, config.sparse_engine),
            interactions.num_users,
            interactions.num_items,
            dim=config.dim,
            num_layers=config.num_layers,
            message_dropout=config.message_dropout,
            node_dropout=config.node_dropout,
            initializer=config.initializer,
            seed=config.seed,
        )

    @property
    def is_random(self) -> bool:
        return bool(self.message_dropout or self.node_dropout)

    def propagate(self, seed: tf.Tensor | None) -> tf.Tensor:
        hidden = tf.convert_to_tensor(self.nodes)
        layers = [hidden]
        for layer, (own, interaction) in enumerate(self.kernels):
            sent = hidden
            if seed is not None and self.node_dropout:
                branch = random.stream(seed, layer, 0)
                sent = dropout(hidden, self.node_dropout, branch, by_row=True)
            received = self.adjacency.product(sent)
            mixed = tf.matmul(received + hidden, own) + tf.matmul(received * hidden, interaction)
            hidden = tf.nn.leaky_relu(mixed, SLOPE)
            if seed is not None and self.message_dropout:
                hidden = dropout(hidden, self.message_dropout, random.stream(seed, layer, 1))
            layers.append(tf.math.l2_normalize(hidden, axis=1))
        return tf.concat(layers, axis=1)

    def penalty(self, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """Return the penalty of the batch's layer-0 rows, plus ½ Σ‖W‖² over all W1 and W2."""
        kernels = [kernel for pair in self.kernels for kernel in pair]
        return super().penalty(users, positives, negatives) + half_squares(kernels)


def dropout(x: tf.Tensor, rate: float, seed: tf.Tensor, by_row: bool = False) -> tf.Tensor:
    """Set values, or whole rows, of x [n, d] to 0 with probability `rate`.

    The others are divided by 1 - rate, so that each keeps its mean.
    """
    shape = [tf.shape(x)[0], 1] if by_row else None
    return tf.nn.experimental.stateless_dropout(x, rate, seed, noise_shape=shape)
