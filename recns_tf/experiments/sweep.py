"""Many runs, each in a process of its own, so that one that fails costs no other.

A cell that is finished is never run again, and one that was interrupted goes on: a sweep that
was killed ends, when the same command is given again, with the tables it would have had.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from recns_tf.config.config import Workspace
from recns_tf.experiments.cells import DONE, Cell, distinct, is_locked, results_of, state
from recns_tf.utils.files import write_json
from recns_tf.utils.parallel import CORES

ROOT = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1
WRITTEN_TO = "another process is writing to"
SECONDS_BETWEEN_LOOKS = 0.2

Command = Callable[[Cell, Path, Workspace], list[str]]
"""Returns the command line of a cell, given where its settings stand."""


class Failure(NamedTuple):
    """A cell that came to no end: its name, the last line it wrote, and its log."""

    name: str
    last_line: str
    log: Path


class Running(NamedTuple):
    """A process at work on a cell."""

    cell: Cell
    process: subprocess.Popen[bytes]
    log: Path
    since: float


def train_command(cell: Cell, settings: Path, workspace: Workspace) -> list[str]:
    """Return the command line that trains a cell."""
    return [
        *(sys.executable, "-m", "recns_tf", "train", cell.config.dataset, cell.config.encoder),
        *(f"--config={settings}", f"--run_name={cell.name}"),
        *(f"--runs_dir={workspace.runs_dir}", f"--data_dir={workspace.data_dir}"),
    ]


def sweep(
    cells: Sequence[Cell],
    workspace: Workspace,
    folder: Path,
    jobs: int,
    command: Command = train_command,
) -> list[Failure]:
    """Run the cells that are not finished.

    Args:
        cells: the runs; one that stands there twice is run once.
        workspace: where data and runs are.
        folder: of the sweep, for settings/NAME.json and logs/NAME.log.
        jobs: how many run side by side.
        command: of a cell.

    Returns:
        Those that failed; all others are finished.

    Raises:
        UserError: a folder is damaged or of a run with other settings. Nothing was run.
    """
    cells = distinct(cells)
    todo = [cell for cell in cells if state(cell, Path(workspace.runs_dir)) != DONE]
    if len(todo) < len(cells):
        print(f"{len(cells) - len(todo)} of {len(cells)} runs are finished already", flush=True)
    work = Work(todo, workspace, folder, jobs, command, total=len(cells))
    try:
        while work.waiting or work.running:
            work.start_some()
            time.sleep(SECONDS_BETWEEN_LOOKS)
            work.collect()
    finally:
        work.stop()
    return work.failures


class Work:
    """The runs that wait, those at work, and what came of the others.

    Args:
        cells: that are not finished.
        workspace, folder, jobs, command: as for `sweep`.
        total: how many cells there are, with those that were finished before.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        workspace: Workspace,
        folder: Path,
        jobs: int,
        command: Command,
        total: int,
    ):
        self.waiting = deque(cells)
        self.running: list[Running] = []
        self.failures: list[Failure] = []
        self.workspace, self.folder, self.command = workspace, folder, command
        self.runs_dir = Path(workspace.runs_dir)
        self.jobs, self.total = jobs, total
        self.seconds: list[float] = []
        self.told: set[str] = set()

    def start_some(self) -> None:
        """Start waiting cells until as many run as may; pass over those that others hold."""
        for _ in range(len(self.waiting)):
            if len(self.running) == self.jobs:
                return
            cell = self.waiting.popleft()
            if is_locked(cell, self.runs_dir):
                if cell.name not in self.told:
                    print(f"{cell.name} waits: {WRITTEN_TO} it", flush=True)
                self.told.add(cell.name)
                self.waiting.append(cell)
            elif results_of(cell, self.runs_dir) is None:
                self.running.append(
                    start(cell, self.workspace, self.folder, self.jobs, self.command)
                )
            else:
                self.tell(cell, "finished by another process")

    def collect(self) -> None:
        """Take up the processes that ended."""
        for one in [one for one in self.running if one.process.poll() is not None]:
            self.running.remove(one)
            took = time.monotonic() - one.since
            last = last_line(one.log)
            if one.process.returncode and WRITTEN_TO in last:
                # Another sweep began the same run between our look and our process's.
                self.waiting.append(one.cell)
                continue
            results = results_of(one.cell, self.runs_dir)
            if results is None:
                said = f"failed after {took:.0f} s: {last}{killed(one.process.returncode)}"
                self.failures.append(Failure(one.cell.name, said, one.log))
            else:
                said = f"{took:.0f} s, test Recall@20 {results['test']['recall@20']:.4f}"
                self.seconds.append(took)
            self.tell(one.cell, said)

    def tell(self, cell: Cell, said: str) -> None:
        """Print the line of a cell that ended."""
        left = len(self.waiting) + len(self.running)
        ended = f"[{self.total - left} of {self.total}]"
        print(f"{ended} {cell.name}: {said}{time_left(self.seconds, left, self.jobs)}", flush=True)

    def stop(self) -> None:
        """End the processes at work; their runs can be gone on with."""
        for one in self.running:
            one.process.terminate()
        for one in self.running:
            one.process.wait()


def start(cell: Cell, workspace: Workspace, folder: Path, jobs: int, command: Command) -> Running:
    """Start the process of a cell, whose output goes to its log."""
    settings = folder / "settings" / f"{cell.name}.json"
    write_json(settings, cell.config.to_json())
    log = folder / "logs" / f"{cell.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    threads = str(max(1, CORES // jobs))
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads}
    parent = os.getpid()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(cell, settings, workspace),
            env=environment | os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: end_with(parent),
        )
    return Running(cell, process, log, time.monotonic())


def end_with(parent: int) -> None:
    """Have this process killed when its parent ends, however that comes about.

    A run that outlived its sweep would compete with the next one. Elsewhere than on Linux it
    does, and the next sweep waits until it has let go of its folder.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def last_line(log: Path) -> str:
    """Return the last line of a log that is not empty."""
    lines = re.split(r"[\r\n]+", log.read_text(encoding="utf-8", errors="replace").strip())
    return lines[-1].strip()


def killed(status: int) -> str:
    """Return what to add on a process that a signal ended."""
    if status >= 0:
        return ""
    memory = ", perhaps for want of memory" if status == -signal.SIGKILL else ""
    return f" (ended by signal {-status}{memory})"


def time_left(seconds: Sequence[float], left: int, jobs: int) -> str:
    """Return how long the runs that are left will take, if those that ended tell."""
    if not left or not seconds:
        return ""
    rounds = -(-left // jobs)
    return f"; {left} left, about {duration(statistics.mean(seconds) * rounds)}"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
