"""Run many cells, each in its own process, so that a failure does not affect the others.

Finished cells are not run again, and interrupted ones resume. Repeating the command of a killed
sweep therefore produces the tables of an uninterrupted one.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from recns_tf.config.config import Workspace
from recns_tf.config.custom_parts import custom_parts
from recns_tf.experiments.cells import DONE, Cell, is_locked, results_of, state, unique_cells
from recns_tf.utils import child_processes
from recns_tf.utils.child_processes import command_line, last_line, signal_text
from recns_tf.utils.files import write_json

WRITTEN_TO = "another process is writing to"
POLL_SECONDS = 0.2

Command = Callable[[Cell, Path, Workspace], list[str]]
"""Returns the command line that runs a cell, given the path of its settings file."""


class Failure(NamedTuple):
    """A cell that failed.

    Attributes:
        name: name of the cell.
        message: the reason: the exit and the last line of output.
        log: path of its log.
    """

    name: str
    message: str
    log: Path


class Running(NamedTuple):
    """The process that runs a cell, with its start time in seconds."""

    cell: Cell
    process: subprocess.Popen[bytes]
    log: Path
    since: float


def train_command(cell: Cell, settings: Path, workspace: Workspace) -> list[str]:
    """Return the command line that trains a cell; it names parts outside the package."""
    custom = custom_parts({"sampler": cell.config.sampler, "loss": cell.config.loss})
    return [
        *command_line("train", cell.config.dataset, cell.config.encoder),
        *(f"--config={settings}", f"--run_name={cell.name}"),
        *(f"--runs_dir={workspace.runs_dir}", f"--data_dir={workspace.data_dir}"),
        *(f"--{part}={name}" for part, name in custom.items()),
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
        cells: the runs; duplicates are run once.
        workspace: the folders of data and runs.
        folder: the folder of the sweep, for settings/NAME.json and logs/NAME.log.
        jobs: number of parallel runs.
        command: returns the command line of a cell.

    Returns:
        The failures; all other cells are finished.

    Raises:
        UserError: a folder is damaged or holds a run with other settings. No cell was run.
    """
    cells = unique_cells(cells)
    todo = [cell for cell in cells if state(cell, Path(workspace.runs_dir)) != DONE]
    if len(todo) < len(cells):
        print(f"{len(cells) - len(todo)} of {len(cells)} runs are finished already", flush=True)
    queue = JobQueue(todo, workspace, folder, jobs, command, total=len(cells))
    try:
        while queue.waiting or queue.running:
            queue.start_jobs()
            time.sleep(POLL_SECONDS)
            queue.collect()
    finally:
        queue.stop()
    return queue.failures


class JobQueue:
    """The waiting and running cells of a sweep, and its failures.

    Args:
        cells: the unfinished cells.
        workspace, folder, jobs, command: see `sweep`.
        total: number of all cells, including those finished before.
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
        self.announced: set[str] = set()

    def start_jobs(self) -> None:
        """Start waiting cells up to `jobs`; skip those locked by another process."""
        for _ in range(len(self.waiting)):
            if len(self.running) == self.jobs:
                return
            cell = self.waiting.popleft()
            if is_locked(cell, self.runs_dir):
                if cell.name not in self.announced:
                    print(f"{cell.name} waits: {WRITTEN_TO} it", flush=True)
                self.announced.add(cell.name)
                self.waiting.append(cell)
            elif results_of(cell, self.runs_dir) is None:
                self.running.append(
                    start(cell, self.workspace, self.folder, self.jobs, self.command)
                )
            else:
                self.print_outcome(cell, "finished by another process")

    def collect(self) -> None:
        """Process the cells that have ended."""
        for ended in [each for each in self.running if each.process.poll() is not None]:
            self.running.remove(ended)
            seconds = time.monotonic() - ended.since
            last = last_line(ended.log)
            is_taken = WRITTEN_TO in last or is_locked(ended.cell, self.runs_dir)
            if ended.process.returncode and is_taken:
                # Another sweep locked the folder after our check; it writes to the same log.
                self.waiting.append(ended.cell)
                continue
            results = results_of(ended.cell, self.runs_dir)
            if results is None:
                status = signal_text(ended.process.returncode)
                outcome = f"failed after {seconds:.0f} s: {last}{status}"
                self.failures.append(Failure(ended.cell.name, outcome, ended.log))
            else:
                outcome = f"{seconds:.0f} s, test Recall@20 {results['test']['recall@20']:.4f}"
                self.seconds.append(seconds)
            self.print_outcome(ended.cell, outcome)

    def print_outcome(self, cell: Cell, outcome: str) -> None:
        """Print the progress line of a cell that has ended."""
        left = len(self.waiting) + len(self.running)
        count = f"[{self.total - left} of {self.total}]"
        remaining = time_left(self.seconds, left, self.jobs)
        print(f"{count} {cell.name}: {outcome}{remaining}", flush=True)

    def stop(self) -> None:
        """Terminate the running processes; their runs can be resumed."""
        for each in self.running:
            each.process.terminate()
        for each in self.running:
            each.process.wait()


def start(cell: Cell, workspace: Workspace, folder: Path, jobs: int, command: Command) -> Running:
    """Start the process of a cell, with its output appended to its log."""
    settings = folder / "settings" / f"{cell.name}.json"
    write_json(settings, cell.config.to_json())
    log = folder / "logs" / f"{cell.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = child_processes.start(
            command(cell, settings, workspace), child_processes.shared_environment(jobs), output
        )
    return Running(cell, process, log, time.monotonic())


def time_left(seconds: Sequence[float], left: int, jobs: int) -> str:
    """Return the number of remaining runs and their expected time, or an empty string.

    Args:
        seconds: durations of the runs that have ended.
        left: number of remaining runs.
        jobs: number of parallel runs.
    """
    if not left or not seconds:
        return ""
    rounds = -(-left // jobs)
    return f"; {left} left, about {duration(statistics.mean(seconds) * rounds)}"


def duration(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
