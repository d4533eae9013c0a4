"""Processes that run this program for another one, and end with it."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from recns_tf.utils.parallel import CORES
from recns_tf.utils.program import PACKAGE

PR_SET_PDEATHSIG = 1
THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Environment variables that limit the threads of a process."""


def command_line(*words: str) -> list[str]:
    """Return the command line of this program with some words."""
    return [sys.executable, "-m", "recns_tf", *words]


def shared_environment(processes: int) -> dict[str, str]:
    """Return the environment of one of several processes that run at the same time.

    Each gets an equal share of the cores, unless the environment limits its threads already.

    Args:
        processes: how many there are.
    """
    threads = dict.fromkeys(THREADS, str(max(1, CORES // processes)))
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    return threads | os.environ | {"PYTHONPATH": path}


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    output: IO[bytes] | int | None,
    errors: int = subprocess.STDOUT,
) -> subprocess.Popen[bytes]:
    """Start a process without input that ends with this one.

    Args:
        command: the command line.
        environment: all its environment variables.
        output: the file that it writes to, or subprocess.PIPE; None for the screen.
        errors: where its errors go: to the same file, or to subprocess.PIPE.
    """
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else errors,
        preexec_fn=partial(kill_with_parent, os.getpid()),
    )


def kill_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when its parent ends for any reason.

    A process that outlives its parent would compete with the next command. On other systems it
    does.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def last_line(log: Path) -> str:
    """Return the last non-empty line of a log."""
    lines = re.split(r"[\r\n]+", log.read_text(encoding="utf-8", errors="replace").strip())
    return lines[-1].strip()


def signal_text(status: int) -> str:
    """Return a note on a process that was ended by a signal, or an empty string."""
    if status >= 0:
        return ""
    memory = ", perhaps out of memory" if status == -signal.SIGKILL else ""
    return f" (ended by signal {-status}{memory})"
