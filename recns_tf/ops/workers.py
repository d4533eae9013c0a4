"""The processes that train one model together, and how they exchange tensors.

Each process is a worker of a cluster that the environment variable TF_CONFIG describes, as for
tf.distribute. Worker 0, the chief, writes the files. The engine is TensorFlow's own: the collective
operations of tf.distribute.MultiWorkerMirroredStrategy. Every worker must call the same functions
in the same order.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.errors import UserError

VARIABLE = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)
"""What TensorFlow raises in a worker if another one has ended."""


class Task(NamedTuple):
    """The place of a process in its cluster.

    Attributes:
        number: of this worker, from 0.
        addresses: host:port of all workers.
    """

    number: int = 0
    addresses: tuple[str, ...] = ("",)


def read_task(text: str) -> Task:
    """Return the place of a process from the content of TF_CONFIG; empty for a single process.

    Raises:
        UserError: it does not describe a worker of a cluster of workers.

    Example:
        >>> read_task('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"index": 1}}')
        Task(number=1, addresses=('a:1', 'b:1'))
    """
    if not text:
        return Task()
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config.get("task", {})
        addresses, index, kind = cluster["worker"], task.get("index", 0), task.get("type", "worker")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise wrong("is not of the form") from None
    if set(cluster) != {"worker"} or kind != "worker":
        raise wrong("may name workers alone, the first of which writes the files")
    if not isinstance(addresses, list) or not addresses or not all(map(is_address, addresses)):
        raise wrong("must list the workers as host:port")
    if len(set(addresses)) < len(addresses):
        raise wrong("names the same host:port twice")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(addresses):
        raise wrong(f"has the task {shown(index)}, but the workers are 0 to {len(addresses) - 1}")
    return Task(index, tuple(addresses))


def wrong(what: str) -> UserError:
    """Return the error that TF_CONFIG is not right."""
    return UserError(f"the environment variable {VARIABLE} {what}: {EXAMPLE}.")


def shown(index: Any) -> str:
    """Return a value of TF_CONFIG for a message, shortened."""
    return json.dumps(index)[:20]


def is_address(text: Any) -> bool:
    """Return whether a value of TF_CONFIG is host:port."""
    if not isinstance(text, str):
        return False
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdecimal() and 0 < int(port) < 65536


class Workers:
    """The workers of a cluster, seen from one of them. A single one exchanges nothing.

    Args:
        task: of this process.

    Attributes:
        number, count: of this worker, from 0, and of all.
        is_chief: whether this is worker 0.

    Raises:
        UserError: TensorFlow cannot start this worker.
    """

    def __init__(self, task: Task):
        self.number, self.count = task.number, len(task.addresses)
        self.is_chief = self.number == 0
        if self.count == 1:
            return
        try:
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            raise UserError(
                f"worker {self.number} of {self.count}, {task.addresses[self.number]}, cannot "
                f"start: {str(error).splitlines()[0]}"
            ) from error

    def run(self, collective: Callable[[tf.Tensor], tf.Tensor], values: tf.Tensor) -> tf.Tensor:
        """Return what a collective operation of a replica returns on this worker."""

        def apply(values: tf.Tensor) -> tf.Tensor:
            with self.strategy.scope():
                # The copy has a device, which a tensor of the graph around it may lack.
                found = self.strategy.run(lambda own: collective(tf.identity(own)), args=(values,))
                return self.strategy.experimental_local_results(found)[0]

        if not tf.executing_eagerly():
            return apply(values)
        # Workers number their operations as they are traced. A function of its own for each call
        # is traced equally often by all of them, whatever the shapes.
        traced = tf.function(apply).get_concrete_function(tf.TensorSpec.from_tensor(values))
        return traced(values)

    def sum(self, values: tf.Tensor) -> tf.Tensor:
        """Return the sum over all workers of tensors of the same shape, which has no gradient."""
        return self.run(
            lambda part: tf.distribute.get_replica_context().all_reduce("SUM", part), values
        )

    def total(self, part: tf.Tensor) -> tf.Tensor:
        """Return the sum over all workers; its gradient flows to this worker's part alone.

        If all workers compute the same loss from it, each gets the gradient of its part.
        """

        @tf.custom_gradient
        def apply(part: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            return self.sum(part), lambda upstream: upstream

        return apply(part)

    def gather(self, rows: tf.Tensor, axis: int = 0) -> tf.Tensor:
        """Return the tensors of all workers, joined along an axis."""
        return self.run(
            lambda part: tf.distribute.get_replica_context().all_gather(part, axis), rows
        )

    def wait(self) -> None:
        """Wait until all workers have come here."""
        self.sum(tf.zeros([]))

    def from_chief(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the chief's array on all workers; others pass one of the same shape and dtype."""
        sent = values if self.is_chief else np.zeros_like(values)
        is_bool = sent.dtype == np.bool_
        received = self.sum(tf.constant(sent.astype(np.int32) if is_bool else sent)).numpy()
        return received.astype(values.dtype)


@cache
def workers() -> Workers:
    """Return the workers of the cluster that TF_CONFIG describes.

    The first call must come before TensorFlow computes anything.

    Raises:
        UserError: TF_CONFIG is not right, or this worker cannot start.
    """
    return Workers(read_task(os.environ.get(VARIABLE, "")))


@contextmanager
def explaining_lost_workers() -> Iterator[None]:
    """Turn the error of a collective operation whose partner has ended into a UserError."""
    try:
        yield
    except LOST as error:
        raise UserError(
            "another worker has ended or does not answer, and its own message says why; the same "
            "command on all workers continues after the last epoch."
        ) from error
