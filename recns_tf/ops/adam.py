"""Adam in one pass over a weight and its two moments."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="recns_tf")
class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, whose formula TensorFlow's ResourceApplyAdam computes in one pass.

    Keras' own update reads and writes each table several times. Source: D. P. Kingma and J. Ba,
    "Adam: A Method for Stochastic Optimization", ICLR 2015, the form at the end of section 2:

        m ← m + (g - m) (1 - β1),    v ← v + (g² - v) (1 - β2),
        θ ← θ - η sqrt(1 - β2^t) / (1 - β1^t) · m / (sqrt(v) + ε).

    Gradients must be dense.

    Raises:
        ValueError: amsgrad, which the operation does not have.
    """

    def __init__(self, *args: Any, **keywords: Any):
        super().__init__(*args, **keywords)
        if self.amsgrad:
            raise ValueError("FusedAdam has no amsgrad: use keras.optimizers.Adam")

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: Any) -> None:
        """Update a weight and its moments."""
        index = self._get_variable_index(variable)
        step = tf.cast(tf.convert_to_tensor(self.iterations) + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
