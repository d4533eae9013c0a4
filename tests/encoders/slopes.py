"""Compares gradients with finite differences of an oracle in double precision."""

import numpy as np
import tensorflow as tf


def assert_slopes(encoder, final, oracle, tries=60, step=1e-6):
    """Check the gradient of a random function of final embeddings in random directions.

    Args:
        encoder: whose weights are moved.
        final: returns the encoder's embeddings of all nodes.
        oracle: returns the same from a list of weights in double precision.
        tries: number of weights whose slope is taken, besides one direction of all of them.
        step: half the distance between the two points that make a slope.
    """
    rng = np.random.default_rng(0)
    weights = [np.float64(weight.numpy()) for weight in encoder.trainable_variables]
    factors = rng.normal(size=oracle(weights).shape)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.constant(factors, tf.float32) * final())
    gradients = [
        tf.convert_to_tensor(gradient).numpy()
        for gradient in tape.gradient(value, [w.value for w in encoder.trainable_variables])
    ]
    directions = []
    for number in rng.integers(len(weights), size=tries):
        direction = [np.zeros_like(weight) for weight in weights]
        direction[number].ravel()[rng.integers(direction[number].size)] = 1
        directions.append(direction)
    directions.append([rng.normal(size=weight.shape) for weight in weights])
    slopes = []
    for direction in directions:
        ends = [
            np.sum(
                factors
                * oracle([w + sign * step * d for w, d in zip(weights, direction, strict=True)])
            )
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * step)
        ours = sum(np.sum(d * g) for d, g in zip(direction, gradients, strict=True))
        np.testing.assert_allclose(ours, slope, rtol=2e-3, atol=2e-3)
        slopes.append(slope)
    assert np.count_nonzero(np.abs(slopes) > 0.05) > tries / 2, "most slopes must say something"
