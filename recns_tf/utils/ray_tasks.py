"""Tasks on a Ray cluster (Moritz et al., OSDI 2018), and what goes wrong there in one sentence.

Ray is optional and takes a second to import: this module imports it when it connects.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

from recns_tf.errors import UserError, first_line
from recns_tf.utils.parallel import CORES, on_cores

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")

RETRIES = 5
"""How often a task is run again because its process or its machine was lost."""
AHEAD = 2
"""Tasks per core of the cluster that run or wait for a core, or whose results wait to be read."""
SECONDS = 5.0
"""How long to wait for a result, or for an answer, before the next look at the cluster."""
LOOKS = 3
"""How many looks in a row must find no cluster. Ray ends this process without one after 60 s."""


@contextmanager
def connected(address: str = "") -> Iterator[None]:
    """Connect to a Ray cluster for the block; `ordered_results` runs tasks on it.

    If this process is connected already, that connection is used, and stays.

    Args:
        address: HOST:PORT of the cluster's head; this machine must belong to the cluster. ""
            starts Ray on this machine, and stops it at the end of the block.

    Raises:
        UserError: no cluster can be reached.

    Example:
        >>> with connected():
        ...     sums = list(ordered_results(sum_rows, range(9), shared=table, description="sums"))
    """
    import ray

    if ray.is_initialized():
        yield
        return
    # Nothing is reported to the authors of Ray.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # The first error is raised; Ray would print the others.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    try:
        if address:
            require_answer(address)  # Ray itself tries for minutes.
        ray.init(
            address=address or "local",
            num_cpus=None if address else CORES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"--address={address}" if address else "--engine=ray"
        advice = "choose HOST:PORT of a cluster's head that this machine belongs to"
        if not address:
            advice = "Ray cannot be started on this machine"
        raise UserError(f"{where}: {advice} ({first_line(error)}).") from error
    try:
        yield
    finally:
        ray.shutdown()


def require_answer(address: str) -> None:
    """Raise OSError unless something answers at HOST:PORT."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), SECONDS).close()


def ordered_results(
    function: Callable[[Shared, Task], Result],
    tasks: Sequence[Task],
    *,
    shared: Shared,
    description: str,
    unit: str = "task",
) -> Iterator[Result]:
    """Yield function(shared, task) for each task, in the order of the tasks.

    Each task takes one core, and its kernels one thread (see utils/parallel.py). A task that is
    lost with its process or machine runs again, so it must always have the same result. `connected`
    must be open.

    Args:
        function: a function of a module, which the cluster's machines must have, too.
        tasks: small arguments.
        shared: what all tasks read. Each machine gets it once, and all its tasks share the memory
            of NumPy arrays, which are read-only.
        description: label of the progress bar.
        unit: what the progress bar calls a task.

    Raises:
        UserError: the cluster is lost, or a task again and again. An exception that a task raises
            is raised here unchanged.
    """
    import ray

    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(run_task)
    held = ray.put((function, shared))
    most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    running: deque[Any] = deque()
    remaining = iter(tasks)
    for _ in tqdm(tasks, desc=description, unit=unit, leave=False, disable=None):
        # Results that nobody reads would fill the memory of the cluster.
        while len(running) < most and (task := next(remaining, running)) is not running:
            running.append(remote.remote(held, task))
        yield result_of(running.popleft())


class Watch:
    """Notices that the cluster to which this process is connected has been lost."""

    def __init__(self) -> None:
        import ray

        self.address = ray.get_runtime_context().gcs_address
        self.looks = 0
        self.last = 0.0

    def look(self) -> None:
        """Raise UserError if the last LOOKS looks, SECONDS apart, have found no cluster."""
        if time.monotonic() < self.last + SECONDS:
            return
        self.last = time.monotonic()
        try:
            require_answer(self.address)
            self.looks = 0
        except OSError as error:
            self.looks += 1
            if self.looks == LOOKS:
                raise UserError(
                    f"the Ray cluster at {self.address} does not answer any more: start it, and "
                    "run the same command again."
                ) from error


def run_task(held: tuple[Callable[[Any, Any], Result], Any], task: Any) -> Result:
    """Run a task, in a process of the cluster."""
    function, shared = held
    with on_cores(1):
        return function(shared, task)


def result_of(reference: Any) -> Any:
    """Return the result of a task; see `ordered_results` for what is raised."""
    import ray

    watch = Watch()
    while not ray.wait([reference], timeout=SECONDS)[0]:
        watch.look()
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise UserError(
            f"the Ray cluster lost a task {RETRIES + 1} times ({first_line(error)}); its machines "
            "may have too little memory: see Ray's logs."
        ) from error
