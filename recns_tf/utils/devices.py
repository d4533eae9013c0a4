"""The GPUs that TensorFlow uses."""

from __future__ import annotations

from contextlib import suppress

import tensorflow as tf

HOST = "CPU:0"
"""The device with the memory of the machine."""


def has_gpu() -> bool:
    """Return whether TensorFlow uses a GPU; one that the program has hidden does not count."""
    return bool(tf.config.get_visible_devices("GPU"))


def grow_memory() -> None:
    """Let TensorFlow take the memory of each GPU as it is needed, instead of all at once.

    A process that has used its GPUs before, or has divided them, keeps its setting. The
    environment variable TF_FORCE_GPU_ALLOW_GROWTH has precedence.
    """
    for device in tf.config.get_visible_devices("GPU"):
        with suppress(RuntimeError, ValueError):
            tf.config.experimental.set_memory_growth(device, True)


def names() -> list[str]:
    """Return the names of the GPUs that TensorFlow uses, or ["CPU"] without any."""
    details = [
        tf.config.experimental.get_device_details(device)
        for device in tf.config.get_visible_devices("GPU")
    ]
    return [each.get("device_name", "GPU") for each in details] or ["CPU"]
