"""Interactions on disk: one compact binary file, verified when it is read."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
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
    """Return the Interactions made from `source`, from the cache where it holds them.

    The file's name carries a hash of `source` (the log's checksum, the split's settings), so
    another log or another split never meets this one's cache.

    Raises:
        UserError: the cache file is damaged.
    """
    key = json.dumps({"format": FORMAT, **source}, sort_keys=True)
    path = directory / f"interactions-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    if not path.exists():
        save(path, build())
    return read(path)


def save(path: Path, interactions: Interactions) -> None:
    """Write Interactions to `path` atomically, with their checksum."""
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


def read(path: Path) -> Interactions:
    """Read what `save` wrote.

    Raises:
        UserError: the file is cut off, not ours, or its content does not match its checksum.
    """
    try:
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
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"the cache {path} is damaged ({error}): delete it and run again to rebuild it."
        ) from error
    return interactions
