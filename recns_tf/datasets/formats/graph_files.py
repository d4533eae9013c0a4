"""The two formats of the authors' data, in which most graph recommenders are published, too.

**lightgcn** (LightGCN, NGCF; https://github.com/kuandeng/LightGCN): a line a user,
`user item item …`, parted by blanks, both numbered from 0, in train.txt, test.txt and perhaps
valid.txt and train_exposed.txt (items shown and not clicked).

**pinsage** (https://github.com/zyang-16/RecNS): a line a pair, `user<TAB>node`, in train.txt,
valid.txt and test.txt; users and items share one numbering, in which item v is node
num_users + v. train.txt has a third column: Pos (clicked) or Neg (exposed, not clicked).

In both, user_list.txt and item_list.txt, if there, give the original ids below the heading
`org_id remap_id`.
"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import BadValue, IdColumn, whole_numbers
from recns_tf.datasets.formats.tables import Layout, line_of_row, read_batches
from recns_tf.errors import UserError
from recns_tf.interactions import Pairs

LARGEST = 99_999_999
"""The largest number of a user or item that is believed: arrays are as long as it says."""
NUMBER_MARKS = b"0123456789 \t\r\n"
BOM = b"\xef\xbb\xbf"
LIST_LAYOUT = Layout(" ")
MOST_DIGITS = 30
PAIR_COLUMNS = ("user", "item", "type")


class Files(NamedTuple):
    """What a format reads: pairs of positions, and the ids where the format tells them."""

    train: Pairs
    valid: Pairs | None
    test: Pairs
    exposed: Pairs
    user_ids: NDArray[Any] | None = None
    item_ids: NDArray[Any] | None = None


def read_lightgcn(directory: Path, sizes: tuple[int, int] | None = None) -> Files:
    """Return the files of a folder in LightGCN's format.

    Args:
        directory: the folder; train.txt and test.txt must be there.
        sizes: num_users and num_items, if known: larger numbers are refused then.

    Raises:
        UserError: a file is absent or damaged.
    """
    ids = [read_ids(directory / f"{kind}_list.txt") for kind in ("user", "item")]
    known = sizes or (LARGEST + 1, LARGEST + 1)
    limits = tuple(
        size if each is None else len(each) for size, each in zip(known, ids, strict=True)
    )

    def read(name: str) -> Pairs | None:
        path = directory / name
        return read_adjacency(path, limits) if path.exists() else None

    exposed = read("train_exposed.txt")
    return Files(
        train=read_adjacency(directory / "train.txt", limits),
        valid=read("valid.txt"),
        test=read_adjacency(directory / "test.txt", limits),
        exposed=np.zeros((0, 2), np.int64) if exposed is None else exposed,
        user_ids=ids[0],
        item_ids=ids[1],
    )


def read_pinsage(directory: Path, sizes: tuple[int, int] | None = None) -> Files:
    """Return the files of a folder in PinSage's format; see read_lightgcn.

    Without `sizes`, the smallest node of an item is taken for that of item 0.
    """
    ids = [read_ids(directory / f"{kind}_list.txt") for kind in ("user", "item")]
    train, is_positive = read_nodes(directory / "train.txt", typed=True)
    valid, _ = read_nodes(directory / "valid.txt", typed=False)
    test, _ = read_nodes(directory / "test.txt", typed=False)
    parts = {"train.txt": train, "valid.txt": valid, "test.txt": test}
    first = min(int(part[:, 1].min()) for part in parts.values())
    num_items = LARGEST + 1 - first
    if sizes:
        first, num_items = sizes
    first = first if ids[0] is None else len(ids[0])
    last = first + (num_items if ids[1] is None else len(ids[1])) - 1
    for name, part in parts.items():
        for column, (low, high) in enumerate([(0, first - 1), (first, last)]):
            bad = np.flatnonzero((part[:, column] < low) | (part[:, column] > high))
            if len(bad):
                kind = ("user", "item")[column]
                layout = Layout("\t", PAIR_COLUMNS)
                where = line_of_row(directory / name, int(bad[0]), layout)
                raise UserError(
                    f"{where}: {kind} node {part[bad[0], column]} is not from {low} to {high}."
                )
        part[:, 1] -= first
    return Files(train[is_positive], valid, test, train[~is_positive], *ids)


def read_adjacency(path: Path, limits: tuple[int, ...] = (LARGEST + 1, LARGEST + 1)) -> Pairs:
    """Return the pairs [n, 2] of a file of lines `user item item …`, in its order.

    Args:
        path: the file.
        limits: numbers of users and of items.

    Raises:
        UserError: the file is absent, empty, or a line is not of that form, names a number that
            is not below its limit, or a user that an earlier line named.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there.")
    num_users, num_items = limits
    line_of_user: dict[int, int] = {}
    rows: list[list[int]] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{path} line {number}"
            line = line.removeprefix(BOM) if number == 1 else line
            fields = line.split()
            if not fields:
                continue
            if line.translate(None, NUMBER_MARKS):
                words = re.split(rb"[ \t\r\n]+", line.strip(NUMBER_MARKS[10:]))
                bad = next(word for word in words if not word.isdigit())
                shown = bad[:40].decode(errors="backslashreplace")
                raise UserError(f"{where}: '{shown}' is not a whole number from 0 on.")
            if not line[:1].isdigit():
                raise UserError(f"{where}: no user stands before the items.")
            # Python refuses to read numbers of thousands of digits.
            user, *items = (int(field[:MOST_DIGITS]) for field in fields)
            if user >= num_users:
                raise UserError(f"{where}: user {user} is not from 0 to {num_users - 1}.")
            if items and max(items) >= num_items:
                raise UserError(f"{where}: item {max(items)} is not from 0 to {num_items - 1}.")
            if user in line_of_user:
                raise UserError(f"{where}: user {user} has line {line_of_user[user]} already.")
            line_of_user[user] = number
            rows.append(items)
    if not rows:
        raise UserError(f"{path} has no line.")
    users = np.repeat(np.array(list(line_of_user), np.int64), [len(items) for items in rows])
    return np.stack([users, np.array(list(chain.from_iterable(rows)), np.int64)], axis=1)


def read_nodes(path: Path, typed: bool) -> tuple[Pairs, NDArray[np.bool_]]:
    """Return the pairs of nodes [n, 2] of a file of PinSage's format, in its order.

    Args:
        path: the file.
        typed: whether a third column says Pos or Neg.

    Returns:
        The pairs, and bool [n], True where a pair is positive.

    Raises:
        UserError: the file is absent, empty, or a line is not of that form.
    """
    columns = PAIR_COLUMNS[: 3 if typed else 2]
    layout = Layout("\t", columns)
    nodes: list[NDArray[np.int64]] = []
    types: list[NDArray[np.bool_]] = []
    rows = 0
    try:
        for batch in read_batches(path, columns, layout):
            pairs = [to_positions(batch[place], columns[place]) for place in range(2)]
            nodes.append(np.stack(pairs, axis=1))
            types.append(to_types(batch[2]) if typed else np.ones(len(batch[0]), dtype=bool))
            rows += len(batch[0])
    except BadValue as bad:
        where = line_of_row(path, rows + bad.row, layout)
        raise UserError(f"{where}: {bad.reason}.") from bad
    return np.concatenate(nodes), np.concatenate(types)


def to_positions(texts: pa.Array, name: str, first_row: int = 0) -> NDArray[np.int64]:
    """Return a batch of text as whole numbers from 0 to LARGEST, int64 [n].

    Raises:
        BadValue: a text is none; rows are counted from `first_row`.
    """
    numbers = whole_numbers(texts)
    if numbers is not None and (not len(numbers) or pc.max(numbers).as_py() <= LARGEST):
        return np.asarray(numbers.to_numpy())
    for row, text in enumerate(texts.to_pylist()):
        if not (text.isascii() and text.isdecimal() and int(text[:MOST_DIGITS]) <= LARGEST):
            reason = f"{name} '{text[:40]}' is not a whole number from 0 to {LARGEST}"
            raise BadValue(first_row + row, reason)
    return np.array([int(text) for text in texts.to_pylist()], dtype=np.int64)


def to_types(texts: pa.Array) -> NDArray[np.bool_]:
    """Return True for each Pos and False for each Neg of a batch.

    Raises:
        BadValue: a text is neither.
    """
    places = pc.index_in(texts, pa.array(["Neg", "Pos"]))
    if places.null_count:
        row = places.to_pylist().index(None)
        raise BadValue(row, f"type '{texts[row].as_py()}' is neither Pos nor Neg")
    return np.asarray(places.to_numpy() == 1)


def read_ids(path: Path) -> NDArray[Any] | None:
    """Return the original ids that user_list.txt or item_list.txt gives, in the order of numbers.

    Returns:
        int64 or text [n], or None if there is no such file.

    Raises:
        UserError: the file is damaged, or its numbers are not 0, 1, 2, … each once.
    """
    if not path.exists():
        return None
    ids = IdColumn("org_id", any_text=True)
    numbers: list[NDArray[np.int64]] = []
    rows = 0
    try:
        for originals, places in read_batches(path, ("org_id", "remap_id"), LIST_LAYOUT):
            ids.add(originals)
            rows, first = ids.rows, rows
            numbers.append(to_positions(places, "remap_id", first))
        codes, distinct = ids.finish()
    except BadValue as bad:
        raise UserError(f"{line_of_row(path, bad.row, LIST_LAYOUT)}: {bad.reason}.") from bad
    place = np.concatenate(numbers)
    if not np.array_equal(np.sort(place), np.arange(rows)) or len(distinct) != rows:
        raise UserError(f"{path}: its ids are not numbered 0 to {rows - 1}, each once.")
    in_order = np.empty_like(codes)
    in_order[place] = codes
    return distinct[in_order]
