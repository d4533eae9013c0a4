"""Read the two file formats of the authors' data, which many graph recommenders share.

**lightgcn** (LightGCN, NGCF; https://github.com/kuandeng/LightGCN): one line per user,
`user item item …`, separated by spaces, users and items numbered from 0. The files are train.txt,
test.txt and, optionally, valid.txt and train_exposed.txt (items shown but not clicked).

**pinsage** (https://github.com/zyang-16/RecNS): one line per pair, `user<TAB>node`, in train.txt,
valid.txt and test.txt. Users and items share one numbering, in which item v is node
num_users + v. train.txt has a third column: Pos (clicked) or Neg (exposed, not clicked).

In both formats, the optional files user_list.txt and item_list.txt give the original ids, under
the header `org_id remap_id`. Without them, the largest number determines the size of the graph, so
it may be at most 10 times the pairs of all files plus 1,000,000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.adjacency import (
    LARGEST,
    MAX_DIGITS,
    line_of_user,
    read_adjacency,
)
from recns_tf.datasets.formats.ids import BadValue, IdColumn, parse_integers
from recns_tf.datasets.formats.tables import line_of_row, read_batches
from recns_tf.datasets.formats.text import Layout
from recns_tf.errors import UserError
from recns_tf.interactions import Pairs
from recns_tf.utils.text import count

MOST_PER_PAIR, MOST_ANYWAY = 10, 1_000_000
"""The largest number of a graph of unknown size, per pair in its files and besides."""
LIST_LAYOUT = Layout(" ")
PAIR_COLUMNS = ("user", "item", "type")


class Files(NamedTuple):
    """Contents of a folder: pairs of indices, and the original ids if the folder lists them."""

    train: Pairs
    valid: Pairs | None
    test: Pairs
    exposed: Pairs
    user_ids: NDArray[Any] | None = None
    item_ids: NDArray[Any] | None = None


def read_lightgcn(directory: Path, sizes: tuple[int, int] | None = None) -> Files:
    """Read a folder in LightGCN's format.

    Args:
        directory: the folder, which must contain train.txt and test.txt.
        sizes: (num_users, num_items), if known; larger numbers are then an error.

    Raises:
        UserError: a file is missing or malformed.
    """
    ids = [read_ids(directory / f"{kind}_list.txt") for kind in ("user", "item")]
    known = sizes or (LARGEST + 1, LARGEST + 1)
    limits = tuple(
        size if each is None else len(each) for size, each in zip(known, ids, strict=True)
    )

    names = ["train.txt", "test.txt"]
    names += [each for each in ("valid.txt", "train_exposed.txt") if (directory / each).exists()]
    parts = {name: read_adjacency(directory / name, limits) for name in names}
    require_dense(
        {directory / name: pairs for name, pairs in parts.items()},
        lambda path, row: line_of_user(path, int(parts[path.name][row, 0])),
        unlimited=[not sizes and each is None for each in ids],
    )
    return Files(
        train=parts["train.txt"],
        valid=parts.get("valid.txt"),
        test=parts["test.txt"],
        exposed=parts.get("train_exposed.txt", np.zeros((0, 2), np.int64)),
        user_ids=ids[0],
        item_ids=ids[1],
    )


def read_pinsage(directory: Path, sizes: tuple[int, int] | None = None) -> Files:
    """Read a folder in PinSage's format; see read_lightgcn.

    Without `sizes`, the smallest item node is assumed to be item 0.
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
    layout = Layout("\t", PAIR_COLUMNS)
    require_dense(
        {directory / name: part for name, part in parts.items()},
        lambda path, row: line_of_row(path, row, layout),
        unlimited=[not sizes and each is None for each in ids],
        first_item=first,
    )
    last = first + (num_items if ids[1] is None else len(ids[1])) - 1
    for name, part in parts.items():
        for column, (low, high) in enumerate([(0, first - 1), (first, last)]):
            bad = np.flatnonzero((part[:, column] < low) | (part[:, column] > high))
            if len(bad):
                kind = ("user", "item")[column]
                where = line_of_row(directory / name, int(bad[0]), layout)
                raise UserError(
                    f"{where}: {kind} node {part[bad[0], column]} is not from {low} to {high}."
                )
        part[:, 1] -= first
    return Files(train[is_positive], valid, test, train[~is_positive], *ids)


def require_dense(
    parts: Mapping[Path, Pairs],
    locate: Callable[[Path, int], str],
    unlimited: Sequence[bool],
    first_item: int = 0,
) -> None:
    """Raise UserError for a user or item whose number is far above what the files hold.

    Args:
        parts: the pairs of each file.
        locate: returns "FILE line N" for a file and a row of its pairs.
        unlimited: whether the number of users, and of items, is unknown.
        first_item: the number of the first item.
    """
    total = sum(map(len, parts.values()))
    most = MOST_PER_PAIR * total + MOST_ANYWAY
    for column, kind in enumerate(("user", "item")):
        last = most + (0, first_item)[column]
        for path, pairs in parts.items():
            row = int(pairs[:, column].argmax()) if len(pairs) else 0
            if unlimited[column] and len(pairs) and pairs[row, column] > last:
                raise UserError(
                    f"{locate(path, row)}: {kind} {pairs[row, column]} is above {last}, too large "
                    f"for {count(total, 'pair')} in all files: number users and items without "
                    "large gaps."
                )


def read_nodes(path: Path, typed: bool) -> tuple[Pairs, NDArray[np.bool_]]:
    """Return the pairs of nodes [n, 2] of a file in PinSage's format, in file order.

    Args:
        path: the file.
        typed: whether there is a third column, Pos or Neg.

    Returns:
        The pairs, and bool [n], True where a pair is positive.

    Raises:
        UserError: the file is missing or empty, or a line is malformed.
    """
    columns = PAIR_COLUMNS[: 3 if typed else 2]
    layout = Layout("\t", columns)
    nodes: list[NDArray[np.int64]] = []
    types: list[NDArray[np.bool_]] = []
    rows = 0
    try:
        for batch in read_batches(path, columns, layout):
            pairs = [to_indices(batch[place], columns[place]) for place in range(2)]
            nodes.append(np.stack(pairs, axis=1))
            types.append(to_types(batch[2]) if typed else np.ones(len(batch[0]), dtype=bool))
            rows += len(batch[0])
    except BadValue as bad:
        where = line_of_row(path, rows + bad.row, layout)
        raise UserError(f"{where}: {bad.reason}.") from bad
    return np.concatenate(nodes), np.concatenate(types)


def to_indices(texts: pa.Array, name: str, first_row: int = 0) -> NDArray[np.int64]:
    """Convert a batch of text to integers from 0 to LARGEST, int64 [n].

    Raises:
        BadValue: a text is not such an integer; rows are counted from `first_row`.
    """
    numbers = parse_integers(texts)
    if numbers is not None and (not len(numbers) or pc.max(numbers).as_py() <= LARGEST):
        return np.asarray(numbers.to_numpy())
    for row, text in enumerate(texts.to_pylist()):
        if not (text.isascii() and text.isdecimal() and int(text[:MAX_DIGITS]) <= LARGEST):
            reason = f"{name} '{text[:40]}' is not an integer from 0 to {LARGEST}"
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
    """Return the original ids listed in user_list.txt or item_list.txt, ordered by number.

    Returns:
        int64 or text [n], or None if there is no such file.

    Raises:
        UserError: the file is malformed, or its numbers are not 0, 1, 2, …, each exactly once.
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
            numbers.append(to_indices(places, "remap_id", first))
        codes, distinct = ids.finish()
    except BadValue as bad:
        raise UserError(f"{line_of_row(path, bad.row, LIST_LAYOUT)}: {bad.reason}.") from bad
    place = np.concatenate(numbers)
    if not np.array_equal(np.sort(place), np.arange(rows)) or len(distinct) != rows:
        raise UserError(f"{path}: its ids are not numbered 0 to {rows - 1}, each exactly once.")
    in_order = np.empty_like(codes)
    in_order[place] = codes
    return distinct[in_order]
