"""The program in processes of its own: bounded in memory and time, and killed at a moment.

Every process is the leader of a group, which is killed as a whole.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MEGABYTES = 2_000
"""The most memory that a process of the tests may have resident."""
SECONDS = 20
"""How long a process may take for a damaged input; only a hang takes as long."""
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "RECNS_TF_PROGRAM": "recns-tf",
    "TF_NUM_INTRAOP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


class Done(NamedTuple):
    """How a process ended, what it wrote, and the seconds it took."""

    status: int
    stdout: str
    stderr: str
    seconds: float


class Running:
    """A process of the program."""

    def __init__(self, process, output, errors):
        self.process, self.output, self.errors = process, output, errors
        self.since = time.monotonic()

    def kill(self):
        """Kill the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, seconds):
        """Wait for the end, and return `Done`; AssertionError after `seconds`, or for memory."""
        while self.process.poll() is None:
            for number in (self.process.pid, *children(self.process.pid)):
                assert peak_megabytes(number) < MEGABYTES, "it takes too much memory"
            assert time.monotonic() < self.since + seconds, "it hangs"
            time.sleep(0.01)
        took = time.monotonic() - self.since
        return Done(self.process.returncode, text_of(self.output), text_of(self.errors), took)


def text_of(file):
    file.seek(0)
    return file.read().decode()


def peak_megabytes(number):
    """Return the largest resident size of a process since it started, 0 after its end.

    What `wait4` reports begins with the size of the process that started it.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{number}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1000
    return 0


def children(number):
    with suppress(OSError):
        return [
            int(each) for each in Path(f"/proc/{number}/task/{number}/children").read_text().split()
        ]
    return []


@contextmanager
def started(line, folder, **options):
    """Start a process, and kill its group at the end of the block."""
    # Not pipes, which a child that outlives the process would keep open.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            line,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            **{"env": os.environ | ENVIRONMENT, **options},
        )
        running = Running(process, output, errors)
        try:
            yield running
        finally:
            running.kill()


def program(*words):
    """Return the command line of the program with some words."""
    return [sys.executable, "-m", "recns_tf", *words]


def run(line, folder, seconds=SECONDS, **options):
    """Run a process to its end."""
    with started(line, folder, **options) as running:
        return running.wait(seconds)
