"""The workers of one training as actors on a Ray cluster: placed, watched and ended together.

Each actor starts its worker as a process of its own on its node, so that TensorFlow starts afresh
there, and the end of the process is noticed. Ray is imported with the first connection.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL
from typing import IO, Any, NamedTuple

from recns_tf.errors import UserError
from recns_tf.utils.child_processes import shared_environment, start
from recns_tf.utils.program import VARIABLE, program
from recns_tf.utils.ray_tasks import SECONDS, Watch, connected
from recns_tf.utils.worker_processes import (
    POLL_SECONDS,
    Ended,
    describe,
    end,
    first_failure,
    log_of,
    places,
)

PLACE_SECONDS = 60.0
"""How long an actor may take to find a free CPU and start."""
ADDRESS = re.compile(r"\bip[=:] ?([0-9A-Fa-f.:]+)")
"""The node in a message of Ray."""


def run_on_ray(address: str, command: Sequence[str], count: int, logs: Path) -> None:
    """Run a command in `count` processes on a Ray cluster, until all have ended.

    Worker 0 runs on this machine, and what it writes is shown on the screen; the nodes of the
    others are Ray's choice. All logs are files of this machine, logs/worker-N.log. If a worker
    fails, or is lost with its actor or its node, the others are ended.

    Args:
        address: HOST:PORT of the cluster's head; this machine must belong to the cluster.
        command: the Python program and its arguments. Each node uses its own Python, in the folder
            of the same name as the current one here.
        count: number of workers.
        logs: folder of the logs, which is created.

    Raises:
        UserError: no cluster can be reached, it has too few free CPUs, or a worker has failed. It
            says which, where, and what it wrote last.
    """
    logs.mkdir(parents=True, exist_ok=True)
    with connected(address), ExitStack() as stack:
        actors = placed(count, stack)
        processes, watch = [], Watch()
        for number, answer in enumerate(started(actors, command)):
            log = stack.enter_context(log_of(logs, number).open("wb"))
            processes.append(RayProcess(*actors[number], answer, log, not number, watch))
            stack.callback(processes[-1].kill)
        failed = first_failure(processes)
        # After an interrupt, which raises an error, the stack ends all of them at once.
        end(processes)
        if failed is not None:
            # Ray may notice the loss of a worker after others have failed because of it.
            number = next((n for n, each in enumerate(processes) if each.lost), failed.number)
            process = processes[number]
            ended = Ended(number, process.wait(), process.place.host, process.lost)
            raise UserError(describe(ended, count, logs))


def placed(count: int, stack: ExitStack) -> list[tuple[Any, Place]]:
    """Return the actors of all workers, which `stack` ends, each with its place.

    Raises:
        UserError: there is no CPU for one of them, or it cannot start.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if count > ray.cluster_resources().get("CPU", 0):
        raise no_room(count, 0)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    remote = ray.remote(num_cpus=1)(RayWorker)
    actors, found = [], []
    # Worker 0 comes first: the others might take all CPUs of this machine.
    for strategy, number in ((here, 1), ("SPREAD", count - 1)):
        new = [remote.options(scheduling_strategy=strategy).remote() for _ in range(number)]
        for actor in new:
            stack.callback(ray.kill, actor)
        actors += new
        try:
            found += ray.get([each.place.remote() for each in new], timeout=PLACE_SECONDS)
        except (ray.exceptions.GetTimeoutError, ray.exceptions.ActorUnschedulableError) as error:
            raise no_room(count, len(found)) from error
        except ray.exceptions.RayError as error:
            node = ADDRESS.search(str(error))
            where = f"the node {node[1]}" if node else "its node"
            raise UserError(
                f"a worker cannot start on {where} ({last_words(error)}); every node needs the "
                "package recns_tf."
            ) from error
    return list(zip(actors, found, strict=True))


def no_room(count: int, placed: int) -> UserError:
    """Return the error that a cluster has too few CPUs, of which `placed` are this program's."""
    import ray

    whole = int(ray.cluster_resources().get("CPU", 0))
    free = int(ray.available_resources().get("CPU", 0)) + placed
    return UserError(
        f"--workers={count}: each worker needs a CPU of the Ray cluster, and worker 0 one of this "
        f"machine; the cluster has {whole}, {free} of them free: choose fewer workers, add nodes, "
        "or wait until others have ended."
    )


def started(actors: Sequence[tuple[Any, Place]], command: Sequence[str]) -> list[Any]:
    """Start the process of each actor; return references to their first news."""
    neighbors = Counter(place.host for _, place in actors)
    variables = places([f"{place.host}:{place.port}" for _, place in actors])
    # Unbuffered, what worker 0 writes is on the screen at once.
    shared = {VARIABLE: program(), "PYTHONUNBUFFERED": "1"}
    return [
        actor.start.remote(command[1:], shared | each, os.getcwd(), neighbors[place.host])
        for (actor, place), each in zip(actors, variables, strict=True)
    ]


def last_words(error: BaseException) -> str:
    """Return the first sentence of the last line of an error of Ray, which says what happened."""
    return str(error).strip().splitlines()[-1].strip().partition(". ")[0].rstrip(".")


class Place(NamedTuple):
    """Where an actor runs: the IP address of its node, and a port that is free there."""

    host: str
    port: int


class News(NamedTuple):
    """What a process has written since the last time, and its exit status once it has ended."""

    output: bytes
    errors: bytes
    status: int | None


class RayProcess:
    """The process of an actor, seen from this one, with the methods of a local process.

    Args:
        actor: of the class RayWorker.
        place: where it runs.
        answer: reference to its first news.
        log: the file of this machine to which all goes that the process writes.
        shown: whether it is shown on the screen, too.
        watch: of the cluster.

    Attributes:
        lost: how the actor was lost, and the process with it; empty if it was not.
    """

    def __init__(
        self, actor: Any, place: Place, answer: Any, log: IO[bytes], shown: bool, watch: Watch
    ):
        self.actor, self.place, self.answer = actor, place, answer
        self.log, self.shown, self.watch = log, shown, watch
        self.status: int | None = None
        self.lost = ""

    def poll(self) -> int | None:
        """Take the news, if there are any; return the exit status, None before the end."""
        import ray

        self.watch.look()
        if self.status is None and ray.wait([self.answer], timeout=0)[0]:
            self.status = self.receive()
        return self.status

    def receive(self) -> int | None:
        """Write the news, and ask for the next ones; see `poll`."""
        import ray

        try:
            news = ray.get(self.answer)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            self.lost = f"with its Ray actor ({last_words(error)})"
            return -SIGKILL
        for text, screen in ((news.output, sys.stdout), (news.errors, sys.stderr)):
            self.log.write(text)
            if self.shown:
                screen.buffer.write(text)
                screen.buffer.flush()
        self.log.flush()
        if news.status is None:
            self.answer = self.actor.news.remote()
        return news.status

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status; TimeoutExpired if the process does not end in time."""
        deadline = time.monotonic() + (timeout or 0)
        while (status := self.poll()) is None:
            if timeout is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("the process of an actor", timeout)
            time.sleep(POLL_SECONDS)
        return status

    def kill(self) -> None:
        """End the process.

        The actor does it. Ray's own way to end an actor, and the process with it, takes a minute if
        the cluster's head is lost.
        """
        import ray

        ray.wait([self.actor.stop.remote()], timeout=SECONDS)
        self.status = -SIGKILL


class RayWorker:
    """A worker on its node: what Ray makes an actor. Its process ends with it."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.bind(("", 0))

    def place(self) -> Place:
        """Return where the worker runs. The port is kept free until the process starts."""
        import ray

        self.host = ray.util.get_node_ip_address()
        return Place(self.host, self.socket.getsockname()[1])

    def start(
        self, arguments: Sequence[str], variables: Mapping[str, str], folder: str, neighbors: int
    ) -> News:
        """Start Python with some arguments and environment variables in a folder.

        Args:
            arguments: those of Python.
            variables: further environment variables.
            folder: the working directory.
            neighbors: how many workers, with this one, share the cores of this machine.

        Raises:
            UserError: the folder does not exist here.
        """
        try:
            os.chdir(folder)
        except OSError as error:
            raise UserError(
                f"the node {self.host} has no folder {folder}, in which this command runs: "
                "relative paths mean the same folder on every node; make it there."
            ) from error
        self.socket.close()
        environment = {**shared_environment(neighbors), **variables}
        command = [sys.executable, *arguments]
        self.process = start(command, environment, subprocess.PIPE, subprocess.PIPE)
        self.streams = [each for each in (self.process.stdout, self.process.stderr) if each]
        for each in self.streams:
            os.set_blocking(each.fileno(), False)
        return self.news()

    def news(self) -> News:
        """Return the news of the process without waiting for any."""
        # The status comes first: all that an ended process has written can then be read.
        status = self.process.poll()
        output, errors = (each.read() or b"" for each in self.streams)
        return News(output, errors, status)

    def stop(self) -> None:
        """End the process, if it has not ended."""
        self.process.kill()
        self.process.wait()
