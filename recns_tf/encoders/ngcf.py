"""NGCF: propagation that also passes on how a node and its neighbors interact.

Source: X. Wang et al., "Neural Graph Collaborative Filtering", SIGIR 2019, eq. (7), (8) for the
propagation, (10) for the final embeddings. With E^0 the layer-0 embeddings of all nodes and
Â = D^-1/2 A D^-1/2,

    E^l = LeakyReLU((ÂE^(l-1) + E^(l-1)) W1_l + (ÂE^(l-1) ⊙ E^(l-1)) W2_l),

one sparse product per layer. E* is the concatenation of E^0 and of the later layers, whose rows
are scaled to length 1 (xiangwang1223/neural_graph_collaborative_filtering).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import keras
import tensorflow as tf

from recns_tf.encoders.base import glorot_uniform, half_squares
from recns_tf.encoders.full_graph import FullGraphEncoder
from recns_tf.encoders.layers import pooled
from recns_tf.encoders.new_users import NewUsers, constant, item_scale, lengths, propagated, sums
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

    without_layers: ClassVar[str] = ""

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
        return pooled(self.all_layers(seed), self.layer_weights())

    def all_layers(self, seed: tf.Tensor | None) -> list[tf.Tensor]:
        hidden = tf.convert_to_tensor(self.nodes)
        layers = [hidden]
        for layer, (own, interaction) in enumerate(self.kernels):
            sent = hidden
            if seed is not None and self.node_dropout:
                branch = random.stream(seed, layer, 0)
                sent = dropout(hidden, self.node_dropout, branch, by_row=True)
            received = self.adjacency.product(sent)
            hidden = update(received, hidden, own, interaction)
            if seed is not None and self.message_dropout:
                hidden = dropout(hidden, self.message_dropout, random.stream(seed, layer, 1))
            layers.append(tf.math.l2_normalize(hidden, axis=1))
        return layers

    def new_users(self) -> NGCFNewUsers:
        hidden, layers = tf.convert_to_tensor(self.nodes), []
        own = tf.reduce_mean(hidden[: self.num_users], axis=0, keepdims=True)
        scale = item_scale(self.adjacency, self.num_items)
        for pair in self.kernels:
            layers.append(scale * hidden[self.num_users :])
            hidden = update(self.adjacency.product(hidden), hidden, *pair)
        return NGCFNewUsers(layers, self.kernels, own, self.adjacency.symmetric)

    def penalty(self, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """Return the penalty of the batch's layer-0 rows, plus ½ Σ‖W‖² over all W1 and W2."""
        kernels = [kernel for pair in self.kernels for kernel in pair]
        return super().penalty(users, positives, negatives) + half_squares(kernels)


def update(
    received: tf.Tensor, hidden: tf.Tensor, own: tf.Tensor, interaction: tf.Tensor
) -> tf.Tensor:
    """Return E^l from ÂE^(l-1) and E^(l-1), float32 [n, d] each, and from W1 and W2, [d, d]."""
    mixed = tf.matmul(received + hidden, own) + tf.matmul(received * hidden, interaction)
    return tf.nn.leaky_relu(mixed, SLOPE)


def dropout(x: tf.Tensor, rate: float, seed: tf.Tensor, by_row: bool = False) -> tf.Tensor:
    """Set values, or whole rows, of x [n, d] to 0 with probability `rate`.

    The others are divided by 1 - rate, so that each keeps its mean.
    """
    shape = [tf.shape(x)[0], 1] if by_row else None
    return tf.nn.experimental.stateless_dropout(x, rate, seed, noise_shape=shape)


class NGCFNewUsers(NewUsers):
    """A user appended to the train graph, whose layer-0 embedding is the mean of all users'.

    With H the history and N_i the users of item i in train, the layers of the user are

        e^l = LeakyReLU((r + e^(l-1)) W1_l + (r ⊙ e^(l-1)) W2_l),
        r = Σ_{i in H} e_i^(l-1) / (sqrt|H| sqrt|N_i|),

    eq. (3), (4) and (6) of NGCF, without dropout. The items' e_i^l are those of the train graph.
    The mean is the best guess at an embedding that was never trained; 0 would leave out the second
    term of the first layer. The embedding of an empty history is that of a user without items.

    Args:
        layers: e^0 … e^(L-1) of the items times `item_scale`, float32 [I, d] each.
        kernels: W1 and W2 of each layer, [d, d].
        own: the layer-0 embedding, float32 [1, d].
        is_symmetric: whether the matrix that propagates is the symmetric one.
    """

    def __init__(
        self,
        layers: list[tf.Tensor],
        kernels: list[list[keras.Variable]],
        own: tf.Tensor,
        is_symmetric: bool,
    ):
        super().__init__(len(layers[0]))
        self.tables = [constant(layer) for layer in layers]
        self.kernels = [[constant(kernel.numpy()) for kernel in pair] for pair in kernels]
        self.own = constant(own)
        self.is_symmetric = is_symmetric

    def embed(self, histories: tf.RaggedTensor) -> tf.Tensor:
        count = lengths(histories)
        own = tf.repeat(self.own, histories.nrows(), axis=0)
        final = [own]
        for table, pair in zip(self.tables, self.kernels, strict=True):
            received = propagated(sums(table, histories), own, count, self.is_symmetric)
            own = update(received, own, *pair)
            final.append(tf.math.l2_normalize(own, axis=1))
        return tf.concat(final, axis=1)
