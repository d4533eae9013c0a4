"""Read files with one line per user, `user item item …`: numbers separated by spaces.

Source of the format: LightGCN and NGCF (https://github.com/kuandeng/LightGCN).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from recns_tf.datasets.formats import ids
from recns_tf.datasets.formats.reading import UNREADABLE, describe_unreadable
from recns_tf.datasets.formats.sources import Source, as_source, opened
from recns_tf.datasets.formats.text import UTF8, BadText, Layout, Utf8Stream, bounded_lines
from recns_tf.errors import UserError
from recns_tf.interactions import Pairs

LARGEST = 99_999_999
"""Largest number of a user or item accepted where it determines the length of arrays."""

ANY_NUMBER = (ids.LARGEST, ids.LARGEST)
NUMBER_MARKS = b"0123456789 \t\r\n"
MAX_DIGITS = 30
FIRST_LINE = re.compile(rb"\d+( \d+)*\s*")


def is_adjacency(source: Source, layout: Layout) -> bool:
    """Return whether a .txt file whose layout is not given starts with a line of numbers."""
    if source.extension != ".txt" or layout.separator or layout.names:
        return False
    try:
        with opened(source) as file:
            return bool(FIRST_LINE.fullmatch(next(lines(file.stream), b"")))
    except BadText:
        return False
    except UNREADABLE as error:
        raise UserError(describe_unreadable(source, 0, error)) from error


def read_lists(source: Source, columns: Sequence[str]) -> Iterator[list[pa.Array]]:
    """Yield one batch of users and items; see tables.read_batches.

    Raises:
        UserError: a line is malformed, or more than the columns of users and items are requested.
    """
    if len(columns) > len(("user", "item")):
        raise UserError(
            f"{source} has lines `user item item …` without a column '{columns[-1]}'; if it is a "
            "table, set --separator."
        )
    pairs = read_adjacency(source, ANY_NUMBER)
    yield [pa.array(pairs[:, 0]), pa.array(pairs[:, 1])]


def read_adjacency(
    file: Source | Path, limits: tuple[int, ...] = (LARGEST + 1, LARGEST + 1)
) -> Pairs:
    """Return the pairs [n, 2] of a file with lines `user item item …`, in file order.

    Args:
        file: the file.
        limits: (num_users, num_items), exclusive upper bounds.

    Raises:
        UserError: the file is missing or empty, a line is malformed, a number is out of range, or
            a user has two lines.
    """
    source = as_source(file)
    if not source.path.is_file():
        raise UserError(f"{source} does not exist.")
    num_users, num_items = limits
    line_of: dict[int, int] = {}
    rows: list[list[int]] = []
    number = 0
    try:
        with opened(source) as stored:
            for number, line in enumerate(lines(stored.stream), 1):
                where = f"{source} line {number}"
                fields = line.split()
                if not fields:
                    continue
                require_numbers(line, where)
                # Python raises an error for integers with thousands of digits.
                user, *items = (int(field[:MAX_DIGITS]) for field in fields)
                if user >= num_users:
                    raise UserError(f"{where}: user {user} is not from 0 to {num_users - 1}.")
                if items and max(items) >= num_items:
                    raise UserError(f"{where}: item {max(items)} is not from 0 to {num_items - 1}.")
                if user in line_of:
                    raise UserError(f"{where}: user {user} already has line {line_of[user]}.")
                line_of[user] = number
                rows.append(items)
    except BadText as bad:
        raise UserError(f"{source} {bad}.") from bad
    except UNREADABLE as error:
        raise UserError(describe_unreadable(source, number, error)) from error
    if not rows:
        raise UserError(f"{source} has no lines.")
    users = np.repeat(np.array(list(line_of), np.int64), [len(items) for items in rows])
    return np.stack([users, np.array(list(chain.from_iterable(rows)), np.int64)], axis=1)


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file without a byte order mark."""
    yield from bounded_lines(io.BufferedReader(Utf8Stream(stream, UTF8)))


def require_numbers(line: bytes, where: str) -> None:
    """Raise UserError unless a line, which is not blank, starts with a user and has only numbers.

    Args:
        line: the line.
        where: the file and the line for messages.
    """
    if line.translate(None, NUMBER_MARKS):
        words = re.split(rb"[ \t\r\n]+", line.strip(NUMBER_MARKS[10:]))
        bad = next(word for word in words if not word.isdigit())
        shown = bad[:40].decode(errors="backslashreplace")
        raise UserError(f"{where}: '{shown}' is not a non-negative integer.")
    if not line[:1].isdigit():
        raise UserError(f"{where}: there is no user before the items.")


def line_of_user(path: Path, user: int) -> str:
    """Return "FILE line N" for the line of a user in a file that `read_adjacency` has read."""
    with path.open("rb") as file:
        for number, line in enumerate(lines(file), 1):
            fields = line.split()
            if fields and int(fields[0]) == user:
                return f"{path} line {number}"
    raise AssertionError(f"{path} has no user {user}")


def line_of_pair(source: Source, row: int) -> int:
    """Return the line, counted from 1, of a pair, counted from 0 in the order of the file."""
    with opened(source) as file:
        numbers = (
            number for number, line in enumerate(lines(file.stream), 1) for _ in line.split()[1:]
        )
        return next(islice(numbers, row, None))
