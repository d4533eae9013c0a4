"""Batches whose rows are divided among workers (--strategy=batch): data parallelism.

Each worker has the whole model and computes, of whatever is asked for every pair of the batch, the
rows of its share: embeddings, or the scores of some items. Sums of rows padded by 0 give all of
them to all workers, which then draw the same negatives with the same seeds, and compute the same
loss, as a single process does. A gradient flows only to the rows that a worker has computed, so the
sum of the gradients of all workers is that of the loss; it is what the optimizer applies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from recns_tf.encoders.tables import Tables
from recns_tf.ops.shares import Share
from recns_tf.ops.workers import Workers, workers

if TYPE_CHECKING:
    from recns_tf.config.config import Config

STRATEGY = "batch"


class Rows:
    """The rows of batches that a worker computes.

    Args:
        group: the workers.

    Example:
        >>> Rows(workers()).compute(score, users, items)  # float32 [B, n] on all workers
    """

    strategy = STRATEGY
    does = "computes its share of the pairs of each batch"

    def __init__(self, group: Workers):
        self.group = group

    def share(self, rows: tf.Tensor) -> Share:
        """Return the part of a batch, a tensor [B, …], that this worker computes."""
        return Share(tf.shape(rows)[0], self.group.number, self.group.count)

    def compute(self, function: Callable[..., tf.Tensor], *rows: tf.Tensor) -> tf.Tensor:
        """Return what a function of rows returns, of which each worker computes its share.

        Args:
            function: [b, …], … -> [b, …], row by row.
            rows: its arguments for the whole batch, [B, …] each.
        """
        share = self.share(rows[0])
        every = self.group.total(share.padded(function(*map(share.own, rows))))
        return tf.ensure_shape(every, [rows[0].shape[0], *every.shape[1:]])

    def total(self, function: Callable[..., tf.Tensor], *rows: tf.Tensor) -> tf.Tensor:
        """Return the sum of a function over the batch, of which each worker adds its share.

        Args:
            function: [b, …], … -> scalar, a sum over rows.
            rows: its arguments for the whole batch, [B, …] each.
        """
        share = self.share(rows[0])
        return self.group.total(share.unless_empty(function(*map(share.own, rows))))

    def gradients(self, own: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the sums of the gradients of all workers."""
        return [self.group.sum(tf.convert_to_tensor(each)) for each in own]


def rows_of(config: Config) -> Rows | None:
    """Return the rows that this process computes with these settings; None for all."""
    if config.strategy == STRATEGY and workers().count > 1:
        return Rows(workers())
    return None


class RowTables:
    """Tables of which each worker computes the rows of its share; see Tables.

    Args:
        tables: those of this worker, of all nodes.
        rows: its rows.
    """

    def __init__(self, tables: Tables, rows: Rows):
        self.tables = tables
        self.rows = rows

    def users(self, ids: tf.Tensor) -> tf.Tensor:
        return self.rows.compute(self.tables.users, ids)

    def items(self, ids: tf.Tensor) -> tf.Tensor:
        return self.rows.compute(self.tables.items, ids)

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return self.rows.compute(self.tables.products, vectors, items)

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return self.rows.compute(self.tables.scores, users, items)

    def unit(self) -> RowTables:
        return RowTables(self.tables.unit(), self.rows)

    def frozen(self) -> RowTables:
        return RowTables(self.tables.frozen(), self.rows)

    def stale_ok(self) -> RowTables:
        return RowTables(self.tables.stale_ok(), self.rows)
