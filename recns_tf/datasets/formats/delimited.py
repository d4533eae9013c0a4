"""Read columns of delimited text: CSV, TSV, RecBole's .inter, and tables with other separators.

Apache Arrow does the parsing. This module chooses Arrow's settings, checks that the requested
columns exist and that Arrow returns every record of the file, and finds the line to report when
something is wrong.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from recns_tf.datasets.formats.reading import (
    UNREADABLE,
    describe_columns,
    describe_unreadable,
    progress,
)
from recns_tf.datasets.formats.sources import Source, opened
from recns_tf.datasets.formats.text import (
    AUTO,
    DOUBLE,
    LONGEST_LINE,
    UNIT_SEPARATOR,
    BadQuote,
    BadText,
    Layout,
    Utf8Stream,
    bounded_lines,
    undecoded,
)
from recns_tf.errors import UserError
from recns_tf.utils.text import count, one_line

if TYPE_CHECKING:
    from recns_tf.datasets.formats.quotes import QuoteCheck

BLOCK_BYTES = LONGEST_LINE
"""Arrow reads blocks of this size, and no record may be longer."""

SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".txt": "\t"}
MOST_COLUMNS = 10_000
CANDIDATES = {",": ",", "\t": "\\t", ";": ";", "|": "|", "::": "::", " ": " "}
TEXT_TABLES = ".csv, .tsv, .inter, .txt (and .gz, .bz2 or .zst after it)"
"""File extensions of the tables that this module reads, for messages."""


def read_delimited(
    source: Source, columns: Sequence[str], layout: Layout
) -> Iterator[list[pa.Array]]:
    """Yield the batches of a text table, as text without surrounding white space.

    Raises:
        UserError: see tables.read_batches.
    """
    # It needs numba, which takes a quarter of a second to import.
    from recns_tf.datasets.formats.quotes import QuoteCheck

    separator = separator_of(source, layout)
    names, skipped_lines = read_header(source, layout)
    places = [column_index(source, column, names, layout) for column in columns]
    # Columns are selected by number because a header may repeat or omit a name.
    numbers = [str(place) for place in range(len(names))]
    wanted = [numbers[place] for place in places]
    mark = separator if len(separator) == 1 else UNIT_SEPARATOR.decode()
    quoted = is_quoted(separator, layout)
    check = QuoteCheck(mark, quoted=quoted, escape=layout.escape)
    rows = 0
    try:
        with opened(source) as file, progress(source, file.total, "B") as bar:
            stream = Utf8Stream(file.stream, layout.encoding, separator, check.add)
            try:
                table = pa.csv.open_csv(
                    pa.PythonFile(stream, mode="r"),
                    read_options=pa.csv.ReadOptions(
                        block_size=BLOCK_BYTES, column_names=numbers, skip_rows=skipped_lines
                    ),
                    parse_options=pa.csv.ParseOptions(
                        delimiter=mark,
                        quote_char='"' if quoted else False,
                        escape_char=layout.escape or False,
                        newlines_in_values=quoted or bool(layout.escape),
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        include_columns=list(dict.fromkeys(wanted)),
                        column_types=dict.fromkeys(wanted, pa.string()),
                        strings_can_be_null=False,
                    ),
                )
                for batch in table:
                    bar.update(file.position() - bar.n)
                    rows += batch.num_rows
                    yield [pc.utf8_trim_whitespace(batch.column(name)) for name in wanted]
            finally:
                stream.stop()
        require_all_records(source, check, rows + (not layout.names))
    except BadQuote as bad:
        raise UserError(f"{source} line {bad.line}: {bad.reason}; {quote_hint(layout)}.") from bad
    except BadText as bad:
        raise UserError(f"{source} {bad}.") from bad
    except (pa.ArrowException, *UNREADABLE) as error:
        if "Empty CSV file" in str(error):
            require_all_records(source, check, int(not layout.names))
            return
        raise UserError(describe_error(source, layout, len(names), error)) from error


def require_all_records(source: Source, check: QuoteCheck, records: int) -> None:
    """Raise UserError unless the file has as many records as Arrow returned.

    Raises:
        BadQuote: the file ends inside quotes.
    """
    found = check.finish()
    if found != records:
        raise UserError(
            f"{source} has {count(found, 'record')}, but the parser returned {records:,}: please "
            "report this, with the file if possible."
        )


def quote_hint(layout: Layout) -> str:
    """Return which flags read a file whose quotes are not those of CSV."""
    hint = "--quoting=none reads quotes as ordinary characters"
    if not layout.escape:
        hint = f"if the file writes a quote in a field as \\\", use --escape='\\'; {hint}"
    return hint


def is_quoted(separator: str, layout: Layout) -> bool:
    """Return whether fields may be quoted."""
    if layout.quoting == AUTO:
        return len(separator) == 1 and separator != "\t"
    return layout.quoting == DOUBLE


def is_inter(source: Source) -> bool:
    """Return whether the file name has RecBole's extension .inter."""
    return source.extension == ".inter"


def separator_of(source: Source, layout: Layout) -> str:
    """Return the characters between the fields of a text table.

    Raises:
        UserError: neither the layout nor the file name specifies it.
    """
    if layout.separator:
        return layout.separator
    separator = SEPARATORS.get(source.extension)
    if separator is None:
        raise UserError(
            f"{source}: unknown file extension; known are {TEXT_TABLES}, .jsonl, .parquet and "
            ".zip; for another text table, set --separator."
        )
    return separator


def read_header(source: Source, layout: Layout) -> tuple[list[str], int]:
    """Return the column names of a text table, and the number of lines before its first row.

    In .inter files, the type is removed from names such as "user_id:token".

    Raises:
        UserError: the file is empty or cannot be read.
    """
    if layout.names:
        return list(layout.names), 0
    try:
        for line, fields in lines(source, layout):
            if any(is_undecoded(field) for field in fields):
                raise UserError(f"{source} line {line}: {undecoded(layout)}.")
            if len(fields) > MOST_COLUMNS:
                raise UserError(
                    f"{source} line {line} has {len(fields):,} fields, more than {MOST_COLUMNS:,}: "
                    "is this a table?"
                )
            if fields:
                names = [field.strip() for field in fields]
                if is_inter(source):
                    names = [name.partition(":")[0] for name in names]
                return names, line
    except BadText as bad:
        raise UserError(f"{source} {bad}.") from bad
    except UNREADABLE as error:
        raise UserError(describe_error(source, layout, 0, error)) from error
    raise UserError(f"{source} is empty.")


def column_index(source: Source, column: str, names: Sequence[str], layout: Layout) -> int:
    """Return the index of the column named `column` in a text table.

    Raises:
        UserError: there is no such column, or more than one.
    """
    if is_inter(source):
        column = column.partition(":")[0]
    places = [place for place, name in enumerate(names) if name == column]
    if len(places) == 1:
        return places[0]
    if places:
        raise UserError(f"{source} line 1: {len(places)} columns are named '{column}'.")
    if layout.names:
        raise UserError(f"{source}: no column '{column}' among --columns={','.join(names)}.")
    hint = ""
    separator = separator_of(source, layout)
    for other, shown in CANDIDATES.items():
        if other != separator and column in [
            name.strip() for name in separator.join(names).split(other)
        ]:
            hint = f"; its fields seem to be separated by --separator='{shown}'"
    hint = hint or "; if this is not a header, name the columns: --columns=NAME,NAME,…"
    raise UserError(f"{source} line 1: no column '{column}'; {describe_columns(names)}{hint}.")


def lines(source: Source, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each record of a text table, preceded by the number of its last line.

    This is slow; it serves to read the header and to find the line of an error. An empty line has
    no fields. Bytes that are not valid text become surrogates.

    Raises:
        BadText: a line or a field is too long.
    """
    separator = separator_of(source, layout)
    with opened(source) as file:
        stream = io.BufferedReader(Utf8Stream(file.stream, layout.encoding, separator))
        decoded = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
        csv.field_size_limit(LONGEST_LINE)
        reader = csv.reader(
            bounded_lines(decoded),
            delimiter=separator if len(separator) == 1 else UNIT_SEPARATOR.decode(),
            quoting=csv.QUOTE_MINIMAL if is_quoted(separator, layout) else csv.QUOTE_NONE,
            escapechar=layout.escape or None,
        )
        line = 0
        try:
            for fields in reader:
                line = reader.line_num
                yield line, fields
        except csv.Error as error:
            hint = "; is a quote opened and never closed?" if "field larger" in str(error) else ""
            raise BadText(f"line {line + 1}: {one_line(error)}{hint}") from error


def line_of_record(source: Source, row: int, layout: Layout) -> int:
    """Return the last line, from 1, of the record of a row, counted from 0."""
    records = (line for line, fields in lines(source, layout) if fields)
    return next(islice(records, row + (not layout.names), None))


def is_undecoded(text: str) -> bool:
    """Return whether text from `lines` contains bytes that are not valid text."""
    return any("\udc80" <= mark <= "\udcff" for mark in text)


def describe_error(source: Source, layout: Layout, num_columns: int, error: Exception) -> str:
    """Return a message that says why a text table cannot be read, and in which line if possible."""
    line = 0
    # Invalid text in a column that is not read is harmless.
    ragged = "columns, got" in str(error)
    try:
        for line, fields in lines(source, layout):
            if not ragged and any(is_undecoded(field) for field in fields):
                return f"{source} line {line}: {undecoded(layout)}."
            if fields and num_columns and len(fields) != num_columns:
                named = count(num_columns, "column is", "columns are")
                wrong = f"{count(len(fields), 'field')} where {named} named"
                return f"{source} line {line}: {wrong}."
    except BadText as bad:
        return f"{source} {bad}."
    except UNREADABLE as bad:
        return describe_unreadable(source, line, bad)
    return f"{source} cannot be read ({one_line(error)})."
