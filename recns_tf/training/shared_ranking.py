"""Ranking by several workers, each for its share of the users."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.evaluation.ranking import Rank, top_items
from recns_tf.ops.workers import Workers


def shared_ranking(group: Workers) -> Rank:
    """Return a function like `top_items` that all workers call, and that all get the lists from.

    Args:
        group: the workers.
    """

    def rank(
        user_embeddings: NDArray[np.float32],
        item_embeddings: NDArray[np.float32],
        users: NDArray[np.integer],
        *others: Any,
        **options: Any,
    ) -> NDArray[np.int64]:
        if len(users) < group.count:
            return top_items(user_embeddings, item_embeddings, users, *others, **options)
        own = np.array_split(users, group.count)[group.number]
        lists = top_items(user_embeddings, item_embeddings, own, *others, **options)
        return np.asarray(group.gather(tf.constant(lists)).numpy())

    return rank
