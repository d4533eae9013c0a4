"""NGCF: propagation that also passes on how a node and its neighbors interact.

Source: X. Wang et al., "Neural Graph Collaborative Filtering", SIGIR 2019, eq. (7), (8) for the
propagation, (10) for the final embeddings. With E^0 the layer-0 embeddings of all nodes and
Â = D^-1/2 A D^-1/2,

    E^l = LeakyReLU((ÂE^(l-1) + E^(l-1)) W1_l + (ÂE^(l-1) ⊙ E^(l-1)) W2_l),

one sparse product per layer. The code of the same authors, NGCF.py in
xiangwang1223/neural_graph_collaborative_filtering, has another layer: with Â = D^-1 (A + I),

    E^l = LeakyReLU(ÂE^(l-1) W1_l + b1_l) + LeakyReLU((ÂE^(l-1) ⊙ E^(l-1)) W2_l + b2_l).

In both forms E* is the concatenation of E^0 and of the later layers, whose rows are scaled to
length 1 as in the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import keras
import tensorflow as tf

from recns_tf.encoders.base import glorot_uniform, half_squares
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
from recns_tf.ops import random

if TYPE_CHECKING:
    from recns_tf.config.config import Config

SLOPE = 0.2
"""Slope of LeakyReLU below 0: the default of tf.nn, which NGCF's code uses."""

Update = Callable[[tf.Tensor, tf.Tensor, Sequence[tf.Tensor]], tf.Tensor]
"""Returns E^l from ÂE^(l-1) and E^(l-1), float32 [n, d] each, and from the weights of the layer."""


def update_of_paper(
    received: tf.Tensor, hidden: tf.Tensor, weights: Sequence[tf.Tensor]
) -> tf.Tensor:
    """See Update; the weights are W1 and W2, [d, d]."""
    own, interaction = weights
    mixed = tf.matmul(received + hidden, own) + tf.matmul(received * hidden, interaction)
    return tf.nn.leaky_relu(mixed, SLOPE)


def update_of_code(
    received: tf.Tensor, hidden: tf.Tensor, weights: Sequence[tf.Tensor]
) -> tf.Tensor:
    """See Update; the weights are W1 and W2, [d, d], then b1 and b2, [1, d]."""
    own, interaction, own_bias, interaction_bias = weights
    total = tf.matmul(received, own) + own_bias
    both = tf.matmul(received * hidden, interaction) + interaction_bias
    return tf.nn.leaky_relu(total, SLOPE) + tf.nn.leaky_relu(both, SLOPE)


class Form(NamedTuple):
    """A form of the layer.

    Attributes:
        adjacency: the matrix Â, one of ADJACENCIES.
        names: of the weights of a layer; those of W1 and W2 first.
        update: computes the layer.
    """

    adjacency: str
    names: tuple[str, ...]
    update: Update


FORMS = {
    "paper": Form("symmetric", ("w1", "w2"), update_of_paper),
    "code": Form("row", ("w1", "w2", "b1", "b2"), update_of_code),
}
"""The layers that --ngcf_form chooses from."""


@serializable
class NGCF(FullGraphEncoder):
    """NGCF on the train graph.

    Its weights are `nodes` [U + I, d], the layer-0 embeddings, and for every layer W1 and W2
    [d, d], in the form of the code also b1 and b2 [1, d], all Glorot uniform.

    Args:
        adjacency: Â [U + I, U + I], the one that goes with the form.
        num_users, num_items: U and I.
        dim: d; final embeddings have (L + 1) d columns.
        num_layers: L, 1 or more.
        message_dropout: share of the values in a layer's output that become 0 in training.
        node_dropout: share of the nodes that send no messages to others in training, drawn for
            each layer.
        initializer: of the layer-0 embeddings, one of INITIALIZERS.
        form: of the layers, one of FORMS.
        seed: of the initial weights.

    Example:
        >>> matrix = Adjacency.from_train(train, FORMS["code"].adjacency)
        >>> encoder = NGCF(matrix, *train.shape, form="code")
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
        form: str = "paper",
        seed: int = 0,
    ):
        super().__init__("ngcf", num_users, num_items, dim=dim, initializer=initializer, seed=seed)
        self.adjacency = adjacency
        self.num_layers = num_layers
        self.width = (num_layers + 1) * dim
        self.message_dropout = message_dropout
        self.node_dropout = node_dropout
        self.form = form
        self.transforms = []
        for layer in range(1, num_layers + 1):
            weights = []
            for part, name in enumerate(FORMS[form].names, 1):
                shape = [dim if name.startswith("w") else 1, dim]
                weight = self.add_weight(name=f"{name}_{layer}", shape=shape)
                branch = random.stream(self.weights_seed, 1 + layer, part)
                weight.assign(glorot_uniform(shape, branch))
                weights.append(weight)
            self.transforms.append(weights)

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if the adjacency is not that of the form."""
        if config.adjacency != FORMS[config.ngcf_form].adjacency:
            legal = (
                f"--adjacency={form.adjacency} with --ngcf_form={name}"
                for name, form in FORMS.items()
            )
            raise UserError(
                f"--adjacency={config.adjacency} with --ngcf_form={config.ngcf_form}: choose "
                f"{' or '.join(legal)}."
            )

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
            form=config.ngcf_form,
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
        for layer, weights in enumerate(self.transforms):
            sent = hidden
            if seed is not None and self.node_dropout:
                branch = random.stream(seed, layer, 0)
                sent = dropout(hidden, self.node_dropout, branch, by_row=True)
            received = self.adjacency.product(sent)
            hidden = FORMS[self.form].update(received, hidden, weights)
            if seed is not None and self.message_dropout:
                hidden = dropout(hidden, self.message_dropout, random.stream(seed, layer, 1))
            layers.append(tf.math.l2_normalize(hidden, axis=1))
        return layers

    def new_nodes(self, like: slice, neighbors: slice) -> NGCFNewNodes:
        hidden, layers = tf.convert_to_tensor(self.nodes), []
        own = tf.reduce_mean(hidden[like], axis=0, keepdims=True)
        scale = neighbor_scale(self.adjacency, neighbors)
        update = FORMS[self.form].update
        for weights in self.transforms:
            layers.append(scale * hidden[neighbors])
            hidden = update(self.adjacency.product(hidden), hidden, weights)
        return NGCFNewNodes(layers, self.transforms, own, update, self.adjacency.symmetric)

    def penalty(self, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """Return the penalty of the batch's layer-0 rows, plus ½ Σ‖W‖² over the layers' weights.

        Source: eq. (11), which penalizes all trained weights. NGCF.py penalizes the final
        embeddings of the batch instead: --l2_scope=final.
        """
        weights = [weight for layer in self.transforms for weight in layer]
        return super().penalty(users, positives, negatives) + half_squares(weights)


def dropout(x: tf.Tensor, rate: float, seed: tf.Tensor, by_row: bool = False) -> tf.Tensor:
    """Set values, or whole rows, of x [n, d] to 0 with probability `rate`.

    The others are divided by 1 - rate, so that each keeps its mean.
    """
    shape = [tf.shape(x)[0], 1] if by_row else None
    return tf.nn.experimental.stateless_dropout(x, rate, seed, noise_shape=shape)


class NGCFNewNodes(NewNodes):
    """A user appended to the train graph, whose layer-0 embedding is the mean of all users'.

    With H the history and N_i the users of item i in train, the layers of the user are

        e^l = LeakyReLU((r + e^(l-1)) W1_l + (r ⊙ e^(l-1)) W2_l),
        r = Σ_{i in H} e_i^(l-1) / (sqrt|H| sqrt|N_i|),

    eq. (3), (4) and (6) of NGCF, without dropout. In the form of the code, r is the mean over H and
    the user, and the layer is that of the code. The items' e_i^l are those of the train graph. The
    mean is the best guess at an embedding that was never trained; 0 would leave out the second term
    of the first layer. The embedding of an empty history is that of a user without items.

    Args:
        layers: e^0 … e^(L-1) of the items times `neighbor_scale`, float32 [I, d] each.
        transforms: the weights of each layer.
        own: the layer-0 embedding, float32 [1, d].
        update: computes a layer.
        is_symmetric: whether the matrix that propagates is the symmetric one.
    """

    def __init__(
        self,
        layers: list[tf.Tensor],
        transforms: list[list[keras.Variable]],
        own: tf.Tensor,
        update: Update,
        is_symmetric: bool,
    ):
        super().__init__(len(layers[0]))
        self.tables = [constant(layer) for layer in layers]
        self.transforms = [[constant(each.numpy()) for each in weights] for weights in transforms]
        self.own = constant(own)
        self.update = update
        self.is_symmetric = is_symmetric

    def embed(self, histories: tf.RaggedTensor) -> tf.Tensor:
        count = lengths(histories)
        own = tf.repeat(self.own, histories.nrows(), axis=0)
        final = [own]
        for table, weights in zip(self.tables, self.transforms, strict=True):
            received = propagated(sums(table, histories), own, count, self.is_symmetric)
            own = self.update(received, own, weights)
            final.append(tf.math.l2_normalize(own, axis=1))
        return tf.concat(final, axis=1)
