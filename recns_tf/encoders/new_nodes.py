"""Embeddings of users and items that were not in the data, from their neighbors in the graph.

The neighbors of a user are the items that the user chose, those of an item the users who chose it.
The two sides are alike: what is said of a new user and items holds for a new item and users.

Each encoder has a `NewNodes`. It is written in TensorFlow alone and holds no more than the tables
that it needs, so that an exported model can contain it.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.encoders.propagation import Adjacency

NODES_AT_ONCE = 1024
"""Batch size for embedding new nodes."""


class NewNodes(tf.Module):
    """Embeds nodes of one side from their histories: their neighbors on the other side.

    The order of a history does not matter, and a neighbor that is repeated in it counts once. An
    empty history gives a finite embedding.

    Args:
        num_neighbors: number of nodes of the other side: I for new users, U for new items.
    """

    def __init__(self, num_neighbors: int):
        super().__init__()
        self.num_neighbors = num_neighbors

    def __call__(self, histories: tf.RaggedTensor) -> tf.Tensor:
        """Return embeddings to rank with: numbers of neighbors, int32 [n, None] -> [n, d]."""
        return self.embed(distinct(histories, self.num_neighbors))

    @abstractmethod
    def embed(self, histories: tf.RaggedTensor) -> tf.Tensor:
        """Return embeddings of histories that ascend, without repeats: int32 -> float32 [n, d]."""


def embed_rows(module: NewNodes, clicks: csr_array) -> NDArray[np.float32]:
    """Return the embeddings of nodes from their neighbors, some nodes at a time.

    Args:
        module: of an encoder.
        clicks: boolean CSR array [n, neighbors]; a row may be empty.

    Returns:
        float32 [n, d].

    Raises:
        ValueError: `clicks` has another number of columns.
    """
    if clicks.shape[1] != module.num_neighbors:
        raise ValueError(f"clicks has {clicks.shape[1]} columns, not {module.num_neighbors}")
    rows = clicks.astype(bool)
    rows.eliminate_zeros()
    embed = tf.function(
        module.__call__,
        input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)],
        autograph=False,
    )
    parts = []
    for start in range(0, max(rows.shape[0], 1), NODES_AT_ONCE):
        some = rows[start : start + NODES_AT_ONCE]
        histories = tf.RaggedTensor.from_row_splits(
            some.indices.astype(np.int32), some.indptr.astype(np.int64)
        )
        parts.append(embed(histories).numpy())
    return np.concatenate(parts)


def constant(values: tf.Tensor | NDArray[np.float32]) -> tf.Variable:
    """Return a variable that is not trained, which an exported model stores with its weights."""
    return tf.Variable(values, trainable=False)


def distinct(histories: tf.RaggedTensor, num_neighbors: int) -> tf.RaggedTensor:
    """Return each row in ascending order, without repeats: int32 [n, None]."""
    keys = histories.value_rowids() * num_neighbors + tf.cast(histories.values, tf.int64)
    keys = tf.sort(keys)
    keys = tf.boolean_mask(keys, tf.concat([tf.ones_like(keys[:1], bool), keys[1:] > keys[:-1]], 0))
    return tf.RaggedTensor.from_value_rowids(
        tf.cast(keys % num_neighbors, tf.int32),
        keys // num_neighbors,
        histories.nrows(),
        validate=False,
    )


def sums(table: tf.Tensor, histories: tf.RaggedTensor) -> tf.Tensor:
    """Return the sum of the rows of a table that each history names.

    No tensor with a row per entry of the histories is created.

    Args:
        table: float32 [neighbors, d].
        histories: int32 [n, None].

    Returns:
        float32 [n, d]; 0 for an empty history.
    """
    return tf.sparse.segment_sum(
        table, histories.values, histories.value_rowids(), histories.nrows()
    )


def lengths(histories: tf.RaggedTensor) -> tf.Tensor:
    """Return the number of neighbors of each history, float32 [n, 1]."""
    return tf.cast(histories.row_lengths(), tf.float32)[:, None]


def neighbor_scale(adjacency: Adjacency, neighbors: slice) -> NDArray[np.float32]:
    """Return the share of an item's entry in a new user's row that depends on the item.

    A new user with history H has a row in the matrix that propagates. In the symmetric Â, the entry
    of item i is 1 / sqrt(|H| |N_i|), with N_i the users of i in train. In D^-1 (A + I), all entries
    are 1 / (|H| + 1), that of the user included. `propagated` adds what depends on H.

    Args:
        adjacency: what `Adjacency.from_train` returns.
        neighbors: the nodes of the other side; `Encoder.items` for new users.

    Returns:
        float32 [neighbors, 1].
    """
    degree = np.diff(adjacency.to_scipy().indptr)[neighbors, None]
    if not adjacency.symmetric:
        return np.ones(degree.shape, np.float32)
    # A node without neighbors sends nothing to them.
    scale = np.divide(1, np.sqrt(degree), out=np.zeros(degree.shape), where=degree > 0)
    return scale.astype(np.float32)


def propagated(
    received: tf.Tensor, own: tf.Tensor, count: tf.Tensor, is_symmetric: bool
) -> tf.Tensor:
    """Return new nodes' rows of the matrix times the embeddings of one layer.

    Args:
        received: the sum of the neighbors' embeddings times `neighbor_scale`, float32 [n, d].
        own: the embeddings of the new nodes, float32 [n, d].
        count: |H|, float32 [n, 1].
        is_symmetric: whether the matrix is the symmetric one.

    Returns:
        float32 [n, d].
    """
    if is_symmetric:
        return tf.math.divide_no_nan(received, tf.sqrt(count))
    return (received + own) / (count + 1)
