"""Write Interactions in every format that the readers support.

The authors' programs read the folders that `write_lightgcn` and `write_pinsage` create; most other
software reads the tables of `write_table`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.datasets.formats.delimited import (
    SEPARATORS,
    TEXT_TABLES,
    is_inter,
    is_quoted,
    separator_of,
)
from recns_tf.datasets.formats.events import PARTS
from recns_tf.datasets.formats.parquet import is_parquet
from recns_tf.datasets.formats.sources import Source
from recns_tf.datasets.formats.text import BY_NAME
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, to_pairs
from recns_tf.utils.files import atomic

COLUMNS = ("user_id", "item_id", "label", "split")
INTER_TYPES = ("token", "token", "float", "token")
LIST_HEADER = ("org_id", "remap_id")


def write_lightgcn(interactions: Interactions, folder: Path) -> None:
    """Write a folder in LightGCN's format (graph_files.py): one line per user.

    The folder contains train.txt, valid.txt, test.txt and train_exposed.txt; the authors' program
    reads all but valid.txt. Users without items have a line with the user alone.

    Raises:
        UserError: exposures are held out for testing, for which the format has no place.
    """
    require_no_test_exposures(interactions)
    write_adjacency(folder / "train.txt", interactions.train)
    write_adjacency(folder / "valid.txt", interactions.valid)
    write_adjacency(folder / "test.txt", interactions.test)
    write_adjacency(folder / "train_exposed.txt", interactions.exposed)
    write_lists(interactions, folder)


def write_pinsage(interactions: Interactions, folder: Path) -> None:
    """Write a folder in PinSage's format (graph_files.py): one line per pair, items after users.

    Raises:
        UserError: valid or test has no positives, since the format does not allow empty files; or
            exposures are held out for testing, for which it has no place.
    """
    require_no_test_exposures(interactions)
    for part in ("valid", "test"):
        if not getattr(interactions, part).nnz:
            raise UserError(
                f"{interactions.name} has no {part} positives: choose another --format."
            )
    first = interactions.num_users
    positive, negative = (nodes(rows, first) for rows in (interactions.train, interactions.exposed))
    pairs = np.concatenate([positive, negative])
    types = np.repeat(["Pos", "Neg"], [len(positive), len(negative)])
    write_columns(folder / "train.txt", "\t", [*pairs.T, types])
    for name, rows in (("valid.txt", interactions.valid), ("test.txt", interactions.test)):
        write_columns(folder / name, "\t", [*nodes(rows, first).T])
    write_lists(interactions, folder)


def require_no_test_exposures(interactions: Interactions) -> None:
    """Raise UserError if exposures are held out for testing."""
    if interactions.test_exposed is not None:
        raise UserError(
            "--test_exposed_share: this format has no place for exposed items of the test; choose "
            "--format=table, or leave the flag out."
        )


def write_table(interactions: Interactions, path: Path) -> None:
    """Write a table with the columns user_id, item_id, label (1 or 0) and split.

    Items shown but not chosen have label 0 and split "train", or "test" if they are held out for
    testing. Users and items without pairs do not appear.

    Args:
        interactions: the dataset.
        path: the file, whose extension specifies the format as in tables.py.

    Raises:
        UserError: the extension is unknown, or an id contains a character that the format cannot
            represent.
    """
    source = Source(path)
    if not is_parquet(source) and source.extension not in SEPARATORS:
        raise UserError(f"{path}: choose a name that ends in {TEXT_TABLES} or .parquet.")
    rows = [*((getattr(interactions, part), 1, part) for part in PARTS)]
    rows.append((interactions.exposed, 0, "train"))
    if interactions.test_exposed is not None:
        rows.append((interactions.test_exposed, 0, "test"))
    pairs = np.concatenate([to_pairs(part) for part, _, _ in rows])
    counts = [part.nnz for part, _, _ in rows]
    columns = [
        interactions.user_ids[pairs[:, 0]],
        interactions.item_ids[pairs[:, 1]],
        np.repeat([label for _, label, _ in rows], counts),
        np.repeat([part for _, _, part in rows], counts),
    ]
    if is_parquet(source):
        with atomic(path) as temporary:
            pa.parquet.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), temporary)
        return
    header: tuple[str, ...] = COLUMNS
    if is_inter(source):
        header = tuple(map(":".join, zip(COLUMNS, INTER_TYPES, strict=True)))
    write_columns(path, separator_of(source, BY_NAME), columns, header)


FOLDER_WRITERS: dict[str, Callable[[Interactions, Path], None]] = {
    "lightgcn": write_lightgcn,
    "pinsage": write_pinsage,
}
WRITERS = FOLDER_WRITERS | {"table": write_table}


def nodes(rows: csr_array, first: int) -> NDArray[np.int64]:
    """Return the nonzeros of a CSR array as pairs of nodes [n, 2], where item v is first + v."""
    return to_pairs(rows) + np.array([0, first])


def write_adjacency(path: Path, rows: csr_array) -> None:
    """Write one line `user item item …` per user, or `user` if the user has no items."""
    with atomic(path) as temporary, temporary.open("w", encoding="ascii") as file:
        for user in range(rows.shape[0]):
            items = rows.indices[rows.indptr[user] : rows.indptr[user + 1]]
            file.write(" ".join(map(str, (user, *items.tolist()))) + "\n")


def write_lists(interactions: Interactions, folder: Path) -> None:
    """Write user_list.txt and item_list.txt, which map numbers to original ids."""
    for kind, ids in (("user", interactions.user_ids), ("item", interactions.item_ids)):
        with (
            atomic(folder / f"{kind}_list.txt") as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, delimiter=" ", lineterminator="\n")
            writer.writerow(LIST_HEADER)
            writer.writerows(zip(ids.tolist(), range(len(ids)), strict=True))


def write_columns(
    path: Path, separator: str, columns: list[NDArray[Any]], header: tuple[str, ...] = ()
) -> None:
    """Write columns as a text table, compressed as the file name says.

    Raises:
        UserError: a value contains a character that a table without quotes cannot represent.
    """
    table = pa.table({str(place): column for place, column in enumerate(columns)})
    options = pa.csv.WriteOptions(
        include_header=False,
        delimiter=separator,
        quoting_style="needed" if is_quoted(separator, BY_NAME) else "none",
    )
    with (
        atomic(path) as temporary,
        pa.output_stream(str(temporary), compression=Source(path).codec) as stream,
    ):
        if header:
            stream.write((separator.join(header) + "\n").encode())
        try:
            pa.csv.write_csv(table, stream, options)
        except pa.ArrowInvalid as error:
            raise UserError(
                f"{path} cannot be written: an id contains a tab, a quote or a line break; "
                "choose a name that ends in .csv or .parquet."
            ) from error
