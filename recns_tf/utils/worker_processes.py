"""The workers of one training as processes of this machine: started, watched and ended together."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

from recns_tf.errors import UserError
from recns_tf.utils.child_processes import last_line, shared_environment, start

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 10.0
"""How long the other workers may take to end by themselves once one has failed."""


class Process(Protocol):
    """What is used of a subprocess.Popen here; ray_workers.py has another one."""

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...


class Ended(NamedTuple):
    """A worker that failed.

    Attributes:
        number: of the worker, from 0.
        status: its exit status; -S for a signal S.
        node: address of its machine; empty for a process of this one.
        lost: how the connection to its process was lost; empty if its exit status is known.
    """

    number: int
    status: int
    node: str = ""
    lost: str = ""


def run_together(command: Sequence[str], count: int, logs: Path) -> None:
    """Run a command in `count` processes, the workers of one cluster, until all have ended.

    Each has its place in TF_CONFIG, and an equal share of the cores unless the environment limits
    its threads. Worker 0 writes to the screen, the others to logs/worker-N.log. If one fails, the
    others are ended.

    Args:
        command: the program and its arguments.
        count: number of workers.
        logs: folder of the logs, which is created.

    Raises:
        UserError: a worker has failed. It says which, and what it wrote last.
    """
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        processes = []
        for number, environment in enumerate(environments(count)):
            output = None
            if number:
                output = stack.enter_context(log_of(logs, number).open("wb"))
            processes.append(start(command, environment, output))
        try:
            failed = first_failure(processes)
        finally:
            end(processes)
    if failed is not None:
        raise UserError(describe(failed, count, logs))


def environments(count: int) -> list[dict[str, str]]:
    """Return the environment of each worker, with ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    shared = shared_environment(count)
    return [shared | place for place in places(addresses)]


def places(addresses: Sequence[str]) -> list[dict[str, str]]:
    """Return the variable TF_CONFIG of each worker, given the host:port of all."""
    tasks = (
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        for number in range(len(addresses))
    )
    return [{"TF_CONFIG": json.dumps(each)} for each in tasks]


def first_failure(processes: Sequence[Process]) -> Ended | None:
    """Wait until all processes have ended well, or one has failed, which is returned.

    A killed process comes before those that then failed because they had lost it.
    """
    while True:
        statuses = [each.poll() for each in processes]
        failed = [Ended(n, status) for n, status in enumerate(statuses) if status]
        if failed:
            return min(failed, key=lambda each: each.status)
        if None not in statuses:
            return None
        time.sleep(POLL_SECONDS)


def end(processes: Sequence[Process]) -> None:
    """Wait for processes that end by themselves, and kill the others."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for each in processes:
        try:
            each.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()


def describe(failed: Ended, count: int, logs: Path) -> str:
    """Return a sentence on a worker that has failed."""
    number, status, node, lost = failed
    how = f"with status {status}" if status > 0 else f"by {signal.Signals(-status).name}"
    said = "its message is above"
    # The first worker of this machine writes to the screen alone.
    if number or node:
        line = last_line(log_of(logs, number))
        last = f"; its last line: {line}" if line else ""
        said = f"see {log_of(logs, number)}{last}".rstrip(".")
    where = f" on the node {node}" if node else ""
    return (
        f"worker {number} of {count}{where} has ended {lost or how}; {said}. The same command "
        "continues after the last epoch."
    )


def log_of(logs: Path, number: int) -> Path:
    """Return the log of a worker."""
    return logs / f"worker-{number}.log"
