"""On-disk cache of arrays, one folder per entry, written atomically and verified on read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.utils.damage import Damaged, reading
from recns_tf.utils.failures import naming_the_disk
from recns_tf.utils.files import read_object, sha256, write_json
from recns_tf.utils.locks import lock, remove_abandoned

ABOUT = "about.json"


class Stored(NamedTuple):
    """An entry of the cache.

    Attributes:
        form: which arrays there are; a key of `Kind.forms`.
        arrays: the arrays by name.
    """

    form: str
    arrays: dict[str, NDArray[Any]]


class Kind(NamedTuple):
    """A kind of entries.

    Attributes:
        name: how the names of their folders begin.
        what: what an entry is, singular, for messages.
        forms: the names of the arrays of each form.
    """

    name: str
    what: str
    forms: Mapping[str, set[str]]


def cached(directory: Path, kind: Kind, key: dict[str, Any], build: Callable[[], Stored]) -> Stored:
    """Return the entry that `build` makes, read from `directory` if it is cached there.

    The folder's name contains a hash of `key`. If two processes need the same entry, the second
    waits until the first has built it. In a read-only directory the entry is built but not cached.
    A damaged entry is replaced, with a line on stderr.

    Args:
        directory: folder of the cache.
        kind: the kind of the entry.
        key: everything that the entry depends on, as JSON has it, with the version of its format.
        build: builds the entry.

    Returns:
        The entry; its arrays are memory-mapped if they were read.

    Raises:
        UserError: the disk is full, or the system refuses to read the entry.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = directory / f"{kind.name}-{digest[:12]}"
    locked = directory / f".{path.name}.lock"
    if path.exists():
        try:
            entry = read(path, kind, key)
        except Damaged as error:
            print(error, file=sys.stderr)
        else:
            remove_abandoned(locked)
            return entry
    with ExitStack() as stack:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock(locked))
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            print(f"{directory} is not writable: {kind.what} is not cached for the next run.")
            return build()
        try:
            # Another process may have saved it while this one waited.
            return read(path, kind, key)
        except Damaged:
            save(path, key, build())
            return read(path, kind, key)


def checksum(rows: csr_array) -> str:
    """Return the SHA-256 of a CSR array's shape and nonzeros."""
    digest = hashlib.sha256(repr(rows.shape).encode())
    digest.update(np.ascontiguousarray(rows.indptr, dtype=np.int64).data)
    digest.update(np.ascontiguousarray(rows.indices, dtype=np.int32).data)
    return digest.hexdigest()


def save(path: Path, key: dict[str, Any], entry: Stored) -> None:
    """Write an entry into the folder `path`, which is replaced; the caller holds its lock."""
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with naming_the_disk(path):
        part.mkdir()
        try:
            checksums = {}
            for name, array in entry.arrays.items():
                np.save(part / f"{name}.npy", array, allow_pickle=False)
                checksums[name] = sha256(part / f"{name}.npy")
            write_json(part / ABOUT, {"form": entry.form, "key": key, "sha256": checksums})
            shutil.rmtree(path, ignore_errors=True)
            os.rename(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def read(path: Path, kind: Kind, key: dict[str, Any]) -> Stored:
    """Read an entry written by `save`, with memory-mapped arrays.

    Raises:
        Damaged: a file is missing, truncated or does not match its checksum, or the key differs.
    """
    with reading(path, f"{kind.what} is built anew"):
        about = read_object(path / ABOUT)
        if about["key"] != key:
            raise ValueError("it belongs to other data or settings")
        if about["sha256"].keys() != kind.forms[about["form"]]:
            raise ValueError("its files do not match its form")
        arrays = {}
        for name, expected in about["sha256"].items():
            file = path / f"{name}.npy"
            if sha256(file) != expected:
                raise ValueError(f"the checksum of {file.name} does not match")
            arrays[name] = np.load(file, mmap_mode="r", allow_pickle=False)
        return Stored(about["form"], arrays)
