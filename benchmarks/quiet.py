"""TensorFlow, imported without its news of a missing GPU."""

import os

from recns_tf.utils.quiet import silenced_stderr

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with silenced_stderr():
    import tensorflow as tf

# Every model has a step of its own to trace; TensorFlow warns of that.
tf.get_logger().setLevel("ERROR")

__all__ = ["tf"]
