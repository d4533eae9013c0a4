"""Failures of the machine, such as a full disk, as one sentence, whichever library reports them."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recns_tf.errors import UserError
from recns_tf.utils.memory import device_of, is_out_of_memory
from recns_tf.utils.text import bytes_text

FULL_DISK = "{} is full: free some space and run the same command again."
FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_TEXT = re.compile(r"no space left on device|disk quota exceeded|\d+ requested and \d+ written")
"""What libraries write of a full disk, the last of them NumPy."""


def is_full(error: BaseException) -> bool:
    """Return whether an exception of any library reports a full disk; its causes do not count."""
    in_text = FULL_TEXT.search(str(error).lower()) is not None
    return getattr(error, "errno", None) in FULL or in_text


def full_disk(place: Path | str) -> str:
    """Return a sentence on a full disk.

    Args:
        place: the file or folder that was written, "" if unknown. Instead of a hidden one, which
            is temporary, or a file in it, the folder around it is named.
    """
    if not str(place):
        return FULL_DISK.format("the disk")
    path = Path(place)
    if path.parent.name.startswith("."):
        path = path.parent
    if path.name.startswith("."):
        path = path.parent
    return FULL_DISK.format(f"the disk of {path}")


@contextmanager
def naming_the_disk(place: Path) -> Iterator[None]:
    """Turn a full disk within the block into a UserError that names the file or folder `place`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if any(map(is_full, chain(error))):
            raise UserError(full_disk(place)) from error
        raise


def sentence(error: BaseException, *, folder: Path | str = "", advice: str = "") -> str:
    """Return a sentence on a full disk or exhausted memory, or "" for other errors.

    Args:
        error: an exception of any library; those that caused it are considered, too.
        folder: where the program was writing, if the error does not name a file.
        advice: what takes less memory, such as "choose a smaller --dim".
    """
    for each in chain(error):
        if is_full(each):
            return full_disk(getattr(each, "filename", None) or folder)
        if is_out_of_memory(each):
            device = device_of(each)
            where = f" on {device}" if device else ""
            what = f"use less data or a {'device' if device else 'machine'} with more memory"
            return f"out of memory{where}: {advice or what}."
    return ""


@contextmanager
def explained(*, folder: Path | str = "", advice: str = "") -> Iterator[None]:
    """Turn a full disk or exhausted memory within the block into a UserError; see `sentence`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if text := sentence(error, folder=folder, advice=advice):
            raise UserError(text) from error
        raise


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, its cause, the cause of that, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def require_space(folder: Path, size: int, what: str) -> None:
    """Raise UserError unless a folder has room for `size` more bytes.

    Some libraries, such as HDF5, crash on a full disk. A quota counts only if the file system
    reports what it leaves as its free space.

    Args:
        folder: an existing folder.
        size: number of bytes.
        what: what they are for, for the message.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise UserError(
            f"the disk of {folder} is full: {what} needs {bytes_text(size)}, {bytes_text(free)} "
            "are free; free some space and run the same command again."
        )
