"""Cache of Interactions: one compact binary file, verified when it is read."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.files import atomic

FORMAT = 1
PARTS = ("train", "valid", "test", "exposed")


def cached(
    directory: Path, source: dict[str, Any], build: Callable[[], Interactions]
) -> Interactions:
    """Return the cached Interactions of `source`; build and cache them if they are missing.

    The file name contains a hash of `source` (checksum of the log, split settings), so another log
    or split has another file.

    Args:
        directory: where the cache file is.
        source: what the Interactions are made from; must be serializable as JSON.
        build: builds them.

    Raises:
        UserError: the cache file is damaged.
    """
    key = json.dumps({"format": FORMAT, **source}, sort_keys=True)
    path = directory / f"interactions-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    if not path.exists():
        save(path, build())
    return read(path)


def save(path: Path, interactions: Interactions) -> None:
    """Write Interactions and their checksum to `path` atomically."""
    arrays = {"user_ids": interactions.user_ids, "item_ids": interactions.item_ids}
    for part in PARTS:
        rows = getattr(interactions, part)
        arrays[f"{part}_starts"] = rows.indptr.astype(np.int64)
        arrays[f"{part}_items"] = rows.indices.astype(np.int32)
    about = {
        "name": interactions.name,
        "source": interactions.source,
        "checksum": interactions.checksum,
    }
    with atomic(path) as temporary:
        np.savez(temporary, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def find(directory: Path, checksum: str) -> Path | None:
    """Return the cache file in a folder whose Interactions have a checksum, or None.

    Raises:
        UserError: a cache file is damaged.
    """
    for path in sorted(directory.glob("interactions-*.npz")):
        with reading(path), np.load(path, allow_pickle=False) as file:
            if json.loads(str(file["about"]))["checksum"] == checksum:
                return path
    return None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Report errors while reading a cache file as a damaged file, with a UserError."""
    try:
        yield
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"the cache {path} is damaged ({error}): delete it and run again to rebuild it."
        ) from error


def read(path: Path) -> Interactions:
    """Read a file written by `save`.

    Raises:
        UserError: the file is truncated, of another format, or does not match its checksum.
    """
    with reading(path):
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays["about"]))
        shape = (len(arrays["user_ids"]), len(arrays["item_ids"]))
        rows = {}
        for part in PARTS:
            items = arrays[f"{part}_items"]
            data = np.ones(len(items), dtype=bool)
            rows[part] = csr_array((data, items, arrays[f"{part}_starts"]), shape=shape)
        interactions = Interactions(
            name=about["name"],
            source=about["source"],
            user_ids=arrays["user_ids"],
            item_ids=arrays["item_ids"],
            **rows,
        )
        if interactions.checksum != about["checksum"]:
            raise ValueError("its checksum does not match")
    return interactions
