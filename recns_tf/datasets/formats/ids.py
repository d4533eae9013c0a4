"""Map the original ids of users and items to indices from 0.

An id is text or an integer from 0 to 9223372036854775807. If every id of a column is such an
integer, without sign or leading zeros, the ids are int64; otherwise all of them are text. Ids are
numbered in ascending order, so the result does not depend on the order of the rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.text import NULL

LARGEST = 2**63 - 1
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
MISSING = ("", "nan", "null", "none", "na", "n/a", "<na>", r"\n", NULL)
"""Words for a missing value, in lower case."""

ALWAYS_MISSING = ("", NULL)
"""What stands for a missing value even in a column where any text is valid."""

LINE_BREAK = re.compile(r"[\n\r\0]")
MAX_LENGTH = 256
DROP_MISSING = "--missing=drop leaves such rows out"
HEADINGS = ("user", "userid", "item", "itemid")
"""Usual headings of columns of ids, in lower case, letters only."""


class BadValue(Exception):
    """An invalid value in a log.

    Attributes:
        row: row of the value, counted from 0.
        reason: what is wrong with the value.
        advice: which flag of `prepare` accepts the value, if any.
    """

    def __init__(self, row: int, reason: str, advice: str = ""):
        super().__init__(reason)
        self.row = row
        self.reason = reason
        self.advice = advice

    def __reduce__(self) -> tuple[type[BadValue], tuple[int, str, str]]:
        """Let another process raise the error."""
        return BadValue, (self.row, self.reason, self.advice)


def missing_values(values: pa.Array, any_text: bool = False) -> NDArray[np.bool_]:
    """Return which values of a batch are missing, bool [n].

    Args:
        values: Arrow array of text, numbers or times, [n].
        any_text: whether words such as "NA" are valid.
    """
    missing = pc.is_null(values, nan_is_null=True)
    if pa.types.is_string(values.type):
        words = values if any_text else pc.utf8_lower(values)
        named = pc.is_in(words, pa.array(ALWAYS_MISSING if any_text else MISSING))
        missing = pc.or_(missing, named)
    return np.asarray(missing.to_numpy(zero_copy_only=False))


def require_present(values: pa.Array, name: str, any_text: bool = False) -> None:
    """Raise BadValue if a value of a batch is missing; see missing_values."""
    missing = np.flatnonzero(missing_values(values, any_text))
    if len(missing):
        raise BadValue(int(missing[0]), f"{name} is missing", DROP_MISSING)


class IdColumn:
    """Collects a column of ids batch by batch.

    Memory: 4 bytes per row, plus the distinct ids of each batch; after `compact`, of each column
    that was joined to this one.

    Args:
        name: name of the column, for messages.
        any_text: whether any text is a valid id. If False, words for missing values are
            rejected and, in a column of numbers, so are negative, fractional and huge ones.
    """

    def __init__(self, name: str, any_text: bool = False):
        self.name = name
        self.any_text = any_text
        self.rows = 0
        self.chunks: list[pa.DictionaryArray] = []

    def add(self, values: pa.Array) -> None:
        """Append a batch of ids, an Arrow array of text or numbers.

        Raises:
            BadValue: an id is missing, too long, or contains a line break.
        """
        numbers = parse_integers(values)
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), None, values)
            # Keep the ".0" that Arrow's cast drops: 1.0 is not an integer id.
            values = pa.array(
                [None if value is None else str(value) for value in values.to_pylist()]
            )
        if numbers is None:
            values = pc.cast(values, pa.string()).fill_null("")
        chunk = (values if numbers is None else numbers).dictionary_encode()
        self.chunks.append(chunk)
        self.rows += len(chunk)
        if numbers is None:
            words = ALWAYS_MISSING if self.any_text else MISSING
            for text in chunk.dictionary.to_pylist():
                if text.lower() in words:
                    raise BadValue(self.first_row(text), f"{self.name} is missing", DROP_MISSING)
                if LINE_BREAK.search(text):
                    reason = (
                        f"{self.name} contains a line break or NUL: is a closing quote missing?"
                    )
                    raise BadValue(self.first_row(text), reason)
                if len(text) > MAX_LENGTH:
                    reason = f"{self.name} has {len(text):,} characters, more than {MAX_LENGTH}"
                    raise BadValue(self.first_row(text), reason)

    def compact(self) -> None:
        """Merge neighboring batches of the same kind of ids."""
        self.chunks = [merged(list(chunks)) for _, chunks in groupby(self.chunks, is_text)]

    def extend(self, other: IdColumn) -> None:
        """Append the batches of another column."""
        self.chunks += other.chunks
        self.rows += other.rows

    def finish(self) -> tuple[NDArray[np.int32], NDArray[np.generic]]:
        """Return the index of each row's id, int32 [n], and the sorted ids, int64 or text.

        Raises:
            BadValue: all ids are numbers, but one is negative, fractional or too large.
        """
        if not self.chunks:
            return np.zeros(0, np.int32), np.zeros(0, np.int64)
        textual = any(is_text(chunk) for chunk in self.chunks)
        if textual:
            if not self.any_text:
                self.reject_malformed_numbers()
            self.chunks = [as_text(chunk) for chunk in self.chunks]
        unified = pa.chunked_array(self.chunks).unify_dictionaries().chunks
        self.chunks = []
        distinct = unified[0].dictionary
        ids = np.array(distinct.to_pylist()) if textual else distinct.to_numpy()
        order = np.argsort(ids)
        number = np.empty(len(ids), dtype=np.int32)
        number[order] = np.arange(len(ids), dtype=np.int32)
        places = [number[chunk.indices.to_numpy()] for chunk in unified]
        return np.concatenate(places), ids[order]

    def reject_malformed_numbers(self) -> None:
        """Raise BadValue if all ids are numbers, but one is not an integer from 0 to LARGEST."""
        malformed = None
        for chunk in filter(is_text, self.chunks):
            for text in chunk.dictionary.to_pylist():
                if not NUMBER.fullmatch(text):
                    return
                if malformed is None and not (text.isdecimal() and int(text) <= LARGEST):
                    malformed = text
        if malformed is not None:
            raise BadValue(
                self.first_row(malformed),
                f"{self.name} '{malformed}' is not an integer from 0 to {LARGEST}",
                "--ids=text accepts any text as an id",
            )

    def reject_heading(self, first_rows: Sequence[int]) -> None:
        """Raise BadValue if the first row of a file without a header looks like one.

        It does if its id is the name of the column or a usual heading, or if no other id is text.

        Args:
            first_rows: the first row of each file, ascending.
        """
        found = {self.value(row): row for row in reversed(first_rows) if row < self.rows}
        texts = {value: row for value, row in found.items() if isinstance(value, str)}
        known = {letters(self.name), *HEADINGS}
        for text, row in sorted(texts.items(), key=lambda each: each[1]):
            if letters(text) in known or self.is_only_text(text):
                raise BadValue(
                    row,
                    f"{self.name} '{text}' looks like a heading, not an id: leave --columns out if "
                    "the file has a header line, or remove the line",
                )

    def is_only_text(self, text: str) -> bool:
        """Return whether all rows but one have a number, and that one has the id `text`."""
        rows = 0
        for chunk in self.chunks:
            if not is_text(chunk):
                continue
            code = pc.index(chunk.dictionary, text).as_py()
            others = (each for each in chunk.dictionary.to_pylist() if each != text)
            if not all(map(NUMBER.fullmatch, others)):
                return False
            if code >= 0:
                rows += int(pc.sum(pc.equal(chunk.indices, code)).as_py())
        return rows == 1 < self.rows and not NUMBER.fullmatch(text)

    def value(self, row: int) -> int | str:
        """Return the id of a row."""
        for chunk in self.chunks:
            if row < len(chunk):
                return chunk[row].as_py()
            row -= len(chunk)
        raise IndexError(row)

    def first_row(self, text: str) -> int:
        """Return the first row with the id `text`."""
        first = 0
        for chunk in self.chunks:
            if is_text(chunk):
                code = pc.index(chunk.dictionary, text).as_py()
                if code >= 0:
                    return first + int(pc.index(chunk.indices, code).as_py())
            first += len(chunk)
        raise AssertionError(f"no row has the id {text!r}")


def letters(text: str) -> str:
    """Return a text in lower case without characters other than letters and digits."""
    return "".join(filter(str.isalnum, text.lower()))


def is_text(chunk: pa.DictionaryArray) -> bool:
    """Return whether the ids of a batch are text."""
    return bool(pa.types.is_string(chunk.type.value_type))


def merged(chunks: list[pa.DictionaryArray]) -> pa.DictionaryArray:
    """Return batches of the same kind as one, whose ids have the order of their first rows."""
    if len(chunks) == 1:
        return chunks[0]
    return pa.chunked_array(chunks).unify_dictionaries().combine_chunks()


def as_text(chunk: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return a batch with its ids converted to text."""
    texts = pc.cast(chunk.dictionary, pa.string())
    return pa.DictionaryArray.from_arrays(chunk.indices, texts)


def parse_integers(values: pa.Array) -> pa.Int64Array | None:
    """Return a batch as non-negative integers, or None if any value is something else.

    Text must be written as Python prints the integer: no sign, no leading zeros.
    """
    if not pa.types.is_string(values.type) and not pa.types.is_integer(values.type):
        return None
    try:
        numbers = pc.cast(values, pa.int64())
    except pa.ArrowInvalid:
        return None
    if numbers.null_count or (len(numbers) and pc.min(numbers).as_py() < 0):
        return None
    if pa.types.is_string(values.type):
        plain = pc.equal(pc.cast(numbers, pa.string()), values)
        if not pc.all(plain).as_py():
            return None
    return numbers
