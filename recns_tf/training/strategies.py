"""Training on several devices of one machine."""

from __future__ import annotations

from functools import cache
from typing import Any

import tensorflow as tf

from recns_tf.utils.devices import grow_memory


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Return the strategy under which a model is built.

    Args:
        name: a value of --strategy, one of registry.STRATEGIES.

    Returns:
        For "mirrored", a tf.distribute.MirroredStrategy over all GPUs that TensorFlow sees, or over
        its logical CPUs if there is none. For others, the strategy in effect, which is
        TensorFlow's default one unless the caller has entered the scope of another.
    """
    if name != "mirrored":
        return tf.distribute.get_strategy()
    grow_memory()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return mirrored(tuple(device.name for device in devices))


@cache
def mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """Return the one strategy over some devices: those of two would mix up their messages."""
    return tf.distribute.MirroredStrategy(list(devices))


def recorded(strategy: str) -> dict[str, Any]:
    """Return what a run's config.json says about its devices, since draws depend on it.

    Args:
        strategy: a value of --strategy.

    Returns:
        The number of replicas for "mirrored", and nothing for others.
    """
    if strategy != "mirrored":
        return {}
    return {"replicas": int(make_strategy(strategy).num_replicas_in_sync)}
