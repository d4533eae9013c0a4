"""Statistics of the negatives of any sampler: the share that is false or exposed, and popularity.

They use valid and test positives, which no sampler may use to choose negatives.
"""

from __future__ import annotations

from typing import Self

import tensorflow as tf

from recns_tf.interactions import Interactions, degrees_of_items
from recns_tf.ops.item_sets import ListedItems

STATISTICS = ("false_negatives", "exposed_negatives", "negative_popularity")


class NegativeStatistics:
    """Statistics of the negatives of a batch, computed from one negative per pair.

    Args:
        held_out, exposed: the valid and test positives, and the exposed items, of each user.
        popularity: float32 [I], the number of users who have each item in train.

    Example:
        >>> statistics = NegativeStatistics.from_interactions(interactions)
        >>> statistics(tf.constant([0, 1]), tf.constant([[5, 7], [3, 9]]))["false_negatives"]
    """

    def __init__(self, held_out: ListedItems, exposed: ListedItems, popularity: tf.Tensor):
        self.held_out = held_out
        self.exposed = exposed
        self.popularity = tf.convert_to_tensor(popularity)

    @classmethod
    def from_interactions(cls, interactions: Interactions) -> Self:
        """Return the statistics of negatives on a dataset."""
        return cls(
            ListedItems(interactions.held_out),
            ListedItems(interactions.exposed),
            tf.constant(degrees_of_items(interactions.train), tf.float32),
        )

    def __call__(self, users: tf.Tensor, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the statistics of a batch.

        Pair b contributes its negative b mod k.

        Args:
            users: int32 [B].
            ids: the chosen items, int32 [B, k].

        Returns:
            float32 scalars by their names in STATISTICS: `false_negatives`, the share of valid or
            test positives of the user; `exposed_negatives`, the share of items exposed to the
            user; and `negative_popularity`, the mean number of users with the item in train.
        """
        size, k = tf.shape(ids)[0], ids.shape[1]
        shown = tf.gather(ids, tf.range(size) % k, batch_dims=1)[:, None]
        return {
            "false_negatives": share(self.held_out.contains(users, shown)),
            "exposed_negatives": share(self.exposed.contains(users, shown)),
            "negative_popularity": tf.reduce_mean(tf.gather(self.popularity, shown)),
        }


def share(found: tf.Tensor) -> tf.Tensor:
    """Return the share of True in a bool tensor, float32."""
    return tf.reduce_mean(tf.cast(found, tf.float32))
