"""Dot products with what gates leave of table rows, inside the graph."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from recns_tf.ops import kernels


def gated_products(
    vectors: tf.Tensor,
    table: tf.Tensor,
    shifts: tf.Tensor,
    mapped: tf.Tensor,
    kept: tf.Tensor,
    columns: tf.Tensor,
) -> tf.Tensor:
    """Return vectors[b] · (kept - σ(shifts[b] + mapped[c])) ⊙ table[c], with c = columns[b, i].

    With compiled loops, no tensor of shape [B, n, d] is created, neither forward nor backward.

    Args:
        vectors: float32 [B, d].
        table: float32 [m, d]; d must be known when the graph is built.
        shifts: float32 [B, d].
        mapped: float32 [m, d].
        kept: float32, a scalar, to which no gradient flows.
        columns: int32 [B, n], rows of the table, repeats allowed; n must be known when the graph
            is built.

    Returns:
        float32 [B, n].

    Example:
        >>> one, zero = tf.ones([1, 1]), tf.zeros([1, 1])
        >>> float(gated_products(one, one, zero, zero, tf.constant(2.0), tf.constant([[0]])))
        1.5
    """

    @tf.custom_gradient
    def apply(
        vectors: tf.Tensor, table: tf.Tensor, shifts: tf.Tensor, mapped: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
        arguments = vectors, table, shifts, mapped, kept, columns

        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            return kernels.gated_gradients(*arguments, upstream)

        return kernels.gated_dots(*arguments), gradient

    return apply(vectors, table, shifts, mapped)
