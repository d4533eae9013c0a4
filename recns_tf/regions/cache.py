"""On-disk cache of built regions, one folder each, written atomically and verified on read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from recns_tf.regions.storage import StoredRegion
from recns_tf.utils.damage import Damaged, reading
from recns_tf.utils.failures import naming_the_disk
from recns_tf.utils.files import read_object, sha256, write_json
from recns_tf.utils.locks import lock, remove_abandoned

FORMAT = 1
ABOUT = "about.json"
ARRAYS = {"lists": {"starts", "items", "missing"}, "bitmap": {"words"}, "sizes": set()}
"""The arrays of each form, in addition to the counts."""


def cached(
    directory: Path | None,
    train: csr_array,
    settings: dict[str, Any],
    build: Callable[[], StoredRegion],
) -> StoredRegion:
    """Return the regions that `build` makes, read from `directory` if they are cached there.

    The folder's name contains a hash of the train positives and of `settings`. If two processes
    need the same regions, the second waits until the first has built them. In a read-only directory
    the regions are built but not cached. Damaged regions are replaced, with a line on stderr.

    Args:
        directory: folder of the cache; None disables it.
        train: boolean CSR array [num_users, num_items] of train positives.
        settings: everything else that the regions depend on.
        build: builds the regions.
    """
    if directory is None:
        return build()
    key = {"format": FORMAT, "train": checksum(train), **settings}
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = directory / f"region-{digest[:12]}"
    locked = directory / f".{path.name}.lock"
    if path.exists():
        try:
            form = read(path, key)
        except Damaged as error:
            print(error, file=sys.stderr)
        else:
            remove_abandoned(locked)
            return form
    with ExitStack() as stack:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock(locked))
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            print(f"{directory} is not writable: the region is not cached for the next run.")
            return build()
        try:
            # Another process may have saved it while this one waited.
            return read(path, key)
        except Damaged:
            save(path, key, build())
            return read(path, key)


def checksum(train: csr_array) -> str:
    """Return the SHA-256 of a CSR array's shape and nonzeros."""
    digest = hashlib.sha256(repr(train.shape).encode())
    digest.update(np.ascontiguousarray(train.indptr, dtype=np.int64).data)
    digest.update(np.ascontiguousarray(train.indices, dtype=np.int32).data)
    return digest.hexdigest()


def save(path: Path, key: dict[str, Any], form: StoredRegion) -> None:
    """Write regions into the folder `path`, which is replaced; the caller holds its lock."""
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with naming_the_disk(path):
        part.mkdir()
        try:
            checksums = {}
            for name, array in {"counts": form.counts, **form.arrays}.items():
                np.save(part / f"{name}.npy", array, allow_pickle=False)
                checksums[name] = sha256(part / f"{name}.npy")
            write_json(part / ABOUT, {"form": form.name, "key": key, "sha256": checksums})
            shutil.rmtree(path, ignore_errors=True)
            os.rename(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def read(path: Path, key: dict[str, Any]) -> StoredRegion:
    """Read regions written by `save`, with memory-mapped arrays.

    Raises:
        UserError: a file is missing, truncated or does not match its checksum, or the key differs.
    """
    with reading(path, "the region is built anew"):
        about = read_object(path / ABOUT)
        if about["key"] != key:
            raise ValueError("it belongs to other data or settings")
        if about["sha256"].keys() != {"counts"} | ARRAYS[about["form"]]:
            raise ValueError("its files do not match its form")
        arrays = {}
        for name, expected in about["sha256"].items():
            file = path / f"{name}.npy"
            if sha256(file) != expected:
                raise ValueError(f"the checksum of {file.name} does not match")
            arrays[name] = np.load(file, mmap_mode="r", allow_pickle=False)
        return StoredRegion(about["form"], np.asarray(arrays.pop("counts")), arrays)
