"""The operations of `kernels` as TensorFlow operations, for devices that run no compiled loops.

Arguments, results and integers are those of `compiled_kernels` and `compiled_gates`, to the last
bit; products agree up to rounding. On a CPU these take longer: gathered rows are written out before
they are multiplied, and a search takes one gather per bit of the length of the longest list.
"""

from __future__ import annotations

import tensorflow as tf


def dots(vectors: tf.Tensor, table: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Return vectors[b] · table[columns[b, i]]: float32 [B, d], [m, d], int32 [B, n] -> [B, n]."""
    return tf.einsum("bd,bnd->bn", vectors, tf.gather(table, columns))


def gated_dots(
    vectors: tf.Tensor,
    table: tf.Tensor,
    shifts: tf.Tensor,
    mapped: tf.Tensor,
    kept: tf.Tensor,
    columns: tf.Tensor,
) -> tf.Tensor:
    """Return `kernels.gated_dots`: float32 [B, d], [m, d], twice, [], int32 [B, n] -> [B, n]."""

    def of_one(rows: tf.Tensor) -> tf.Tensor:
        gate = tf.sigmoid(shifts + tf.gather(mapped, rows))
        return tf.reduce_sum(vectors * ((kept - gate) * tf.gather(table, rows)), axis=1)

    # One column at a time: the gates of all of them would take as much memory as their rows, and
    # are slower to compute because they do not fit in a cache.
    return tf.transpose(tf.map_fn(of_one, tf.transpose(columns), fn_output_signature=tf.float32))


def gated_gradients(
    vectors: tf.Tensor,
    table: tf.Tensor,
    shifts: tf.Tensor,
    mapped: tf.Tensor,
    kept: tf.Tensor,
    columns: tf.Tensor,
    upstream: tf.Tensor,
) -> list[tf.Tensor]:
    """Return `kernels.gated_gradients`; upstream is float32 [B, n]."""
    own, weights = vectors[:, None], upstream[:, :, None]
    rows = tf.gather(table, columns)
    gates = tf.sigmoid(shifts[:, None] + tf.gather(mapped, columns))
    left = weights * (kept - gates)
    slopes = -weights * own * rows * gates * (1 - gates)

    def by_row(values: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(values, [-1, vectors.shape[1]])
        return tf.math.unsorted_segment_sum(flat, tf.reshape(columns, [-1]), tf.shape(table)[0])

    return [
        tf.reduce_sum(left * rows, axis=1),
        by_row(left * own),
        tf.reduce_sum(slopes, axis=1),
        by_row(slopes),
    ]


def columns(weights: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Draw columns in proportion to weights: float32 [B, n], [B, k] -> int32 [B, k]."""
    cumulative = tf.cumsum(tf.cast(weights, tf.float64), axis=1)
    sought = tf.cast(uniform, tf.float64) * cumulative[:, -1:]
    return tf.minimum(tf.searchsorted(cumulative, sought, "right"), tf.shape(weights)[1] - 1)


def members(starts: tf.Tensor, items: tf.Tensor, users: tf.Tensor, sought: tf.Tensor) -> tf.Tensor:
    """Return whether items are in their users' lists: int32 [B, n] -> bool [B, n]."""
    start, count = up_to(starts, items, users, sought, shift=0)
    last = tf.gather(items, tf.maximum(start + count - 1, 0))
    return (count > 0) & (last == sought)


def unlisted(starts: tf.Tensor, items: tf.Tensor, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
    """Return the integers of ranks among those not in each user's list: int32 [B, n] -> [B, n]."""
    _, count = up_to(starts, items, users, ranks, shift=1)
    return ranks + tf.cast(count, tf.int32)


def up_to(
    starts: tf.Tensor, items: tf.Tensor, users: tf.Tensor, numbers: tf.Tensor, shift: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return how many j satisfy items[start + j] - shift * j <= number, by binary search.

    Args:
        starts: int64 [U + 1], where each user's list begins.
        items: int32 [t], all lists one after the other, each ascending.
        users: int32 [B].
        numbers: int32 [B, n].
        shift: 0 or 1.

    Returns:
        The start of each user's list, int64 [B, 1], and the counts, int64 [B, n].
    """
    start = tf.gather(starts, users)[:, None]
    length = tf.gather(starts, users + 1)[:, None] - start
    shape = tf.shape(numbers)
    low, high = tf.zeros(shape, tf.int64), tf.broadcast_to(length, shape)

    def halve(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        middle = (low + high) // 2
        # Where low = high, the element may be that of another list: the comparison is not used.
        place = tf.minimum(start + middle, tf.size(items, tf.int64) - 1)
        value = tf.cast(tf.gather(items, place), tf.int64) - shift * middle
        is_right = (value <= tf.cast(numbers, tf.int64)) & (low < high)
        return tf.where(is_right, middle + 1, low), tf.where(is_right, high, middle)

    low, _ = tf.while_loop(lambda low, high: tf.reduce_any(low < high), halve, (low, high))
    return start, low


def repeats(items: tf.Tensor) -> tf.Tensor:
    """Return which entries repeat an earlier one of their row: int32 [B, n] -> bool [B, n]."""
    order = tf.argsort(items, axis=1, stable=True)
    ascending = tf.gather(items, order, batch_dims=1)
    first = tf.zeros_like(ascending[:, :1], tf.bool)
    same = tf.concat([first, ascending[:, 1:] == ascending[:, :-1]], axis=1)
    return tf.gather(same, tf.argsort(order, axis=1), batch_dims=1)


def counts_up_to(values: tf.Tensor, rows: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Return how many values of a row are at most each number: float32 [B, w] -> int32 [B, w]."""
    ordered = tf.gather(tf.sort(values, axis=1), rows)
    return tf.searchsorted(ordered, numbers, side="right")


def marks(
    owner: tf.Tensor, entries: tf.Tensor, items: tf.Tensor, num_rows: tf.Tensor, num_items: int
) -> tf.Tensor:
    """Return which items are among the entries: int32 [t], [t], [C], [] -> bool [B, C]."""
    size = tf.size(items)
    # Each item has one column that is marked, and that the other columns of the item copy.
    column = tf.math.unsorted_segment_max(tf.range(size), items, num_items)
    found = tf.gather(column, entries)
    cell = tf.boolean_mask(owner * size + found, found >= 0)
    counts = tf.scatter_nd(cell[:, None], tf.ones_like(cell), [num_rows * size])
    return tf.gather(tf.reshape(counts > 0, [num_rows, size]), tf.gather(column, items), axis=1)
