"""PinSage: layers of mean aggregation over sampled neighbors, two by default (§5.1).

Sources: R. Ying et al., "Graph Convolutional Neural Networks for Web-Scale Recommender Systems",
KDD 2018; W. Hamilton et al., "Inductive Representation Learning on Large Graphs", NIPS 2017,
algorithm 1, whose mean aggregator the authors of RecNS use. With X the nodes' own features and
S_l(i) some neighbors of node i, drawn for the step,

    h_i^0 = X_i,    h_i^l = f_l([h_i^(l-1) W_l, mean of h_j^(l-1) over j in S_l(i), times V_l]),

where f_l is ReLU, and the identity in the last layer; e*_i is h_i^L scaled to length 1. There are
no biases. The mean over no neighbors is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.encoders.base import Encoder, glorot_uniform, half_squares, initial_nodes
from recns_tf.encoders.neighbors import Neighbors, OwnDraws, SharedColumns, check_columns
from recns_tf.encoders.new_nodes import NewNodes, constant, lengths, sums
from recns_tf.encoders.pinsage_tables import DrawnTables, WholeTables
from recns_tf.encoders.propagation import Adjacency, bipartite
from recns_tf.encoders.saving import derived, serializable
from recns_tf.encoders.tables import FullTables
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, degrees_of_items
from recns_tf.ops import random
from recns_tf.ops.gather import mean_of_rows
from recns_tf.ops.random import Purpose

if TYPE_CHECKING:
    from recns_tf.config.config import Config

Mean = Callable[[tf.Tensor], tf.Tensor]
"""Returns, for each of n nodes, the mean of some rows of a table: float32 [m, d] -> [n, d]."""

SCORE_TABLES = "score_tables.npz"
"""The asset that holds the embeddings of the last `refresh`."""

NODES_AT_ONCE = 8192
"""Batch size for encoding all nodes from drawn neighbors."""


@serializable
class PinSage(Encoder):
    """PinSage on the train graph.

    Its weights are `nodes` [U + I, features], the nodes' own features, and for each layer W and V
    [columns of the layer before, d / 2], all Glorot uniform.

    Args:
        train: boolean CSR array [U, I].
        dim: d, an even number.
        feature_dim: columns of the nodes' own features.
        num_neighbors: neighbors drawn for each layer, starting with the first.
        rank_with_drawn: whether embeddings for ranking use drawn neighbors, the same in every
            call, instead of all neighbors.
        shared_columns: whether to draw neighbors as the authors do; see SharedColumns. The
            nodes' features then have a spare row, which stands for no neighbor.
        initializer: of the features, one of INITIALIZERS.
        engine: of the products over all neighbors; see Adjacency.
        whole_graph: whether a training step encodes all nodes once, for sampler and loss, instead
            of encoding nodes on request.
        seed: of the initial weights.

    Raises:
        ValueError: see SharedColumns.
    """

    without_layers: ClassVar[str] = "only its last layer is scored"

    def __init__(
        self,
        train: csr_array,
        *,
        dim: int = 256,
        feature_dim: int = 50,
        num_neighbors: tuple[int, ...] = (25, 10),
        rank_with_drawn: bool = False,
        shared_columns: bool = False,
        initializer: str = "glorot",
        engine: str = "csr",
        whole_graph: bool = False,
        seed: int = 0,
    ):
        super().__init__(name="pinsage")
        if shared_columns:
            check_columns(num_neighbors)
        self.train = train
        self.num_users, self.num_items = train.shape
        self.width = self.dim = dim
        self.feature_dim = feature_dim
        self.num_neighbors = tuple(num_neighbors)
        self.num_layers = len(num_neighbors)
        self.rank_with_drawn = rank_with_drawn
        self.shared_columns = shared_columns
        self.initializer = initializer
        self.engine = engine
        self.whole_graph = whole_graph
        self.seed = seed
        self.ranking_seed = random.stream(random.root(seed), Purpose.ENCODER)
        self.scores_from: FullTables | None = None

        seeds = random.stream(random.root(seed), Purpose.WEIGHTS)
        sides = (self.num_users, self.num_items + int(shared_columns))
        self.nodes = self.add_weight(name="nodes", shape=(sum(sides), feature_dim))
        self.nodes.assign(initial_nodes(*sides, feature_dim, seeds, initializer))
        self.kernels = []
        widths = [feature_dim] + [dim] * len(num_neighbors)
        for layer, (before, after) in enumerate(pairwise(widths), start=1):
            pair = []
            for part, name in enumerate(("self", "neighbors"), start=1):
                shape = (before, after // 2)
                kernel = self.add_weight(name=f"{name}_{layer}", shape=shape)
                kernel.assign(glorot_uniform(list(shape), random.stream(seeds, 1 + layer, part)))
                pair.append(kernel)
            self.kernels.append(pair)
        self.built = True

    @classmethod
    def from_settings(cls, config: Config, interactions: Interactions) -> Self:
        """Build the encoder that the flags describe on the train graph.

        Raises:
            UserError: the dimension is odd.
        """
        if config.dim % 2:
            raise UserError(f"--dim={config.dim}: choose an even number for PinSage.")
        numbers = [int(number) for number in config.num_neighbors.split(",")]
        numbers += numbers[-1:] * (config.num_layers - len(numbers))
        return cls(
            interactions.train,
            dim=config.dim,
            feature_dim=config.feature_dim,
            num_neighbors=tuple(numbers[: config.num_layers]),
            rank_with_drawn=config.ranking_neighbors == "drawn",
            shared_columns=config.neighbor_draw == "shared",
            initializer=config.initializer,
            engine=config.sparse_engine,
            # True if a batch asks for at least as many items as there are nodes.
            whole_graph=config.batch_size * (1 + config.num_negatives)
            >= interactions.num_users + interactions.num_items,
            seed=config.seed,
        )

    @derived
    def neighbors(self) -> Neighbors:
        """Return the neighbors that training steps aggregate."""
        graph = bipartite(self.train)
        if self.shared_columns:
            return SharedColumns(graph, self.num_neighbors, self.seed)
        return OwnDraws(graph, self.num_neighbors)

    @derived
    def adjacency(self) -> Adjacency:
        """Return the matrix that aggregates all neighbors."""
        return Adjacency.from_train(self.train, engine=self.engine)

    @derived
    def degree(self) -> NDArray[np.int64]:
        """Return the number of neighbors of each node, [U + I]."""
        return np.concatenate([np.diff(self.train.indptr), degrees_of_items(self.train)])

    def encode(self, training: bool, seed: tf.Tensor | None = None) -> DrawnTables | FullTables:
        """Return tables that encode nodes on request in training, unless `whole_graph` is set."""
        if training and self.whole_graph:
            nodes = tf.range(self.num_users + self.num_items)
            final, _ = self.layer(self.num_layers, nodes, seed)
            return WholeTables(final[: self.num_users], final[self.num_users :], self)
        if training or self.rank_with_drawn:
            return DrawnTables(self, self.ranking_seed if seed is None else seed)
        final = self.all_layers()[-1]
        return FullTables(final[: self.num_users], final[self.num_users :])

    def layer(self, number: int, nodes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return h^l of the distinct nodes, from drawn neighbors.

        Args:
            number: l.
            nodes: int32 of any shape.
            seed: int64 [2], determines the drawn neighbors of every node.

        Returns:
            float32 [distinct, columns], and the row of each of `nodes` in it.
        """
        if not number:
            return tf.convert_to_tensor(self.nodes), nodes
        distinct, place = tf.unique(tf.reshape(nodes, [-1]))
        neighbors, found = self.neighbors.draw(number, distinct, seed)
        # One call for nodes and neighbors: a node that is both is encoded once.
        both = tf.concat([distinct, tf.reshape(neighbors, [-1])], axis=0)
        below, where = self.layer(number - 1, both, seed)
        own, drawn = tf.split(where, [tf.size(distinct), tf.size(neighbors)])
        drawn = tf.reshape(drawn, [-1, neighbors.shape[1]])
        some = tf.cast(found, tf.float32)[:, None]
        around = self.neighbor_mean(number, below, lambda table: some * mean_of_rows(table, drawn))
        result = self.update(number, tf.gather(below, own), around)
        return result, tf.reshape(place, tf.shape(nodes))

    def neighbor_mean(self, number: int, below: tf.Tensor, mean: Mean) -> tf.Tensor:
        """Return the mean of h^(l-1) over each node's neighbors, times V_l: [n, d / 2].

        Args:
            number: l.
            below: h^(l-1) of the neighbors, float32 [m, columns].
            mean: returns the means over neighbors, given a table with the rows of `below`.
        """
        kernel = tf.convert_to_tensor(self.kernels[number - 1][1])
        # Take the mean on whichever side of the product has fewer columns.
        if kernel.shape[1] < kernel.shape[0]:
            return mean(tf.matmul(below, kernel))
        return tf.matmul(mean(below), kernel)

    def update(self, number: int, own: tf.Tensor, around: tf.Tensor) -> tf.Tensor:
        """Return h^l of nodes from their own h^(l-1) and what `neighbor_mean` returns: [n, d]."""
        return combine(own, self.kernels[number - 1][0], around, number == self.num_layers)

    def all_layers(self) -> list[tf.Tensor]:
        """Return h^0, …, h^L of all nodes, [U + I, columns] each, from all neighbors."""
        # D^-1 A = D^-1/2 Â D^1/2, with the matrix Â that all encoders share.
        root = tf.sqrt(tf.constant(self.degree, tf.float32))[:, None]

        def mean(table: tf.Tensor) -> tf.Tensor:
            return tf.math.divide_no_nan(self.adjacency.product(table * root), root)

        layers = [tf.convert_to_tensor(self.nodes)[: self.num_users + self.num_items]]
        for number in range(1, self.num_layers + 1):
            around = self.neighbor_mean(number, layers[-1], mean)
            layers.append(self.update(number, layers[-1], around))
        return layers

    def penalty(self, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """Return ½ Σ‖W‖² + ½ Σ‖V‖² over the layers, divided by the number of negatives B k.

        It is divided by B if there are no negatives, and leaves out the nodes' features. Source:
        the authors' code (zyang-16/RecNS).
        """
        kernels = [kernel for pair in self.kernels for kernel in pair]
        number = tf.maximum(tf.size(negatives), tf.size(users))
        return half_squares(kernels) / tf.cast(number, tf.float32)

    def embeddings(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the embeddings to rank with, from all neighbors or `rank_with_drawn`."""
        tables = self.encode(training=False)
        if isinstance(tables, FullTables):
            return tables.user.numpy(), tables.item.numpy()
        nodes = np.arange(self.num_users + self.num_items, dtype=np.int32)
        parts = np.array_split(nodes, -(-len(nodes) // NODES_AT_ONCE))
        final = np.concatenate([tables.embed(tf.constant(part)).numpy() for part in parts])
        return final[: self.num_users], final[self.num_users :]

    def new_nodes(self, like: slice, neighbors: slice) -> PinSageNewNodes:
        layers = self.all_layers()
        own = tf.reduce_mean(layers[0][like], axis=0, keepdims=True)
        tables = [
            tf.matmul(layer[neighbors], around)
            for layer, (_, around) in zip(layers, self.kernels, strict=False)
        ]
        return PinSageNewNodes(tables, [kernel for kernel, _ in self.kernels], own)

    def save_assets(self, dir_path: str) -> None:
        """Write the train graph, and the embeddings of the last `refresh`, if any."""
        super().save_assets(dir_path)
        if self.scores_from is not None:
            user, item = self.scores_from.user.numpy(), self.scores_from.item.numpy()
            np.savez(Path(dir_path) / SCORE_TABLES, user=user, item=item)

    def load_assets(self, dir_path: str) -> None:
        """Read what `save_assets` wrote."""
        super().load_assets(dir_path)
        path = Path(dir_path) / SCORE_TABLES
        if path.exists():
            with np.load(path, allow_pickle=False) as tables:
                self.set_score_tables(tables["user"], tables["item"])

    def refresh(self) -> None:
        """Encode all nodes with the current weights, for Tables.stale_ok."""
        self.set_score_tables(*self.embeddings())

    def set_score_tables(self, user: NDArray[np.float32], item: NDArray[np.float32]) -> None:
        """Set the embeddings that Tables.stale_ok returns: float32 [U, d] and [I, d]."""
        if self.scores_from is None:
            self.scores_from = FullTables(
                tf.Variable(user, trainable=False), tf.Variable(item, trainable=False)
            )
        self.scores_from.user.assign(user)
        self.scores_from.item.assign(item)


def combine(own: tf.Tensor, kernel: tf.Tensor, around: tf.Tensor, is_last: bool) -> tf.Tensor:
    """Return h^l of nodes, float32 [n, d].

    Args:
        own: their own h^(l-1), float32 [n, columns].
        kernel: W_l, float32 [columns, d / 2].
        around: the mean of their neighbors' h^(l-1), times V_l, float32 [n, d / 2].
        is_last: whether l is L.
    """
    result = tf.concat([tf.matmul(own, kernel), around], axis=1)
    return tf.math.l2_normalize(result, axis=1) if is_last else tf.nn.relu(result)


class PinSageNewNodes(NewNodes):
    """Users with the mean of all users' features in place of their own.

    With H the history, the layers of a user are

        h^l = f_l([h^(l-1) W_l, mean of h_i^(l-1) over i in H, times V_l]),

    algorithm 1 of GraphSAGE, which is made for nodes that were not in training. The items' h_i^l
    are those of the train graph, from all neighbors. The mean over an empty history is 0.

    Args:
        tables: h^(l-1) V_l of the items for each layer, float32 [I, d / 2].
        kernels: W_l of each layer.
        own: the features of a new user, float32 [1, features].
    """

    def __init__(self, tables: list[tf.Tensor], kernels: list[keras.Variable], own: tf.Tensor):
        super().__init__(len(tables[0]))
        self.tables = [constant(table) for table in tables]
        self.kernels = [constant(kernel.numpy()) for kernel in kernels]
        self.own = constant(own)

    def embed(self, histories: tf.RaggedTensor) -> tf.Tensor:
        count = lengths(histories)
        own = tf.repeat(self.own, histories.nrows(), axis=0)
        last = len(self.tables)
        for number, (table, kernel) in enumerate(zip(self.tables, self.kernels, strict=True), 1):
            around = tf.math.divide_no_nan(sums(table, histories), count)
            own = combine(own, kernel, around, number == last)
        return own
