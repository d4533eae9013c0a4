"""Locks on files, which the system releases when a process ends for any reason."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def lock(path: Path, wait: bool = True) -> Iterator[BinaryIO]:
    """Open `path` for appending under an exclusive lock; remove it at the end if it is empty.

    Args:
        path: the file, created if it is missing.
        wait: whether to wait for another holder of the lock.

    Raises:
        BlockingIOError: another holder has the lock, and `wait` is False.
        OSError: the file cannot be opened.
    """
    while True:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The previous holder of the lock may have moved or removed the file.
            if not is_same_file(file, path):
                continue
            try:
                yield file
            finally:
                if not file.seek(0, os.SEEK_END) and is_same_file(file, path):
                    path.unlink()
            return


def remove_abandoned(path: Path) -> None:
    """Remove the lock file that a killed process left, unless another one holds it or cannot."""
    if path.exists():
        with suppress(OSError), lock(path, wait=False):
            pass


def is_same_file(file: BinaryIO, path: Path) -> bool:
    """Return whether the open `file` is still at `path`."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False
