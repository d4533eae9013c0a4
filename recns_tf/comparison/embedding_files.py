"""Embeddings that any program saved as NumPy files, checked, in the order of a dataset's rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder


class Embeddings(NamedTuple):
    """A pair of tables whose rows are numbered as in a dataset.

    Attributes:
        users: float32 [U, d].
        items: float32 [I, d].
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]


class Source(NamedTuple):
    """Where one of the two tables is, and what it is of.

    Attributes:
        flag: that named the file, for messages.
        path: of the table.
        ids_flag, ids_path: likewise of the ids of its rows; None where they are the dataset's.
        kind: "users" or "items".
        ids: of the dataset, [U] or [I].
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
        flag: that named it.
        path: of the file.

    Raises:
        UserError: it is absent, no .npy file, cut short, or holds Python objects.
    """
    if not path.is_file():
        raise UserError(f"{flag}={path}: there is no such file.")
    try:
        with path.open("rb") as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        pickled = "Object arrays" in str(error)
        what = "holds Python objects" if pickled else "is no .npy file, or is damaged"
        raise UserError(f"{flag}={path} {what}: write one array of numbers by np.save.") from error
    return array


def read_embeddings(interactions: Interactions, files: Mapping[str, Path]) -> Embeddings:
    """Return two saved tables in the order of the dataset's users and items.

    Args:
        interactions: the dataset.
        files: "users" and "items" are .npy files, float [U, d] and [I, d]; any float becomes
            float32. "user_ids" and "item_ids" are .npy files with the id of each row, if rows
            are in another order than the dataset's; rows with ids that the dataset does not have
            are left out.

    Raises:
        UserError: a file is absent or damaged, or the two are no embeddings of the dataset.
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
            f"--users={users} has as many rows as {interactions.name} has items, and --items as it "
            "has users: the two are swapped."
        )
    if raw[0].shape[1] != raw[1].shape[1]:
        raise UserError(
            f"--users={users} has {raw[0].shape[1]} columns and --items={items} "
            f"{raw[1].shape[1]}: both must have as many, the dimension of the embeddings."
        )
    return Embeddings(
        *(
            in_order(source, table, interactions.name).astype(np.float32)
            for source, table in zip(sources, raw, strict=True)
        )
    )


def check_numbers(source: Source, table: NDArray[Any]) -> None:
    """Raise UserError unless `table` is a matrix of finite floats."""
    where = f"{source.flag}={source.path}"
    if table.ndim != 2 or not table.shape[1]:
        raise UserError(
            f"{where} has the shape {table.shape}: choose a table with a row for each of the "
            f"{source.kind}."
        )
    if table.dtype.kind != "f":
        raise UserError(f"{where} holds {table.dtype}: choose a table of float32.")
    # Beyond float32 is infinite, too.
    with np.errstate(over="ignore"):
        finite = np.isfinite(table.astype(np.float32)).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{where} holds NaN or infinity, first in row {int(np.argmin(finite))}, counted from 0."
        )


def in_order(source: Source, table: NDArray[Any], dataset: str) -> NDArray[Any]:
    """Return the rows of `table` in the dataset's order.

    Raises:
        UserError: there is not one row for each of the dataset's users or items.
    """
    where = f"{source.flag}={source.path}"
    if source.ids_path is None:
        if len(table) != len(source.ids):
            raise UserError(
                f"{where} has {len(table):,} rows where {dataset} has {len(source.ids):,} "
                f"{source.kind}: choose a table of the same data, or tell the ids of its rows by "
                f"{source.ids_flag}."
            )
        return table
    found = read_array(source.ids_flag, source.ids_path)
    about = f"{source.ids_flag}={source.ids_path}"
    if found.shape != (len(table),) or found.dtype.kind not in "iuUS":
        raise UserError(
            f"{about} is {found.dtype} of the shape {found.shape}: choose {len(table):,} whole "
            f"numbers or texts, the ids of the rows of {where}."
        )
    names = found.astype(str)
    order = np.argsort(names, kind="stable")
    twice = np.flatnonzero(names[order][1:] == names[order][:-1])
    if len(twice):
        raise UserError(f"{about} holds the id {names[order][twice[0]]} twice.")
    sought = source.ids.astype(str)
    places = np.minimum(np.searchsorted(names, sought, sorter=order), max(len(names) - 1, 0))
    missing = sought != names[order[places]] if len(names) else np.ones(len(sought), dtype=bool)
    if missing.any():
        raise UserError(
            f"{about} lacks {int(missing.sum()):,} of the {len(sought):,} {source.kind} of "
            f"{dataset}, {sought[missing][0]} among them."
        )
    return table[order[places]]


def read_run(interactions: Interactions, path: Path) -> Embeddings:
    """Return the embeddings that a finished run left.

    Args:
        interactions: the dataset.
        path: the run's folder.

    Raises:
        UserError: it is not that of a finished run, or its data are not this dataset.
    """
    results = RunFolder(path).read_results()
    if results is None:
        raise UserError(f"--run={path} is no finished run: choose a folder such as runs/NAME.")
    if results["data"]["checksum"] != interactions.checksum:
        raise UserError(
            f"--run={path} was trained on other data than {interactions.name} is with these flags."
        )
    folder = RunFolder(path).embeddings
    for kind, ids in (("user", interactions.user_ids), ("item", interactions.item_ids)):
        saved = read_array("--run", folder / f"{kind}_ids.npy")
        if not np.array_equal(saved.astype(str), ids.astype(str)):
            raise UserError(
                f"{folder}/{kind}_ids.npy: these are not the ids of {interactions.name}."
            )
    tables = {}
    for kind, ids in (("user", interactions.user_ids), ("item", interactions.item_ids)):
        path_there = folder / f"{kind}.npy"
        source = Source("--run", path_there, "", None, f"{kind}s", ids)
        table = read_array("--run", path_there)
        check_numbers(source, table)
        tables[f"{kind}s"] = in_order(source, table, interactions.name).astype(np.float32)
    return Embeddings(**tables)
