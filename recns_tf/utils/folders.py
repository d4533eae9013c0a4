"""Folders that appear whole or not at all, and that one process at a time writes.

Three hidden neighbors of a folder NAME exist only while it is written, or after a kill:

    .NAME.recns-lock   locked by the process that writes NAME
    .NAME.recns-new    the new content, or content to be deleted; never read
    .NAME.recns-old    the earlier NAME, between the two renames that replace it

Whoever holds the lock may put things in order: `recns-old` becomes NAME again if NAME is missing,
and everything else hidden is deleted. If NAME is a symbolic link, it stays, and the folder that it
refers to is replaced.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from recns_tf.errors import UserError
from recns_tf.utils.failures import naming_the_disk
from recns_tf.utils.files import shown_as, sync
from recns_tf.utils.locks import lock

LOCK, NEW, OLD = ".recns-lock", ".recns-new", ".recns-old"
POLL_SECONDS = 0.01
READER_SECONDS = 1.0
"""How long a reader may hold the lock before it counts as another writer."""


def real_path(target: Path) -> Path:
    """Return the path that a symbolic link refers to, or the absolute path of anything else."""
    return Path(os.path.realpath(target))


def beside(target: Path, ending: str) -> Path:
    """Return the hidden neighbor of a folder with one of the endings LOCK, NEW and OLD."""
    real = real_path(target)
    return real.parent / f".{real.name}{ending}"


@contextmanager
def claim(target: Path, refusal: str) -> Iterator[None]:
    """Lock a file or folder that is to be written, for the length of the block.

    What a killed process left there is put in order first. Parents are created; those that are
    still empty at the end are removed.

    Args:
        target: the file or folder. It need not exist.
        refusal: the message if another process writes it.

    Raises:
        UserError: another process has locked it.
    """
    with ExitStack() as stack:
        parent = real_path(target).parent
        created = [folder for folder in (parent, *parent.parents) if not folder.exists()]
        stack.callback(remove_empty, created)
        parent.mkdir(parents=True, exist_ok=True)
        locked = beside(target, LOCK)
        stack.enter_context(shown_as(target, locked, beside(target, NEW)))
        stack.enter_context(lock_of_writer(locked, refusal))
        put_in_order(target)
        yield


@contextmanager
def lock_of_writer(path: Path, refusal: str) -> Iterator[None]:
    """Lock a file, and wait for a reader that has locked it to put things in order."""
    last = time.monotonic() + READER_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock(path, wait=False))
                break
            except BlockingIOError as error:
                if time.monotonic() > last:
                    raise UserError(refusal) from error
            time.sleep(POLL_SECONDS)
        yield


@contextmanager
def replace(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block succeeds.

    If it fails, `target` is as before. The files are on disk before they appear, so that a power
    failure leaves the earlier folder or the new one.

    Args:
        target: the folder, locked by `claim`. It need not exist.

    Raises:
        UserError: the disk is full.
    """
    real, new, old = real_path(target), beside(target, NEW), beside(target, OLD)
    with naming_the_disk(target):
        # An interrupt may come as soon as the folder is there.
        try:
            new.mkdir()
            yield new
            for folder, _, files in os.walk(new):
                for name in files:
                    sync(Path(folder) / name)
                sync(Path(folder))
            if real.exists():
                os.replace(real, old)
            os.replace(new, real)
            sync(real.parent)
        finally:
            put_in_order(target)


def restore(target: Path) -> None:
    """Put back a folder whose replacement was killed, and delete what the killed process left.

    Call this before reading a folder that another command may replace. While a process is between
    its two renames, this waits until the folder is there.

    Raises:
        OSError: the folder cannot be put back.
    """
    old = beside(target, OLD)
    while any(beside(target, ending).exists() for ending in (LOCK, NEW, OLD)):
        try:
            with lock(beside(target, LOCK), wait=False):
                put_in_order(target)
                return
        except BlockingIOError:
            # Its writer is at work.
            if target.exists() or not old.exists():
                return
        except OSError:
            # Nothing can be deleted in a read-only place, but nothing need be, either.
            if target.exists() or not old.exists():
                return
            raise
        time.sleep(POLL_SECONDS)


def identity(target: Path) -> tuple[int, int] | None:
    """Call `restore`, and return what distinguishes a folder from others that had its name.

    Two of these around a look into the folder are equal unless it was replaced meanwhile. None
    stands for a missing folder, not for one between the two renames that replace it.

    Raises:
        OSError: the folder cannot be put back, or may not be looked at.
    """
    while True:
        restore(target)
        with suppress(OSError):
            found = target.stat()
            return found.st_dev, found.st_ino
        if not beside(target, OLD).exists() and not target.exists():
            return None


def restore_all(parent: Path) -> None:
    """Call `restore` for every folder in `parent` that has hidden neighbors."""
    for ending in (LOCK, NEW, OLD):
        for hidden in sorted(parent.glob(f".*{ending}")):
            restore(parent / hidden.name.removeprefix(".").removesuffix(ending))


def put_in_order(target: Path) -> None:
    """Put back the earlier folder if there is no other, and delete the rest; the lock is held."""
    real, new, old = real_path(target), beside(target, NEW), beside(target, OLD)
    shutil.rmtree(new, ignore_errors=True)
    if old.exists() and not real.exists():
        os.replace(old, real)
    elif old.exists():
        # A kill while deleting must not leave a part of a folder where it could be put back.
        os.replace(old, new)
        shutil.rmtree(new, ignore_errors=True)


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, from the innermost outward, as long as they are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
