"""Read columns of tables in any format, in batches; tables need not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from recns_tf.datasets.formats import adjacency, delimited, json_lines, parquet
from recns_tf.datasets.formats.sources import Source, as_source
from recns_tf.datasets.formats.text import BY_NAME, Layout
from recns_tf.errors import UserError


def read_batches(
    table: Source | Path, columns: Sequence[str], layout: Layout = BY_NAME
) -> Iterator[list[pa.Array]]:
    """Yield the batches of a table in file order, each as one Arrow array per column.

    Columns of text tables are text; those of Parquet files and JSON lines keep their kind. Text is
    stripped of surrounding white space. In a file with lines `user item item …`, the first column
    is the user and the second the item, whatever their names.

    Args:
        table: the file.
        columns: names of columns. A name among the constants of the source has their value.
        layout: the layout of a text file.

    Raises:
        UserError: the file is missing, empty, corrupt, not a table, or lacks a column; the message
            names the file and, if there is one, the line.
    """
    source = as_source(table)
    if not source.path.is_file():
        what = (
            "is a folder"
            if source.path.is_dir()
            else f"does not exist (current folder: {Path.cwd()})"
        )
        raise UserError(f"{source} {what}: name a table.")
    if not source.size:
        if source.is_part:
            return
        raise UserError(f"{source} is empty.")
    constants = dict(source.constants)
    stored = [column for column in columns if column not in constants]
    rows = 0
    for batch in read_stored(source, stored, layout):
        rows += len(batch[0])
        arrays = dict(zip(stored, batch, strict=True))
        yield [
            arrays[column]
            if column in arrays
            else pa.repeat(pa.scalar(constants[column]), len(batch[0]))
            for column in columns
        ]
    if not rows and not source.is_part:
        raise UserError(f"{source} has no rows.")


def read_stored(source: Source, columns: Sequence[str], layout: Layout) -> Iterator[list[pa.Array]]:
    """Yield the batches of the columns that a file itself has; see read_batches."""
    if parquet.is_parquet(source):
        return parquet.read_parquet(source, columns)
    if json_lines.is_json(source):
        return json_lines.read_json_lines(source, columns, layout)
    if adjacency.is_adjacency(source, layout):
        return adjacency.read_lists(source, columns)
    return delimited.read_delimited(source, columns, layout)


def column_names(source: Source, layout: Layout = BY_NAME) -> list[str]:
    """Return the names of the columns that a file itself has.

    Raises:
        UserError: the file is empty or cannot be read.
    """
    if parquet.is_parquet(source):
        return parquet.column_names(source)
    if json_lines.is_json(source):
        return json_lines.column_names(source, layout)
    if adjacency.is_adjacency(source, layout):
        return []
    return delimited.read_header(source, layout)[0]


def line_of_row(table: Source | Path, row: int, layout: Layout = BY_NAME) -> str:
    """Return "FILE line N" for a row, counted from 0; for Parquet, "FILE row N", counted from 1."""
    source = as_source(table)
    if parquet.is_parquet(source):
        return f"{source} row {row + 1}"
    if json_lines.is_json(source):
        return f"{source} line {json_lines.line_of_object(source, row, layout)}"
    if adjacency.is_adjacency(source, layout):
        return f"{source} line {adjacency.line_of_pair(source, row)}"
    return f"{source} line {delimited.line_of_record(source, row, layout)}"
