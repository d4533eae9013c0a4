"""TensorFlow, imported without its messages about a missing GPU."""

import os

from recns_tf.utils.quiet import silenced_stderr

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with silenced_stderr():
    import tensorflow as tf

# TensorFlow warns because every model traces its own step.
tf.get_logger().setLevel("ERROR")

__all__ = ["tf"]
