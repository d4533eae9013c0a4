"""The time at which a device has computed a value."""

from __future__ import annotations

import tensorflow as tf

from recns_tf.utils.devices import HOST


def seconds_after(value: tf.Tensor) -> tf.Tensor:
    """Return the time of the clock once a value is computed, in seconds since 1970.

    On a GPU, an operation counts as finished when its kernels are launched, and a control
    dependency waits for that alone. Here the clock waits for one element of the value on the
    host: its copy follows all work that was launched before.

    Args:
        value: numbers, not empty, of one or more dimensions, whose number is known.

    Returns:
        float64 scalar.

    Example:
        >>> start = seconds_after(table)
        >>> with tf.control_dependencies([start]):
        ...     result = tf.matmul(table, table)
        >>> seconds = seconds_after(result) - start
    """
    element = tf.gather_nd(value, [0] * value.shape.rank)
    with tf.device(HOST):
        # Grappler reduces an unused operation, and with it the copy, to a control dependency,
        # unless it has an effect; an assertion has one.
        text = tf.strings.as_string(element)
        read = tf.raw_ops.Assert(condition=tf.strings.length(text) > 0, data=[text])
        with tf.control_dependencies([read]):
            return tf.timestamp()
