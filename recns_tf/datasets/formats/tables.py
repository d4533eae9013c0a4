"""Read columns of tables: CSV, TSV, RecBole's .inter, each possibly gzipped, and Parquet.

Apache Arrow does the parsing. This module chooses Arrow's settings from the file name, checks that
the requested columns exist, and finds the line to report when something is wrong. Tables are read
in batches and need not fit in memory.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from recns_tf.datasets.formats.parquet import is_parquet, read_parquet
from recns_tf.datasets.formats.reading import describe_columns, one_line, progress
from recns_tf.errors import UserError

BLOCK_BYTES = 16 << 20
SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".txt": "\t"}
CANDIDATES = {",": ",", "\t": "\\t", ";": ";", "|": "|", " ": " "}
KNOWN_EXTENSIONS = ".csv, .tsv, .inter, .txt (and .gz after it) or .parquet"
LONGEST_FIELD = 1 << 30
NOT_UTF8 = "not UTF-8 text; save the table as UTF-8"


class Layout(NamedTuple):
    """The layout of a text table.

    Attributes:
        separator: character between fields; "" means a comma for .csv and a tab for .tsv, .inter
            and .txt.
        names: column names if the table has no header line; () if it has one.
    """

    separator: str = ""
    names: tuple[str, ...] = ()


BY_NAME = Layout()
"""The layout that the file name implies."""


def read_batches(
    path: Path, columns: Sequence[str], layout: Layout = BY_NAME
) -> Iterator[list[pa.Array]]:
    """Yield the batches of a table in file order, each as one Arrow array per column.

    Columns of text tables are text; those of Parquet files keep their kind. Text is stripped of
    surrounding whitespace.

    Raises:
        UserError: the file is missing, empty, corrupt, not a table, or lacks a column; the message
            names the file and, if there is one, the line.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else f"does not exist (current folder: {Path.cwd()})"
        raise UserError(f"{path} {what}: name a table.")
    if not path.stat().st_size:
        raise UserError(f"{path} is empty.")
    rows = 0
    for batch in (
        read_parquet(path, columns) if is_parquet(path) else read_text(path, columns, layout)
    ):
        rows += len(batch[0])
        yield batch
    if not rows:
        raise UserError(f"{path} has no rows.")


def read_text(path: Path, columns: Sequence[str], layout: Layout) -> Iterator[list[pa.Array]]:
    """Yield the batches of a text table; see read_batches."""
    separator = separator_of(path, layout)
    names, skipped_lines = read_header(path, separator, layout)
    places = [column_index(path, column, names, separator, layout) for column in columns]
    # Columns are selected by number because a header may repeat or omit a name.
    numbers = [str(place) for place in range(len(names))]
    wanted = [numbers[place] for place in places]
    try:
        with pa.OSFile(str(path)) as file, progress(path, path.stat().st_size, "B") as bar:
            packed = is_gzip(path)
            table = pa.csv.open_csv(
                pa.CompressedInputStream(file, "gzip") if packed else file,
                read_options=pa.csv.ReadOptions(
                    block_size=BLOCK_BYTES, column_names=numbers, skip_rows=skipped_lines
                ),
                parse_options=pa.csv.ParseOptions(
                    delimiter=separator,
                    quote_char='"' if is_quoted(separator) else False,
                    newlines_in_values=is_quoted(separator),
                ),
                convert_options=pa.csv.ConvertOptions(
                    include_columns=list(dict.fromkeys(wanted)),
                    column_types=dict.fromkeys(wanted, pa.string()),
                    strings_can_be_null=False,
                ),
            )
            for batch in table:
                bar.update(file.tell() - bar.n)
                yield [pc.utf8_trim_whitespace(batch.column(name)) for name in wanted]
    except (pa.ArrowException, OSError) as error:
        if "Empty CSV file" in str(error):
            return
        raise UserError(describe_error(path, separator, len(names), error)) from error


def extension(path: Path) -> str:
    """Return the file extension in lower case, without a final .gz."""
    return (path.with_suffix("") if is_gzip(path) else path).suffix.lower()


def is_inter(path: Path) -> bool:
    """Return whether the file name has RecBole's extension .inter."""
    return extension(path) == ".inter"


def is_gzip(path: Path) -> bool:
    """Return whether the file name ends in .gz."""
    return path.suffix.lower() == ".gz"


def is_quoted(separator: str) -> bool:
    """Return whether fields may be quoted: for every separator except a tab."""
    return separator != "\t"


def separator_of(path: Path, layout: Layout) -> str:
    """Return the character between the fields of a text table.

    Raises:
        UserError: neither the layout nor the file name specifies it.
    """
    if layout.separator:
        return layout.separator
    separator = SEPARATORS.get(extension(path))
    if separator is None:
        raise UserError(
            f"{path}: unknown file extension; use {KNOWN_EXTENSIONS}, or, for a text table, "
            "set --separator."
        )
    return separator


def read_header(path: Path, separator: str, layout: Layout) -> tuple[list[str], int]:
    """Return the column names of a text table, and the number of lines before its first row.

    In .inter files, the type is removed from names such as "user_id:token".

    Raises:
        UserError: the file is empty or cannot be read.
    """
    if layout.names:
        return list(layout.names), 0
    try:
        for line, fields in lines(path, separator):
            if any(is_undecoded(field) for field in fields):
                raise UserError(f"{path} line {line}: {NOT_UTF8}.")
            if fields:
                names = [field.strip() for field in fields]
                if is_inter(path):
                    names = [name.partition(":")[0] for name in names]
                return names, line
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise UserError(describe_error(path, separator, 0, error)) from error
    raise UserError(f"{path} is empty.")


def column_index(
    path: Path, column: str, names: Sequence[str], separator: str, layout: Layout
) -> int:
    """Return the index of the column named `column` in a text table.

    Raises:
        UserError: there is no such column, or more than one.
    """
    if is_inter(path):
        column = column.partition(":")[0]
    places = [place for place, name in enumerate(names) if name == column]
    if len(places) == 1:
        return places[0]
    if places:
        raise UserError(f"{path} line 1: {len(places)} columns are named '{column}'.")
    if layout.names:
        raise UserError(f"{path}: no column '{column}' among --columns={','.join(names)}.")
    hint = ""
    for other, shown in CANDIDATES.items():
        if other != separator and column in [
            name.strip() for name in separator.join(names).split(other)
        ]:
            hint = f"; its fields seem to be separated by --separator='{shown}'"
    hint = hint or "; if this is not a header, name the columns: --columns=NAME,NAME,…"
    raise UserError(f"{path} line 1: no column '{column}'; {describe_columns(names)}{hint}.")


def lines(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each record of a text table, preceded by the number of its last line.

    This is slow; it serves to read the header and to find the line of an error. An empty line has
    no fields. Bytes that are not UTF-8 become surrogates.
    """
    with path.open("rb") as raw:
        stream = gzip.GzipFile(fileobj=raw) if is_gzip(path) else raw
        decoded = io.TextIOWrapper(
            stream, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        csv.field_size_limit(LONGEST_FIELD)
        reader = csv.reader(
            decoded,
            delimiter=separator,
            quoting=csv.QUOTE_MINIMAL if is_quoted(separator) else csv.QUOTE_NONE,
        )
        for fields in reader:
            yield reader.line_num, fields


def line_of_row(path: Path, row: int, layout: Layout = BY_NAME) -> str:
    """Return "FILE line N" for a row, counted from 0; for Parquet, "FILE row N", counted from 1."""
    if is_parquet(path):
        return f"{path} row {row + 1}"
    rows = -1 if layout.names else -2
    for line, fields in lines(path, separator_of(path, layout)):
        rows += bool(fields)
        if rows == row:
            return f"{path} line {line}"
    raise AssertionError(f"{path} has no row {row}")


def is_undecoded(text: str) -> bool:
    """Return whether text from `lines` contains bytes that are not UTF-8."""
    return any("\udc80" <= mark <= "\udcff" for mark in text)


def describe_error(path: Path, separator: str, num_columns: int, error: Exception) -> str:
    """Return a message that says why a text table cannot be read, and in which line if possible."""
    if "zlib" in str(error):
        return f"{path} is not a valid gzip file ({one_line(error)})."
    line = 0
    # Invalid UTF-8 in a column that is not read is harmless.
    ragged = "columns, got" in str(error)
    try:
        for line, fields in lines(path, separator):
            if not ragged and any(is_undecoded(field) for field in fields):
                return f"{path} line {line}: {NOT_UTF8}."
            if fields and num_columns and len(fields) != num_columns:
                wrong = f"{len(fields)} fields where {num_columns} columns are named"
                return f"{path} line {line}: {wrong}."
    except EOFError:
        return f"{path} is truncated after line {line}: its gzip data ends early."
    except (gzip.BadGzipFile, zlib.error) as bad:
        return f"{path} is not a valid gzip file after line {line} ({one_line(bad)})."
    except (OSError, csv.Error) as bad:
        return f"{path} line {line + 1} cannot be read ({one_line(bad)})."
    return f"{path} cannot be read ({one_line(error)})."
