"""One training step on several devices, each with its share of the pairs (data parallelism).

Each replica gets the whole batch, so that nothing splits it, and takes consecutive rows of it.
What the pairs yield is gathered again, in the order of the batch, so that losses and the state of
samplers are functions of the whole batch, as on one device. Outside `tf.distribute.Strategy.run`
there is one replica, and these functions return their arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from recns_tf.ops.shares import Share


def count() -> int:
    """Return the number of replicas of the step that is being built."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def number() -> tf.Tensor:
    """Return the number of the replica whose step is being built: int32 scalar from 0."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group


class Shares:
    """The division of a batch of pairs among the replicas.

    Replica r of R has part r of R; see Share.

    Args:
        size: B, int32 scalar.

    Attributes:
        start: int32 scalar, the first row of this replica.

    Example:
        >>> shares = Shares(tf.size(batch.users))
        >>> users = shares.own(batch.users)
        >>> scores = shares.gather(score(users))  # float32 [B, …]
    """

    def __init__(self, size: tf.Tensor):
        self.size = size
        self.replicas = count()
        self.start = tf.constant(0)
        if self.replicas > 1:
            self.share = Share(size, number(), self.replicas)
            self.start = self.share.start

    def own(self, rows: tf.Tensor) -> tf.Tensor:
        """Return this replica's rows of a tensor [B, …]."""
        return rows if self.replicas == 1 else self.share.own(rows)

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the tensor [B, …] of which every replica has computed its rows.

        The gradient of a replica's rows is that of its own result alone. If all replicas compute
        the same loss from gathered rows, the sum of their gradients is therefore that of the loss.
        """
        if self.replicas == 1:
            return rows
        if rows.dtype == tf.bool:
            return tf.cast(self.gather(tf.cast(rows, tf.int32)), tf.bool)

        @tf.custom_gradient
        def apply(rows: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            every = tf.distribute.get_replica_context().all_gather(rows, axis=0)
            return self.in_order(every), lambda upstream: self.share.unless_empty(
                self.own(upstream)
            )

        return apply(rows)

    def mean(self, values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the means over the batch of scalars that are means over this replica's pairs."""
        if self.replicas == 1:
            return values
        rows = tf.where(self.share.is_empty, 0, self.share.stop - self.share.start)
        weight = tf.cast(rows / self.size, tf.float32)
        add = tf.distribute.get_replica_context().all_reduce
        return {
            name: add(tf.distribute.ReduceOp.SUM, weight * value) for name, value in values.items()
        }

    def in_order(self, every: tf.Tensor) -> tf.Tensor:
        """Return the rows of the batch from those that all replicas computed."""
        row = tf.range(self.size)
        # With B < R, each replica has computed one row, and the last with row b owns it.
        owner = -(-(row + 1) * self.replicas // self.size) - 1
        return tf.gather(every, tf.where(self.size < self.replicas, owner, row))


def share_of(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return this replica's share of gradients that all replicas computed.

    Optimizers of Keras apply the sum over the replicas.
    """
    return [part / count() if count() > 1 else part for part in gradients]


class SameEverywhere:
    """A layer whose state all replicas update alike, so that the copies of a weight stay equal."""

    def add_weight(self, *args: Any, **keywords: Any) -> Any:
        """Add a weight; an assignment on several devices takes the first one's value."""
        return super().add_weight(  # type: ignore[misc]
            *args, **({"aggregation": "only_first_replica"} | keywords)
        )
