"""The neighbors of a node that PinSage aggregates in a step (§2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.ops import random
from recns_tf.ops.item_sets import ListedItems
from recns_tf.ops.random import Purpose

TABLE_COLUMNS = 500
"""Neighbors per node in the authors' table."""


class Neighbors(Protocol):
    """Draws neighbors for the layers of an encoder."""

    def draw(self, layer: int, nodes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Draw neighbors of nodes.

        Args:
            layer: l, from 1; h^l is computed from the mean over these neighbors.
            nodes: int32 [n], distinct.
            seed: int64 [2], of the step. A node has the same neighbors in all calls of a step.

        Returns:
            The neighbors, int32 [n, S], and whether each node has any, bool [n].
        """


class OwnDraws:
    """Draws for each node separately, uniform over its neighbors, with replacement.

    Args:
        graph: boolean CSR array [N, N].
        num_neighbors: S of each layer, starting with the first.
    """

    def __init__(self, graph: csr_array, num_neighbors: tuple[int, ...]):
        self.graph = ListedItems(graph)
        self.num_neighbors = num_neighbors

    def draw(self, layer: int, nodes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        count = self.graph.count(nodes)
        ranks = random.integers_by_id(
            random.stream(seed, layer), nodes, tf.maximum(count, 1), self.num_neighbors[layer - 1]
        )
        return self.graph.item(nodes, ranks), count > 0


def check_columns(num_neighbors: Sequence[int]) -> None:
    """Raise a ValueError if a layer needs more columns than the shared table has."""
    if max(num_neighbors) > TABLE_COLUMNS:
        raise ValueError(f"num_neighbors: each must be at most {TABLE_COLUMNS}")


class SharedColumns:
    """Draws the same columns for all nodes in a step, from a table that is drawn once.

    Each layer shuffles the columns in each step and takes the first S. The only neighbor of a node
    without neighbors is the node N, whose row is N again. Source: the authors' PinSage
    (zyang-16/RecNS), which also shuffles anew for users, positives, negatives and exposed items.

    Args:
        graph: boolean CSR array [N, N].
        num_neighbors: S of each layer, starting with the first; each is at most TABLE_COLUMNS.
        seed: of the table.

    Raises:
        ValueError: the table has fewer columns than a step needs.
    """

    def __init__(self, graph: csr_array, num_neighbors: tuple[int, ...], seed: int):
        check_columns(num_neighbors)
        self.num_neighbors = num_neighbors
        self.table = tf.constant(neighbor_table(graph, TABLE_COLUMNS, seed))

    def draw(self, layer: int, nodes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(TABLE_COLUMNS), random.stream(seed, layer)
        )
        columns = order[: self.num_neighbors[layer - 1]]
        rows = tf.gather(self.table, nodes)
        return tf.gather(rows, columns, axis=1), tf.ones_like(nodes, tf.bool)


def neighbor_table(graph: csr_array, columns: int, seed: int) -> NDArray[np.int32]:
    """Draw neighbors of every node: distinct ones if there are enough, else with repeats.

    Args:
        graph: boolean CSR array [N, N].
        columns: neighbors per node.
        seed: of the draws.

    Returns:
        int32 [N + 1, columns]; node N stands for no neighbor.
    """
    size = graph.shape[0]
    rng = np.random.default_rng([seed, Purpose.NEIGHBORS])
    degree = np.diff(graph.indptr)
    ranks = (rng.random((size, columns)) * degree[:, None]).astype(np.int64)
    for node in np.flatnonzero(degree >= columns):
        ranks[node] = rng.choice(degree[node], columns, replace=False)
    place = np.minimum(graph.indptr[:-1, None] + ranks, max(graph.nnz - 1, 0))
    table = np.full((size + 1, columns), size, np.int32)
    some = degree > 0
    table[:-1][some] = graph.indices[place[some]]
    return table
