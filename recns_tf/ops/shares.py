"""The division of the rows of a batch among those that compute it."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


class Share:
    """Consecutive rows of a batch: one of `count` equal parts.

    Part n has the rows from ⌊B n / count⌋ to ⌊B (n + 1) / count⌋. If it is empty, because
    B < count, a row of another part is computed in its place, and left out afterwards.

    Args:
        size: B, int32 scalar, at least 1.
        number: of the part, from 0.
        count: of parts.

    Attributes:
        start, stop: int32 scalars, the rows that are computed.
        is_empty: boolean scalar, whether the part has no row of its own.

    Example:
        >>> Share(tf.constant(5), number=1, count=2).own(tf.range(5))  # [2, 3, 4]
    """

    def __init__(self, size: tf.Tensor, number: tf.Tensor | int, count: int):
        self.size = size
        self.start = size * number // count
        stop = size * (number + 1) // count
        self.is_empty = stop == self.start
        self.stop = tf.maximum(stop, self.start + 1)

    def own(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the rows of this part: [B, …] -> [b, …]."""
        return rows[self.start : self.stop]

    def unless_empty(self, rows: tf.Tensor) -> tf.Tensor:
        """Return rows that this part has computed, or zeros if it is empty."""
        return tf.where(self.is_empty, tf.zeros_like(rows), rows)

    def padded(self, rows: tf.Tensor) -> tf.Tensor:
        """Return the rows of this part in their places, and 0 in the others: [b, …] -> [B, …].

        The sum over all parts has the rows of all.
        """
        around = [[self.start, self.size - self.stop], *[[0, 0]] * (rows.shape.rank - 1)]
        return tf.pad(self.unless_empty(rows), around)


def shared_gradient(value: tf.Tensor, count: int) -> tf.Tensor:
    """Return a value that `count` processes or devices compute alike.

    Each gets a `count`-th of its gradient, so that their sum is the gradient.
    """
    if count == 1:
        return value

    @tf.custom_gradient
    def apply(value: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.identity(value), lambda upstream: upstream / count

    return apply(value)
