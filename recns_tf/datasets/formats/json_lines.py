"""Read columns of JSON lines: one object per line (https://jsonlines.org).

Python's json module does the parsing. Arrow's JSON reader would be faster, but it refuses columns
in which the kind of number changes, such as ratings of 4 and 4.5.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recns_tf.datasets.formats.reading import (
    UNREADABLE,
    describe_columns,
    describe_unreadable,
    progress,
)
from recns_tf.datasets.formats.sources import Source, opened
from recns_tf.datasets.formats.text import BadText, Layout, Utf8Stream, bounded_lines, undecoded
from recns_tf.errors import UserError
from recns_tf.utils.text import one_line

EXTENSIONS = (".jsonl", ".ndjson", ".json")
BATCH_LINES, BATCH_BYTES = 1 << 16, 64 << 20
SCALARS = (str, int, float, bool, type(None))

Line = tuple[int, bytes]
"""A line that is not blank, and its number, counted from 1."""


def is_json(source: Source) -> bool:
    """Return whether the file name has an extension of JSON lines."""
    return source.extension in EXTENSIONS


def read_json_lines(
    source: Source, columns: Sequence[str], layout: Layout
) -> Iterator[list[pa.Array]]:
    """Yield the batches of a file of JSON lines; see tables.read_batches.

    In each batch, a column is int64, float64 or boolean if all of its values are, and text
    otherwise. A value that is null or absent is null.
    """
    names: list[str] = []
    absent = list(columns)
    for batch in batches(source, layout):
        records = parse_together(batch) or [parse(source, line, layout) for line in batch]
        names = names or list(records[0])
        absent = [column for column in absent if not any(column in each for each in records)]
        yield [to_array(source, column, records, batch) for column in columns]
    if names and absent:
        raise UserError(f"{source}: no column '{absent[0]}'; {describe_columns(names)}.")


def column_names(source: Source, layout: Layout) -> list[str]:
    """Return the keys of the first object of a file."""
    for first, *_ in batches(source, layout):
        return list(parse(source, first, layout))
    return []


def batches(source: Source, layout: Layout) -> Iterator[list[Line]]:
    """Yield the lines of a file that are not blank, in batches.

    Raises:
        UserError: the file is damaged.
    """
    number = 0
    try:
        with opened(source) as file, progress(source, file.total, "B") as bar:
            reader = bounded_lines(io.BufferedReader(Utf8Stream(file.stream, layout.encoding)))
            while lines := take(reader):
                bar.update(file.position() - bar.n)
                batch = [
                    (place, line) for place, line in enumerate(lines, number + 1) if line.strip()
                ]
                number += len(lines)
                if batch:
                    yield batch
    except BadText as bad:
        raise UserError(f"{source} {bad}.") from bad
    except UNREADABLE as error:
        raise UserError(describe_unreadable(source, number, error)) from error


def take(reader: Iterator[bytes]) -> list[bytes]:
    """Return the next lines, at most BATCH_LINES and about BATCH_BYTES."""
    lines: list[bytes] = []
    size = 0
    for line in islice(reader, BATCH_LINES):
        lines.append(line)
        size += len(line)
        if size > BATCH_BYTES:
            break
    return lines


def parse_together(batch: list[Line]) -> list[dict[str, Any]]:
    """Return the objects of some lines, or [] if a line is not an object.

    Parsing the lines as one array takes half the time.
    """
    try:
        records = json.loads(b"[" + b",".join(line for _, line in batch) + b"]")
    except (ValueError, RecursionError):
        return []
    valid = len(records) == len(batch) and all(type(record) is dict for record in records)
    return records if valid else []


def parse(source: Source, line: Line, layout: Layout) -> dict[str, Any]:
    """Return the object of a line.

    Raises:
        UserError: the line is not one JSON object.
    """
    number, text = line
    try:
        record = json.loads(text)
    except UnicodeDecodeError as error:
        raise UserError(f"{source} line {number}: {undecoded(layout)}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{source} line {number} is not a JSON object ({one_line(error)}); each line must "
            "hold one."
        ) from error
    if type(record) is not dict:
        raise UserError(f"{source} line {number} is not a JSON object; each line must hold one.")
    return record


def to_array(
    source: Source, column: str, records: list[dict[str, Any]], batch: list[Line]
) -> pa.Array:
    """Return a column of some objects as an Arrow array.

    Raises:
        UserError: a value is an object or an array.
    """
    values = [record.get(column) for record in records]
    kinds = set(map(type, values))
    if not kinds <= set(SCALARS):
        place = next(i for i, value in enumerate(values) if type(value) not in SCALARS)
        raise UserError(
            f"{source} line {batch[place][0]}: column '{column}' holds "
            f"{json.dumps(values[place])[:40]}, which is not text or a number."
        )
    kinds.discard(type(None))
    if kinds == {str}:
        return pc.utf8_trim_whitespace(pa.array(values, pa.string()))
    if len(kinds) == 1:
        try:
            return pa.array(values)
        except OverflowError:  # an integer of more than 64 bits stays text
            pass
    return pa.array([None if value is None else to_text(value) for value in values], pa.string())


def to_text(value: Any) -> str:
    """Return a value as JSON writes it, but text without quotes."""
    return value.strip() if isinstance(value, str) else json.dumps(value)


def line_of_object(source: Source, row: int, layout: Layout) -> int:
    """Return the line, counted from 1, of a row, counted from 0."""
    numbers = (number for batch in batches(source, layout) for number, _ in batch)
    return next(islice(numbers, row, None))
