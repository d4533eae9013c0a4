"""What a run reports of its negatives, whatever the sampler: how many are false, exposed, popular.

It looks at valid and test positives to count, as no sampler may to choose.
"""

from __future__ import annotations

import tensorflow as tf

from recns_tf.interactions import Interactions, degrees_of_items
from recns_tf.ops.item_sets import ListedItems

NAMES = ("false_negatives", "exposed_negatives", "negative_popularity")


class SamplingReport:
    """Statistics of the negatives of a batch, from one negative of every pair.

    Args:
        interactions: the dataset.
    """

    def __init__(self, interactions: Interactions):
        self.held_out = ListedItems(interactions.held_out)
        self.exposed = ListedItems(interactions.exposed)
        self.popularity = tf.constant(degrees_of_items(interactions.train), tf.float32)

    def __call__(self, users: tf.Tensor, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the scalars by their NAMES.

        `false_negatives` is the share that are valid or test positives of their user,
        `exposed_negatives` the share that were exposed to the user, `negative_popularity` the
        mean number of users who have the item in train. The pair numbered b shows its negative
        b mod k.

        Args:
            users: int32 [B].
            ids: the chosen items, int32 [B, k].
        """
        size, k = tf.shape(ids)[0], ids.shape[1]
        shown = tf.gather(ids, tf.range(size) % k, batch_dims=1)[:, None]
        return {
            "false_negatives": share(self.held_out.contains(users, shown)),
            "exposed_negatives": share(self.exposed.contains(users, shown)),
            "negative_popularity": tf.reduce_mean(tf.gather(self.popularity, shown)),
        }


def share(found: tf.Tensor) -> tf.Tensor:
    """Return the share of True in a bool tensor."""
    return tf.reduce_mean(tf.cast(found, tf.float32))
