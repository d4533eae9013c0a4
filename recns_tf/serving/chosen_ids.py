"""The users or items that a command line names, in a list or in a file of ids."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.datasets.formats.json_lines import is_json
from recns_tf.datasets.formats.parquet import is_parquet
from recns_tf.datasets.formats.reading import UNREADABLE, describe_columns, describe_unreadable
from recns_tf.datasets.formats.sources import Source, opened
from recns_tf.datasets.formats.tables import column_names, line_of_row, read_batches
from recns_tf.datasets.formats.text import UTF8, BadText, Utf8Stream, bounded_lines
from recns_tf.errors import UserError
from recns_tf.serving.ids import Ids
from recns_tf.utils.text import shown

TABLES = (".csv", ".tsv", ".inter")
"""Endings of text tables. Other files than tables have one id per line."""

OF_FILE = "@"
"""What precedes the name of a file where a list of ids may stand, too."""


class Chosen(NamedTuple):
    """Users or items of a dataset.

    Attributes:
        ids: their ids, each once, in the given order, [n].
        repeated: how many ids were given again.
    """

    ids: NDArray[Any]
    repeated: int


def of_list(flag: str, text: str, known: Ids) -> Chosen:
    """Return the users or items of a list separated by commas, or of a file @FILE.

    Args:
        flag: the flag, such as "--items".
        text: its value.
        known: the ids of the dataset, in the form in which runs store them.

    Raises:
        UserError: an id is unknown, or as in `of_file`.
    """
    if text.startswith(OF_FILE):
        return of_file(f"{flag}={OF_FILE}", Path(text.removeprefix(OF_FILE)), known)
    listed = [each.strip() for each in text.split(",")]
    found, unknown = lookup(listed, known)
    if unknown:
        raise UserError(f"{flag}={shown(text)}: {describe_unknown(unknown, listed, known)}.")
    return found


def of_file(flag: str, path: Path, known: Ids) -> Chosen:
    """Return the users or items of a file.

    A table (CSV, TSV, Parquet, JSON lines) has them in the column `user` or `user_id`, or `item` or
    `item_id`; any other file has one id per line. Empty lines are skipped.

    Args:
        flag: the flag and what precedes the name, such as "--users=".
        path: the file.
        known: the ids of the dataset, in the form in which runs store them.

    Raises:
        UserError: the file is missing, empty or malformed, or an id is missing or unknown.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"{flag}{path} {what}: name a file of {known.kind} ids.")
    source = Source(path)
    is_table = is_parquet(source) or is_json(source) or source.extension in TABLES
    listed: list[str] = []
    lines: list[int] = []
    if is_table:
        listed = column_of_ids(source, known.kind)
    else:
        for line, text in ids_of_lines(source):
            lines.append(line)
            listed.append(text)
    if not listed:
        raise UserError(f"{flag}{path} has no ids: write one {known.kind} id per line.")
    found, unknown = lookup(listed, known)
    if unknown:
        row = unknown[0]
        place = line_of_row(source, row) if is_table else f"{source} line {lines[row]}"
        raise UserError(f"{place}: {describe_unknown(unknown, listed, known)}.")
    return found


def column_of_ids(source: Source, kind: str) -> list[str]:
    """Return the ids in the column `kind` or `kind`_id of a table, as text.

    Raises:
        UserError: there is no such column, or an id is missing.
    """
    names = column_names(source) if source.size else []
    wanted = (kind, f"{kind}_id")
    column = next((name for name in wanted if name in names), "")
    if names and not column:
        named = " or ".join(f"'{name}'" for name in wanted)
        raise UserError(f"{source}: no column {named}; {describe_columns(names)}.")
    listed: list[str] = []
    for (values,) in read_batches(source, [column]):
        for value in values.to_pylist():
            if value is None or value == "":
                place = line_of_row(source, len(listed))
                raise UserError(f"{place}: the {column} is missing.")
            listed.append(str(value))
    return listed


def ids_of_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are not empty, without surrounding spaces, and their numbers.

    Raises:
        UserError: the file is damaged, or not text in UTF-8.
    """
    number = 0
    try:
        with opened(source) as file:
            for line in bounded_lines(io.BufferedReader(Utf8Stream(file.stream, UTF8))):
                number += 1
                if text := line.decode(UTF8).strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise UserError(f"{source} line {number} is not text in UTF-8.") from error
    except BadText as bad:
        raise UserError(f"{source} {bad}.") from bad
    except UNREADABLE as error:
        raise UserError(describe_unreadable(source, number, error)) from error


def lookup(listed: list[str], known: Ids) -> tuple[Chosen, list[int]]:
    """Return the users or items whose ids are written so, and the places of unknown ids.

    An integer is written as Python prints it.
    """
    number = {str(each): place for place, each in enumerate(known.labels.tolist())}
    unknown = [place for place, text in enumerate(listed) if text not in number]
    distinct = list(dict.fromkeys(text for text in listed if text in number))
    ids = known.labels[np.array([number[text] for text in distinct], dtype=np.int64)]
    return Chosen(ids, len(listed) - len(unknown) - len(distinct)), unknown


def describe_unknown(unknown: list[int], listed: list[str], known: Ids) -> str:
    """Return which ids are unknown, without a period."""
    first = f"{known.kind} '{shown(listed[unknown[0]])}' is not in the data of {known.dataset}"
    if len(unknown) == 1:
        return first
    return f"{first}, like {len(unknown) - 1:,} more of the {len(listed):,} ids"
