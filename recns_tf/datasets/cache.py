"""Cache of Interactions: one compact binary file, verified when it is read."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from recns_tf.interactions import Interactions
from recns_tf.utils.arrays import read_npz
from recns_tf.utils.damage import Damaged, reading
from recns_tf.utils.files import atomic, parse_json

FORMAT = 1
PARTS = ("train", "valid", "test", "exposed")
HELD_OUT = "test_exposed"
"""The part that most datasets lack."""


def cached(
    directory: Path, source: dict[str, Any], build: Callable[[], Interactions]
) -> Interactions:
    """Return the cached Interactions of `source`; build and cache them if there are none.

    A damaged cache file is replaced, with a line on stderr.

    The file name contains a hash of `source` (checksum of the log, split settings), so another log
    or split has another file.

    Args:
        directory: where the cache file is.
        source: what the Interactions are made from; must be serializable as JSON.
        build: builds them.
    """
    key = json.dumps({"format": FORMAT, **source}, sort_keys=True)
    path = directory / f"interactions-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    if path.exists():
        try:
            return read(path)
        except Damaged as error:
            print(error, file=sys.stderr)
    save(path, build())
    return read(path)


def save(path: Path, interactions: Interactions) -> None:
    """Write Interactions and their checksum to `path` atomically."""
    with atomic(path) as temporary:
        write(temporary, interactions)


def write(path: Path, interactions: Interactions) -> None:
    """Write what `save` writes, straight to `path`."""
    arrays = {"user_ids": interactions.user_ids, "item_ids": interactions.item_ids}
    for part, rows in interactions.parts.items():
        arrays[f"{part}_starts"] = rows.indptr.astype(np.int64)
        arrays[f"{part}_items"] = rows.indices.astype(np.int32)
    about = {
        "name": interactions.name,
        "source": interactions.source,
        "checksum": interactions.checksum,
    }
    np.savez(path, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def find(directory: Path, checksum: str) -> Path | None:
    """Return the cache file in a folder whose Interactions have a checksum, or None.

    Raises:
        UserError: a cache file is damaged.
    """
    for path in sorted(directory.glob("interactions-*.npz")):
        with (
            reading(path, "delete it and run again to rebuild it"),
            np.load(path, allow_pickle=False) as file,
        ):
            if parse_json(str(file["about"]).encode())["checksum"] == checksum:
                return path
    return None


def read(path: Path) -> Interactions:
    """Read a file written by `save` or `write`.

    Raises:
        UserError: the file is truncated, of another format, or does not match its checksum.
    """
    with reading(path, "the dataset is made anew from its log"):
        arrays = read_npz(path)
        about = parse_json(str(arrays["about"]).encode())
        shape = (len(arrays["user_ids"]), len(arrays["item_ids"]))
        rows: dict[str, Any] = {}
        for part in (*PARTS, *([HELD_OUT] if f"{HELD_OUT}_items" in arrays else [])):
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
