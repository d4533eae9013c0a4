"""Runs a command in a process of its own and measures its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from recns_tf.errors import UserError
from recns_tf.utils.child_processes import kill_with_parent, last_line, signal_text
from recns_tf.utils.parallel import CORES

KIBIBYTE = 1024
"""The unit of Linux's peak memory."""
LAUNCHER = Path(__file__).with_name("launcher.py")
THREADS = {"TF_NUM_INTRAOP_THREADS": str(CORES), "OMP_NUM_THREADS": str(CORES)}
"""Both programs get as many threads as there are cores."""


def peak_of(command: Sequence[str], log: Path, folder: Path | None = None) -> float:
    """Run a command, and return the peak resident memory of its process in GB.

    Args:
        command: the command line.
        log: file for what it prints, which is replaced.
        folder: where it runs; None for the current folder.

    Raises:
        UserError: the command fails; the message is the last line that it printed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    peak = log.with_suffix(".peak").absolute()
    with log.open("wb") as output:
        status = subprocess.call(
            [sys.executable, str(LAUNCHER), str(peak), *command],
            cwd=folder,
            env=os.environ | THREADS,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(kill_with_parent, os.getpid()),
        )
    if status:
        raise UserError(f"{last_line(log)}{signal_text(status)} ({log})")
    kibibytes = int(peak.read_text(encoding="utf-8"))
    peak.unlink()
    return kibibytes * KIBIBYTE / 1e9
