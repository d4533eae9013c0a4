"""Ids of users and items as a log has them, numbered from 0.

An id is text or a whole number from 0 to 9223372036854775807. Where every id of a column is such a
number, plainly written, ids are int64; otherwise all of them stay text. Ids are numbered in
ascending order, so that the rows of a log may come in any order.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

LARGEST = 2**63 - 1
A_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
MISSING = ("", "nan", "null", "none", "na", "n/a", "<na>")
BROKEN = re.compile(r"[\n\r\0]")
LONGEST = 256


class BadValue(Exception):
    """A value of a log that cannot be used.

    Attributes:
        row: its row, counted from 0.
        reason: what is wrong with it.
    """

    def __init__(self, row: int, reason: str):
        super().__init__(reason)
        self.row = row
        self.reason = reason


class IdColumn:
    """Collects one column of ids, batch by batch, in 4 bytes a row and a copy of each batch's ids.

    Args:
        name: of the column, for messages.
        any_text: whether any text is an id; what looks like a negative, fractional or huge
            number is refused otherwise, as a damaged whole number, and what says "missing".
    """

    def __init__(self, name: str, any_text: bool = False):
        self.name = name
        self.any_text = any_text
        self.rows = 0
        self.chunks: list[pa.DictionaryArray] = []

    def add(self, values: pa.Array) -> None:
        """Append a batch of ids: an Arrow array of text or numbers.

        Raises:
            BadValue: an id is missing, too long, or holds a line break.
        """
        numbers = whole_numbers(values)
        if pa.types.is_floating(values.type):
            # With the ".0" that Arrow's cast leaves out: a fraction is no whole number.
            values = pa.array(
                [None if value is None else str(value) for value in values.to_pylist()]
            )
        if numbers is None:
            values = pc.cast(values, pa.string()).fill_null("")
        chunk = (values if numbers is None else numbers).dictionary_encode()
        self.chunks.append(chunk)
        self.rows += len(chunk)
        if numbers is None:
            for text in chunk.dictionary.to_pylist():
                if not text or (text.lower() in MISSING and not self.any_text):
                    raise BadValue(self.first_row(text), f"{self.name} is missing")
                if BROKEN.search(text):
                    reason = f"{self.name} holds a line break or NUL: is a quote left open?"
                    raise BadValue(self.first_row(text), reason)
                if len(text) > LONGEST:
                    reason = f"{self.name} has {len(text):,} characters, over {LONGEST}"
                    raise BadValue(self.first_row(text), reason)

    def finish(self) -> tuple[NDArray[np.int32], NDArray[np.generic]]:
        """Return each row's number [n] int32, and the ids in ascending order, int64 or text.

        Raises:
            BadValue: all ids are numbers, but one is negative, a fraction or huge.
        """
        if not self.chunks:
            return np.zeros(0, np.int32), np.zeros(0, np.int64)
        textual = any(is_text(chunk) for chunk in self.chunks)
        if textual:
            if not self.any_text:
                self.refuse_damaged_numbers()
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

    def refuse_damaged_numbers(self) -> None:
        """Raise BadValue if all ids are numbers, and one is no whole number from 0 to LARGEST."""
        damaged = None
        for chunk in filter(is_text, self.chunks):
            for text in chunk.dictionary.to_pylist():
                if not A_NUMBER.fullmatch(text):
                    return
                if damaged is None and not (text.isdecimal() and int(text) <= LARGEST):
                    damaged = text
        if damaged is not None:
            raise BadValue(
                self.first_row(damaged),
                f"{self.name} '{damaged}' is not a whole number from 0 to {LARGEST}; "
                "with --ids=text any text is an id",
            )

    def first_row(self, text: str) -> int:
        """Return the first row whose id is `text`."""
        first = 0
        for chunk in self.chunks:
            if is_text(chunk):
                code = pc.index(chunk.dictionary, text).as_py()
                if code >= 0:
                    return first + int(pc.index(chunk.indices, code).as_py())
            first += len(chunk)
        raise AssertionError(f"no row has the id {text!r}")


def is_text(chunk: pa.DictionaryArray) -> bool:
    """Return whether the ids of a batch are text."""
    return bool(pa.types.is_string(chunk.type.value_type))


def as_text(chunk: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return a batch whose ids are text; whole numbers are written plainly."""
    texts = pc.cast(chunk.dictionary, pa.string())
    return pa.DictionaryArray.from_arrays(chunk.indices, texts)


def whole_numbers(values: pa.Array) -> pa.Int64Array | None:
    """Return a batch as whole numbers from 0 on, or None if it holds anything else.

    A text counts if it is written as Python would write the number: no sign, no leading zero.
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
