"""Embeddings whose columns are divided among workers (--strategy=columns).

An encoder whose propagation treats all columns alike, such as LightGCN, computes each column on its
own. A worker keeps some columns of the layer-0 embeddings, with their moments of Adam, and gets the
same columns of the final ones. A score is a sum over columns,

    e_u·e_v = Σ_w Σ_{c in C_w} e_uc e_vc,

where C_w are the columns of worker w. So the workers add up their parts of the scores, the
only thing that they exchange in a step. All see the same scores, draw the same negatives with the
same seeds, and compute the same loss. Its gradient with respect to a part is that with respect to
the score, so that each worker gets the gradient of its own columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from recns_tf.encoders.tables import FullTables
from recns_tf.ops.workers import Workers, workers

if TYPE_CHECKING:
    from recns_tf.config.config import Config

STRATEGY = "columns"


class Columns:
    """The columns that a worker keeps.

    Args:
        group: the workers.

    Example:
        >>> Columns(workers()).of(64)  # worker 1 of 2
        slice(32, 64, None)
    """

    strategy = STRATEGY
    does = "trains some of the columns of the embeddings"

    def __init__(self, group: Workers):
        self.group = group

    def of(self, dim: int) -> slice:
        """Return the columns of this worker among `dim`: ⌊d w / W⌋ to ⌊d (w + 1) / W⌋."""
        number, count = self.group.number, self.group.count
        return slice(dim * number // count, dim * (number + 1) // count)

    def width(self, dim: int) -> int:
        """Return the number of columns of this worker among `dim`."""
        own = self.of(dim)
        return int(own.stop - own.start)


def columns_of(config: Config) -> Columns | None:
    """Return the columns that this process keeps with these settings; None for all."""
    if config.strategy == STRATEGY and workers().count > 1:
        return Columns(workers())
    return None


class ColumnTables(FullTables):
    """Tables of some columns, whose products are those of all columns.

    Args:
        user, item: float32 [U, w] and [I, w].
        columns: which columns they are.
    """

    def __init__(self, user: tf.Tensor, item: tf.Tensor, columns: Columns):
        super().__init__(user, item)
        self.columns = columns

    def products(self, vectors: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return self.columns.group.total(super().products(vectors, items))

    def frozen(self) -> ColumnTables:
        return ColumnTables(tf.stop_gradient(self.user), tf.stop_gradient(self.item), self.columns)

    def unit(self) -> FullTables:
        raise NotImplementedError("the length of an embedding is not known on one worker")
