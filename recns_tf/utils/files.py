"""Atomic writes of files, reading of JSON, and checksums."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from glob import escape
from pathlib import Path
from typing import Any

from recns_tf.utils.failures import naming_the_disk

LARGEST_JSON = 64 * 2**20
"""Bytes of a JSON file above which it is not read."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, renamed to `path` when the block succeeds.

    If the block raises, the temporary file is deleted; that of a killed process is deleted by the
    next one that writes `path`. Readers never see a partial file, also after a power failure. The
    temporary name keeps the suffix of `path`, which some writers require. An OSError on the
    temporary file names `path`, which the user knows.

    Raises:
        UserError: the disk is full.

    Example:
        >>> with atomic(Path("out.npy")) as temporary:
        ...     np.save(temporary, array)
    """
    temporary = path.with_name(f".{os.getpid()}-{process_space()}.{path.name}")
    with naming_the_disk(path), shown_as(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        delete_abandoned(path)
        try:
            # Not every library says which file it cannot create.
            temporary.touch()
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def delete_abandoned(path: Path) -> None:
    """Delete the temporary files for `path` of processes that were killed while writing it.

    Those of other computers and containers, whose processes have other numbers, are left alone.
    """
    ending = f"-{process_space()}.{path.name}"
    for file in path.parent.glob(f".[0-9]*{escape(ending)}"):
        number = file.name[1:].removesuffix(ending)
        if number.isdecimal() and not is_running(int(number)):
            # Another user's file may have to stay, which harms nothing.
            with suppress(OSError):
                file.unlink()


@cache
def process_space() -> str:
    """Return a short name of the space in which this process has its number.

    It is that of the running system and, on Linux, of its container.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        name = f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        name = platform.node()
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def is_running(process: int) -> bool:
    """Return whether there is a process with a number, of any user."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def shown_as(path: Path, *hidden: Path) -> Iterator[None]:
    """Let an OSError on one of the hidden neighbors of `path` name `path`."""
    try:
        yield
    except OSError as error:
        if str(error.filename) in map(str, hidden):
            error.filename, error.filename2 = str(path), None
        raise


def sync(path: Path) -> None:
    """Wait until a file, or the list of the files in a folder, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot do this for folders.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, in UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically as indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Return the value of a JSON file; of repeated keys, the last one counts.

    Read every JSON file with it, inside `damage.reading`.

    Raises:
        ValueError: the file is not JSON in UTF-8, is nested too deeply, or is larger than 64 MB.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise ValueError(f"it has more than {LARGEST_JSON:,} bytes")
    return parse_json(content)


def parse_json(content: bytes) -> Any:
    """Return the value of JSON text in UTF-8.

    Raises:
        ValueError: it is not JSON in UTF-8, or is nested too deeply.
    """
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_object(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file.

    Raises:
        ValueError: as in `read_json`, or the value is not an object.
        OSError: the file cannot be opened.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file at `path` in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_sha1(path: Path) -> str:
    """Return the SHA-1 that `git hash-object` prints for the file at `path`."""
    with path.open("rb") as file:
        header = b"blob %d\0" % os.fstat(file.fileno()).st_size
        return hashlib.file_digest(file, lambda: hashlib.sha1(header)).hexdigest()
