"""Read embeddings saved as NumPy files by any program, in the row order of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.arrays import read_npy
from recns_tf.utils.damage import Damaged, reading
from recns_tf.utils.text import count

ADVICE = "write one array of numbers with np.save"
"""What to do if a file cannot be read."""


class Embeddings(NamedTuple):
    """User and item embeddings in the row order of a dataset.

    Attributes:
        users: float32 [U, d].
        items: float32 [I, d].
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]


class Source(NamedTuple):
    """The files of one embedding table.

    Attributes:
        flag: the flag that named the table, for messages.
        path: path of the table.
        ids_flag: the flag of the row ids, for messages.
        ids_path: path of the row ids; None if rows are in the dataset's order.
        kind: "users" or "items".
        ids: the dataset's ids, [U] or [I].
    """

    flag: str
    path: Path
    ids_flag: str
    ids_path: Path | None
    kind: str
    ids: NDArray[Any]


def read_array(flag: str, path: Path) -> NDArray[Any]:
    """Return the array of a .npy file.

    Args:
        flag: the flag that named the file, for messages.
        path: path of the file.

    Raises:
        UserError: the file is missing, truncated, not a .npy file, or holds Python objects.
    """
    if not path.is_file():
        raise UserError(f"{flag}={path}: there is no such file.")
    with reading(f"{flag}={path}", ADVICE):
        try:
            return read_npy(path)
        except (OSError, MemoryError):
            raise
        except Exception as error:
            pickled = "Object arrays" in str(error)
            what = "holds Python objects" if pickled else "is not a .npy file, or is damaged"
            raise Damaged(f"{flag}={path} {what}: {ADVICE}.") from error


def read_embeddings(interactions: Interactions, files: Mapping[str, Path]) -> Embeddings:
    """Return saved embeddings in the row order of a dataset.

    Args:
        interactions: the dataset.
        files: paths of .npy files. "users" and "items" hold floats [U, d] and [I, d], which are
            converted to float32. "user_ids" and "item_ids", which are optional, hold the id of
            each row: give them if rows are not in the dataset's order. Rows with ids that are not
            in the dataset are dropped.

    Raises:
        UserError: a file is missing or damaged, or the tables do not fit the dataset.
    """
    sources = tuple(
        Source(
            f"--{kind}s",
            files[f"{kind}s"],
            f"--{kind}_ids",
            files.get(f"{kind}_ids"),
            f"{kind}s",
            ids,
        )
        for kind, ids in (("user", interactions.user_ids), ("item", interactions.item_ids))
    )
    users, items = (source.path for source in sources)
    raw = [read_array(source.flag, source.path) for source in sources]
    for source, table in zip(sources, raw, strict=True):
        check_numbers(source, table)
    lengths = [len(table) for table in raw]
    wanted = [interactions.num_users, interactions.num_items]
    if len(files) == 2 and lengths != wanted and lengths == wanted[::-1]:
        raise UserError(
            f"--users={users} has as many rows as {interactions.name} has items, and --items as "
            "many as it has users: the two are swapped."
        )
    if raw[0].shape[1] != raw[1].shape[1]:
        raise UserError(
            f"--users={users} has {count(raw[0].shape[1], 'column')} and "
            f"--items={items} {raw[1].shape[1]}: both need the same number, the dimension of the "
            "embeddings."
        )
    return Embeddings(
        *(
            align_rows(source, table, interactions.name).astype(np.float32)
            for source, table in zip(sources, raw, strict=True)
        )
    )


def check_numbers(source: Source, table: NDArray[Any]) -> None:
    """Raise UserError unless `table` is a matrix of finite floats."""
    where = f"{source.flag}={source.path}"
    if table.ndim != 2 or not table.shape[1]:
        raise UserError(
            f"{where} has the shape {table.shape}: choose a table with one row for each of the "
            f"{source.kind}."
        )
    if table.dtype.kind != "f":
        raise UserError(f"{where} holds {table.dtype}: choose a table of float32.")
    # Values beyond the range of float32 become infinite.
    with np.errstate(over="ignore"):
        finite = np.isfinite(table.astype(np.float32)).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{where} holds NaN or infinity, first in row {int(np.argmin(finite))}, counted from 0."
        )


def align_rows(source: Source, table: NDArray[Any], dataset: str) -> NDArray[Any]:
    """Return the rows of `table` in the dataset's order.

    Raises:
        UserError: a user or item of the dataset has no row, or more than one.
    """
    where = f"{source.flag}={source.path}"
    if source.ids_path is None:
        if len(table) != len(source.ids):
            raise UserError(
                f"{where} has {count(len(table), 'row')}, but {dataset} has {len(source.ids):,} "
                f"{source.kind}: choose a table of the same data, or give the ids of its rows with "
                f"{source.ids_flag}."
            )
        return table
    found = read_array(source.ids_flag, source.ids_path)
    about = f"{source.ids_flag}={source.ids_path}"
    if found.shape != (len(table),) or found.dtype.kind not in "iuUS":
        raise UserError(
            f"{about} is {found.dtype} of the shape {found.shape}: choose {len(table):,} integers "
            f"or strings, the ids of the rows of {where}."
        )
    row_ids = found.astype(str)
    order = np.argsort(row_ids, kind="stable")
    repeated = np.flatnonzero(row_ids[order][1:] == row_ids[order][:-1])
    if len(repeated):
        raise UserError(f"{about} holds the id {row_ids[order][repeated[0]]} twice.")
    wanted = source.ids.astype(str)
    missing, places = np.ones(len(wanted), dtype=bool), np.zeros(len(wanted), dtype=np.int64)
    if len(row_ids):
        places = np.minimum(np.searchsorted(row_ids, wanted, sorter=order), len(row_ids) - 1)
        missing = wanted != row_ids[order[places]]
    if missing.any():
        raise UserError(
            f"{about} lacks {int(missing.sum()):,} of the {len(wanted):,} {source.kind} of "
            f"{dataset}, {wanted[missing][0]} among them."
        )
    return table[order[places]]


def read_run(interactions: Interactions, path: Path) -> Embeddings:
    """Return the embeddings of a finished run.

    Args:
        interactions: the dataset.
        path: the run's folder.

    Raises:
        UserError: the run is not finished, was trained on other data, or a file is damaged or was
            changed.
    """
    run = RunFolder(path)
    results = run.read_results()
    if results is None:
        raise UserError(f"--run={path} is not a finished run: choose a folder such as runs/NAME.")
    if results["data"]["checksum"] != interactions.checksum:
        raise UserError(
            f"--run={path} was trained on other data than {interactions.name} with these flags."
        )
    folder = run.embeddings
    for name in ("user_ids", "item_ids", "user", "item"):
        run.manifest.verify(folder / f"{name}.npy")
    for kind, ids in (("user", interactions.user_ids), ("item", interactions.item_ids)):
        saved = read_array("--run", folder / f"{kind}_ids.npy")
        if not np.array_equal(saved.astype(str), ids.astype(str)):
            raise UserError(
                f"{folder}/{kind}_ids.npy: these are not the ids of {interactions.name}."
            )
    tables = {}
    for kind, ids in (("user", interactions.user_ids), ("item", interactions.item_ids)):
        file = folder / f"{kind}.npy"
        source = Source("--run", file, "", None, f"{kind}s", ids)
        table = read_array("--run", file)
        check_numbers(source, table)
        tables[f"{kind}s"] = align_rows(source, table, interactions.name).astype(np.float32)
    return Embeddings(**tables)
