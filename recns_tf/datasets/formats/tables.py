"""Tables of any size, read column by column: CSV, TSV, RecBole's .inter, gzip of these, Parquet.

Apache Arrow parses; this file chooses its settings by the file's name, checks that the columns
asked for are there, and, where something is wrong, finds the line to name. A table is read in
batches and need not fit in memory.
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

from recns_tf.datasets.formats.parquet import is_parquet, parquet
from recns_tf.datasets.formats.reading import listed, one_line, progress
from recns_tf.errors import UserError

BLOCK_BYTES = 16 << 20
SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".txt": "\t"}
CANDIDATES = {",": ",", "\t": "\\t", ";": ";", "|": "|", " ": " "}
KNOWN_ENDINGS = ".csv, .tsv, .inter, .txt (and .gz after it) or .parquet"
LONGEST_FIELD = 1 << 30
NOT_UTF8 = "not UTF-8 text; save the table as UTF-8"


class Layout(NamedTuple):
    """How a text table is written.

    Attributes:
        separator: between fields; "" takes a comma for .csv and a tab for .tsv, .inter and .txt.
        names: of the columns where the first line is no heading; () where it is.
    """

    separator: str = ""
    names: tuple[str, ...] = ()


BY_NAME = Layout()
"""The layout that a file's name tells."""


def read_batches(
    path: Path, columns: Sequence[str], layout: Layout = BY_NAME
) -> Iterator[list[pa.Array]]:
    """Yield a table in batches, in its order: an Arrow array for each of `columns`.

    Text tables give text, Parquet what the file holds; text has no blanks at its ends.

    Raises:
        UserError: the file is absent, empty, damaged, no table or without such a column; the
            sentence names the file, and the line where there is one.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else f"not there (seen from {Path.cwd()})"
        raise UserError(f"{path} is {what}: name a table.")
    if not path.stat().st_size:
        raise UserError(f"{path} is empty.")
    rows = 0
    for batch in parquet(path, columns) if is_parquet(path) else text(path, columns, layout):
        rows += len(batch[0])
        yield batch
    if not rows:
        raise UserError(f"{path} has no row.")


def text(path: Path, columns: Sequence[str], layout: Layout) -> Iterator[list[pa.Array]]:
    """Yield the batches of a text table; see read_batches."""
    separator = separator_of(path, layout)
    names, skipped_lines = heading(path, separator, layout)
    places = [place_of(path, column, names, separator, layout) for column in columns]
    # Numbers for names: a heading may repeat a name or leave one out.
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
        raise UserError(fault(path, separator, len(names), error)) from error


def ending(path: Path) -> str:
    """Return how the name of a table ends, in small letters and without the .gz of gzip."""
    return (path.with_suffix("") if is_gzip(path) else path).suffix.lower()


def is_inter(path: Path) -> bool:
    """Return whether the name of a table says RecBole's .inter."""
    return ending(path) == ".inter"


def is_gzip(path: Path) -> bool:
    """Return whether the name of a table says gzip."""
    return path.suffix.lower() == ".gz"


def is_quoted(separator: str) -> bool:
    """Return whether fields may stand in quotes: where the separator may be part of a text."""
    return separator != "\t"


def separator_of(path: Path, layout: Layout) -> str:
    """Return the character between the fields of a text table.

    Raises:
        UserError: neither the layout nor the file's name tells it.
    """
    if layout.separator:
        return layout.separator
    separator = SEPARATORS.get(ending(path))
    if separator is None:
        raise UserError(
            f"{path}: its name tells no format; choose one that ends in {KNOWN_ENDINGS}, or, for a "
            "text table, give --separator."
        )
    return separator


def heading(path: Path, separator: str, layout: Layout) -> tuple[list[str], int]:
    """Return the names of a text table's columns, and how many lines stand above its rows.

    Of a name such as RecBole's "user_id:token", the type behind the colon is left out in .inter.

    Raises:
        UserError: the file has no line, or none that could be read.
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
        raise UserError(fault(path, separator, 0, error)) from error
    raise UserError(f"{path} is empty.")


def place_of(path: Path, column: str, names: Sequence[str], separator: str, layout: Layout) -> int:
    """Return which column of a text table is called `column`, counted from 0.

    Raises:
        UserError: none is, or several are.
    """
    if is_inter(path):
        column = column.partition(":")[0]
    places = [place for place, name in enumerate(names) if name == column]
    if len(places) == 1:
        return places[0]
    if places:
        raise UserError(f"{path} line 1: {len(places)} columns are called '{column}'.")
    if layout.names:
        raise UserError(f"{path}: no column '{column}' among --columns={','.join(names)}.")
    hint = ""
    for other, shown in CANDIDATES.items():
        if other != separator and column in [
            name.strip() for name in separator.join(names).split(other)
        ]:
            hint = f"; its fields seem to be parted by --separator='{shown}'"
    hint = hint or "; if that is no heading, name the columns: --columns=NAME,NAME,…"
    raise UserError(f"{path} line 1: no column '{column}'; {listed(names)}{hint}.")


def lines(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the last line of each record of a text table, and its fields.

    Slow: for the heading, and to find a line to name. An empty line has no field. What is not
    UTF-8 is kept as surrogates.
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
    """Return "FILE line N" for a row of a table, counted from 0; "FILE row N" for Parquet."""
    if is_parquet(path):
        return f"{path} row {row + 1}"
    rows = -1 if layout.names else -2
    for line, fields in lines(path, separator_of(path, layout)):
        rows += bool(fields)
        if rows == row:
            return f"{path} line {line}"
    raise AssertionError(f"{path} has no row {row}")


def is_undecoded(text: str) -> bool:
    """Return whether a text from `lines` holds bytes that were not UTF-8."""
    return any("\udc80" <= mark <= "\udcff" for mark in text)


def fault(path: Path, separator: str, num_columns: int, error: Exception) -> str:
    """Return a sentence on why a text table cannot be read, with the line where there is one."""
    if "zlib" in str(error):
        return f"{path} is no sound gzip file ({one_line(error)})."
    line = 0
    # Bytes that are no UTF-8 in a column that nobody reads do no harm.
    ragged = "columns, got" in str(error)
    try:
        for line, fields in lines(path, separator):
            if not ragged and any(is_undecoded(field) for field in fields):
                return f"{path} line {line}: {NOT_UTF8}."
            if fields and num_columns and len(fields) != num_columns:
                wrong = f"{len(fields)} fields where {num_columns} columns are named"
                return f"{path} line {line}: {wrong}."
    except EOFError:
        return f"{path} is cut off after line {line}: its gzip data end too early."
    except (gzip.BadGzipFile, zlib.error) as bad:
        return f"{path} is no sound gzip file, after line {line} ({one_line(bad)})."
    except (OSError, csv.Error) as bad:
        return f"{path} line {line + 1} cannot be read ({one_line(bad)})."
    return f"{path} cannot be read ({one_line(error)})."
