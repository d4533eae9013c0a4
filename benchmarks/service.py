"""The time that the service takes to answer under load, and what a kill costs.

Run: .venv/bin/python -m benchmarks.service [--shape=zhihu --seconds=60 --rate=200 --clients=8]

The service answers lists of K items for users drawn at random, from random embeddings, and every
answer is compared with the library's list. Requests are sent at fixed times, whether or not earlier
ones are answered, and their time counts from when they were due. `health` are requests that need no
search. Clients and service share the machine. Then the service is killed (SIGKILL) under load and
started again: no answer may be wrong, and the time until the next one is measured.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.graphs import SHAPES, random_interactions
from benchmarks.ranking import DIM
from benchmarks.runs import write_run
from recns_tf.api import load
from recns_tf.commands import app
from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import A_DURATION, Checked, one_of, option
from recns_tf.errors import UserError
from recns_tf.utils import markdown
from recns_tf.utils.child_processes import command_line
from recns_tf.utils.files import write_json

K = 10
PAUSE_SECONDS = 0.01
START_SECONDS = 120
Lists = dict[Any, list[dict[str, Any]]]
"""The expected list of each user, as the service sends it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load(Checked):
    """The flags of this benchmark."""

    shape: str = option("zhihu", "size of the data", one_of(*SHAPES))
    seconds: int = option(60, "length of each load", A_DURATION)
    rate: int = option(200, "requests per second of all clients", A_DURATION)
    clients: int = option(8, "connections", A_DURATION)
    json: str = option("", "JSON file for the results; none if empty")


class Service:
    """A service in a process of its own.

    Args:
        run: the folder of the run.
        flags: of the command.
    """

    def __init__(self, run: Path, *flags: str):
        self.run, self.flags = run, flags
        self.start(0)

    def start(self, port: int) -> None:
        """Start it, and wait for the address that it prints."""
        self.started = time.perf_counter()
        command = command_line("serve", str(self.run), *self.flags)
        self.process = subprocess.Popen(
            [*command, f"--port={port}"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise UserError("the service did not start, see above.")
        self.port = int(line.rpartition(":")[2])

    def wait(self) -> float:
        """Return the seconds from its start to its first answer."""
        end = self.started + START_SECONDS
        while time.perf_counter() < end:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return time.perf_counter() - self.started
            except OSError:
                time.sleep(PAUSE_SECONDS)
        raise UserError("the service does not answer.")

    def resident_megabytes(self) -> float:
        """Return the memory of the process."""
        text = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclasses.dataclass
class Outcome:
    """What the clients saw.

    Attributes:
        milliseconds: time of each answered request.
        refused: requests without an answer: errors of the connection, or another status.
        wrong: answers other than the expected list.
    """

    milliseconds: list[float] = dataclasses.field(default_factory=list)
    refused: int = 0
    wrong: int = 0


def put_under_load(service: Service, path: str, expected: Lists, settings: Load) -> Outcome:
    """Send requests for `settings.seconds`, and return what came of them."""
    due: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    start = time.perf_counter() + 0.1
    for number in range(settings.seconds * settings.rate):
        due.put(start + number / settings.rate)
    users = list(expected)
    outcomes = [Outcome() for _ in range(settings.clients)]

    def client(number: int) -> None:
        found = outcomes[number]
        rng = np.random.default_rng(number)
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        while True:
            try:
                moment = due.get_nowait()
            except queue.Empty:
                return
            assert moment is not None
            time.sleep(max(0.0, moment - time.perf_counter()))
            user = users[rng.integers(len(users))]
            try:
                if path == "/health":
                    connection.request("GET", path)
                else:
                    body = json.dumps({"users": [user], "k": K})
                    connection.request("POST", path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                found.refused += 1
                connection.close()
                continue
            found.milliseconds.append(1_000 * (time.perf_counter() - moment))
            if answer.status != 200:
                found.refused += 1
            elif path != "/health":
                found.wrong += json.loads(content)["lists"] != [expected[user]]

    threads = [threading.Thread(target=client, args=(n,)) for n in range(settings.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Outcome(
        [each for found in outcomes for each in found.milliseconds],
        sum(found.refused for found in outcomes),
        sum(found.wrong for found in outcomes),
    )


def lists_of(run: Path) -> Lists:
    """Return the list of every user, computed by the library."""
    expected: Lists = {}
    for part in load(run, stored_ids=True).recommendations(None, K):
        columns = (part[name].tolist() for name in ("user", "item", "score"))
        for user, item, score in zip(*columns, strict=True):
            expected.setdefault(user, []).append({"id": item, "score": score})
    return expected


def row(name: str, outcome: Outcome, unit: float) -> list[str]:
    """Return a row of the table; `unit` is the median of the requests that need no search."""
    quantiles = np.quantile(outcome.milliseconds, [0.5, 0.95, 0.99])
    times = [f"{value:.1f}" for value in quantiles]
    counts = [f"{value:,}" for value in (len(outcome.milliseconds), outcome.refused, outcome.wrong)]
    return [name, *times, f"{quantiles[0] / unit:.2f}", *counts]


def main(call: Call) -> None:
    """Run the benchmark."""
    settings = call.settings(Load)
    data = random_interactions(SHAPES[settings.shape])
    rng = np.random.default_rng(0)
    tables = [
        rng.normal(size=(count, DIM)).astype(np.float32)
        for count in (data.num_users, data.num_items)
    ]
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        write_run(run, data, *tables)
        expected = lists_of(run)
        service = Service(run, "--nohistories")
        try:
            results = measured(service, expected, settings)
        finally:
            service.process.kill()
    if settings.json:
        write_json(Path(settings.json), results)


def measured(service: Service, expected: Lists, settings: Load) -> dict[str, Any]:
    """Measure a service, print what was found, and return it."""
    seconds = service.wait()
    print(f"first answer after {seconds:.1f} s", flush=True)
    health = put_under_load(service, "/health", expected, settings)
    before = service.resident_megabytes()
    lists = put_under_load(service, "/recommend", expected, settings)
    after = service.resident_megabytes()
    unit = float(np.median(health.milliseconds))
    head = ["requests", "p50, ms", "p95", "p99", "× health", "answered", "refused", "wrong"]
    rows: Sequence[list[str]] = [row("health", health, unit), row("recommend", lists, unit)]
    print("\n".join(markdown.table(head, rows)), flush=True)
    print(f"memory: {before:.0f} MB before the load, {after:.0f} MB after it", flush=True)

    restarts = []

    def kill() -> None:
        time.sleep(settings.seconds / 4)
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
        service.start(service.port)
        restarts.append(service.wait())

    killer = threading.Thread(target=kill)
    killer.start()
    killed = put_under_load(service, "/recommend", expected, settings)
    killer.join()
    (again,) = restarts
    print(
        f"killed under load: {len(killed.milliseconds):,} answers, {killed.wrong} wrong, "
        f"{killed.refused:,} refused; first answer {again:.1f} s after the restart"
    )
    return {
        "settings": dataclasses.asdict(settings),
        "start_seconds": seconds,
        "megabytes": [before, after],
        "restart_seconds": again,
        **{
            name: {
                "quantiles": np.quantile(each.milliseconds, [0.5, 0.95, 0.99]).tolist(),
                "answered": len(each.milliseconds),
                "refused": each.refused,
                "wrong": each.wrong,
            }
            for name, each in (("health", health), ("recommend", lists), ("killed", killed))
        },
    }


COMMAND = Command(
    about=__doc__ or "",
    words="",
    example="--seconds=10",
    settings=(Load,),
    run=main,
)

if __name__ == "__main__":
    app.run(COMMAND, sys.argv[1:], "benchmarks.service")
