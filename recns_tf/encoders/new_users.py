"""Embeddings of users who were not in the data, from the items that they chose.

Each encoder has a `NewUsers`. It is written in TensorFlow alone and holds no more than the tables
that it needs, so that an exported model can contain it.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.encoders.propagation import Adjacency


class NewUsers(tf.Module):
    """Embeds users from their histories.

    The order of a history does not matter, and an item that is repeated in it counts once. An
    empty history gives a finite embedding.

    Args:
        num_items: I.
    """

    def __init__(self, num_items: int):
        super().__init__()
        self.num_items = num_items

    def __call__(self, histories: tf.RaggedTensor) -> tf.Tensor:
        """Return embeddings to rank with: item numbers, int32 [n, None] -> float32 [n, d]."""
        return self.embed(distinct(histories, self.num_items))

    @abstractmethod
    def embed(self, histories: tf.RaggedTensor) -> tf.Tensor:
        """Return embeddings of histories that ascend, without repeats: int32 -> float32 [n, d]."""


def constant(values: tf.Tensor | NDArray[np.float32]) -> tf.Variable:
    """Return a variable that is not trained, which an exported model stores with its weights."""
    return tf.Variable(values, trainable=False)


def distinct(histories: tf.RaggedTensor, num_items: int) -> tf.RaggedTensor:
    """Return each row in ascending order, without repeats: int32 [n, None]."""
    keys = histories.value_rowids() * num_items + tf.cast(histories.values, tf.int64)
    keys = tf.sort(keys)
    keys = tf.boolean_mask(keys, tf.concat([tf.ones_like(keys[:1], bool), keys[1:] > keys[:-1]], 0))
    return tf.RaggedTensor.from_value_rowids(
        tf.cast(keys % num_items, tf.int32), keys // num_items, histories.nrows(), validate=False
    )


def sums(table: tf.Tensor, histories: tf.RaggedTensor) -> tf.Tensor:
    """Return the sum of the rows of a table that each history names.

    No tensor with a row per item of the histories is created.

    Args:
        table: float32 [I, d].
        histories: int32 [n, None].

    Returns:
        float32 [n, d]; 0 for an empty history.
    """
    return tf.sparse.segment_sum(
        table, histories.values, histories.value_rowids(), histories.nrows()
    )


def lengths(histories: tf.RaggedTensor) -> tf.Tensor:
    """Return the number of items of each history, float32 [n, 1]."""
    return tf.cast(histories.row_lengths(), tf.float32)[:, None]


def item_scale(adjacency: Adjacency, num_items: int) -> NDArray[np.float32]:
    """Return the share of an item's entry in a new user's row that depends on the item.

    A new user with history H has a row in the matrix that propagates. In the symmetric Â, the entry
    of item i is 1 / sqrt(|H| |N_i|), with N_i the users of i in train. In D^-1 (A + I), all entries
    are 1 / (|H| + 1), that of the user included. `propagated` adds what depends on H.

    Args:
        adjacency: what `Adjacency.from_train` returns.
        num_items: I.

    Returns:
        float32 [I, 1].
    """
    if not adjacency.symmetric:
        return np.ones((num_items, 1), np.float32)
    degree = np.diff(adjacency.to_scipy().indptr)[-num_items:, None]
    # An item without users sends nothing to them.
    scale = np.divide(1, np.sqrt(degree), out=np.zeros((num_items, 1)), where=degree > 0)
    return scale.astype(np.float32)


def propagated(
    received: tf.Tensor, own: tf.Tensor, count: tf.Tensor, is_symmetric: bool
) -> tf.Tensor:
    """Return new users' rows of the matrix times the embeddings of one layer.

    Args:
        received: the sum of the items' embeddings times `item_scale`, float32 [n, d].
        own: the embeddings of the users, float32 [n, d].
        count: |H|, float32 [n, 1].
        is_symmetric: whether the matrix is the symmetric one.

    Returns:
        float32 [n, d].
    """
    if is_symmetric:
        return tf.math.divide_no_nan(received, tf.sqrt(count))
    return (received + own) / (count + 1)
