"""Losses on the scores of a positive and its k negatives (§2.4).

The arguments of every loss are `positive`, float32 [B], the scores e_u·e_v; `negative`, float32
[B, k], the scores e_u·e_n; and `margin`, γ. It returns a float32 scalar. σ is the sigmoid and
[z]_+ = max(0, z).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from recns_tf.errors import first_line

Loss = Callable[[tf.Tensor, tf.Tensor, float], tf.Tensor]


@keras.saving.register_keras_serializable(package="recns_tf")
def augmented_hinge(positive: tf.Tensor, negative: tf.Tensor, margin: float) -> tf.Tensor:
    """Return eq. (5): 1/k of the sum over pairs of [σ(Σ_i e_u·e_n_i) - σ(k e_u·e_v) + γ]_+."""
    k = tf.cast(tf.shape(negative)[1], tf.float32)
    gap = tf.sigmoid(tf.reduce_sum(negative, axis=1)) - tf.sigmoid(k * positive)
    return tf.reduce_sum(tf.nn.relu(gap + margin)) / k


@keras.saving.register_keras_serializable(package="recns_tf")
def pairwise_hinge(positive: tf.Tensor, negative: tf.Tensor, margin: float) -> tf.Tensor:
    """Return the mean over pairs and negatives of [σ(e_u·e_n_i) - σ(e_u·e_v) + γ]_+.

    Source: the authors' code (zyang-16/RecNS), which uses it instead of eq. (5).
    """
    gap = tf.sigmoid(negative) - tf.sigmoid(positive)[:, None]
    return tf.reduce_mean(tf.nn.relu(gap + margin))


@keras.saving.register_keras_serializable(package="recns_tf")
def plain_hinge(positive: tf.Tensor, negative: tf.Tensor, margin: float) -> tf.Tensor:
    """Return the mean over pairs and negatives of [e_u·e_n_i - e_u·e_v + γ]_+ (Algorithm 3)."""
    return tf.reduce_mean(tf.nn.relu(negative - positive[:, None] + margin))


@keras.saving.register_keras_serializable(package="recns_tf")
def bpr(positive: tf.Tensor, negative: tf.Tensor, margin: float) -> tf.Tensor:
    """Return the mean over pairs and negatives of -log σ(e_u·e_v - e_u·e_n_i), without margin.

    Source: S. Rendle et al., "BPR", UAI 2009.
    """
    del margin
    return tf.reduce_mean(tf.nn.softplus(negative - positive[:, None]))


def fault(loss: Any) -> str:
    """Return why an object cannot be used as a loss, or "" if it can.

    It is called once as in training: inside a tf.function, on scores of 2 pairs with 3 negatives.
    """
    faults: list[str] = []

    @tf.function(autograph=False)
    def call(positive: tf.Tensor, negative: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch([positive, negative])
            value = loss(positive, negative, 0.1)
        if not tf.is_tensor(value):
            faults.append(f"it returns {type(value).__name__}, not a float32 scalar tensor")
        elif value.dtype != tf.float32 or value.shape != ():
            kind = f"{value.dtype.name} {value.shape}"
            faults.append(f"it returns {kind}, not a float32 scalar tensor")
        elif tape.gradient(value, [positive, negative]) == [None, None]:
            faults.append("its value does not depend on the scores")
        return tf.constant(0.0) if faults else value

    positive, negative = [0.5, -0.25], [[0.25, 0.0, -0.5], [0.75, -1.0, 0.125]]
    try:
        value = float(call(tf.constant(positive), tf.constant(negative)))
    except Exception as error:
        return f"called with (positive, negative, margin), it raises {first_line(error)}"
    if not faults and not math.isfinite(value):
        faults.append(f"it returns {value} for scores between -1 and 1")
    return faults[0] if faults else ""
