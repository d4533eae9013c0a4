"""Check the quoting of a text table byte by byte while Arrow reads it.

Arrow, like Python's csv module, accepts text after a closing quote and a quote that is never
closed, and then merges records. Here both are errors, also in columns that are not read. The number
of records is counted, to be compared with the number of rows that Arrow returns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recns_tf.datasets.formats.text import NULL, BadQuote
from recns_tf.utils.compiled import compiled

START, PLAIN, QUOTED, CLOSED = 0, 1, 2, 3
"""Positions: at the start of a field, in an unquoted or quoted one, after a closing quote."""

STATE, LINE, OPENED, RECORDS, EMPTY, ESCAPED, AFTER_RETURN = range(7)
"""Indices of the state between two blocks: the position, the line, the line of the last opening
quote, the number of records, and whether the record is empty so far, the next byte is escaped, and
the last byte was a carriage return."""

QUOTE, NEWLINE, RETURN, NULL_LETTER = (np.uint8(ord(mark)) for mark in '"\n\rN')
NONE = np.int16(-1)
"""Stands for a missing escape character."""

NULL_BYTE = np.uint8(ord(NULL))


class QuoteCheck:
    """Follows the quotes and counts the records of a table.

    Args:
        separator: one ASCII character between fields.
        quoted: whether fields may be quoted. If False, records are only counted.
        escape: the character before a character to take literally, or "".
    """

    def __init__(self, separator: str, *, quoted: bool = True, escape: str = ""):
        self.separator = np.int16(ord(separator))
        self.quoted = quoted
        self.escape = np.int16(ord(escape)) if escape else NONE
        self.state = np.array([START, 1, 0, 0, 1, 0, 0], np.int64)

    def add(self, marks: NDArray[np.uint8]) -> None:
        """Check the next bytes of the file.

        Args:
            marks: uint8 [n]. If a field starts with an escaped N, that byte is overwritten with
                NULL.

        Raises:
            BadQuote: text follows a closing quote.
        """
        if not follow(marks, self.state, self.separator, self.quoted, self.escape):
            raise BadQuote(int(self.state[LINE]), "text follows a closing quote")

    def finish(self) -> int:
        """Return the number of records that are not empty lines.

        Raises:
            BadQuote: the file ends inside quotes.
        """
        if self.state[STATE] == QUOTED:
            raise BadQuote(int(self.state[OPENED]), "a quote is opened and never closed")
        return int(self.state[RECORDS] + (not self.state[EMPTY]))


@compiled()
def follow(  # type: ignore[no-untyped-def]
    marks: NDArray[np.uint8], numbers: NDArray[np.int64], separator, quoted, escape
):
    """Follow bytes from the state in `numbers` and update it; return whether they are valid."""
    state, line, opened = numbers[STATE], numbers[LINE], numbers[OPENED]
    records, empty = numbers[RECORDS], numbers[EMPTY]
    escaped, after_return = numbers[ESCAPED], numbers[AFTER_RETURN]
    valid = True
    for place in range(len(marks)):
        mark = marks[place]
        # A line ends with \r, \n or \r\n, also inside quotes, where the record continues.
        if mark == NEWLINE and after_return:
            after_return = 0
            continue
        after_return = mark == RETURN
        ends = mark in (NEWLINE, RETURN)
        line += ends
        if escaped:
            escaped = 0
            if state == START:
                state = PLAIN
                if mark == NULL_LETTER:
                    marks[place] = NULL_BYTE
            empty = 0
        elif ends:
            if state != QUOTED:
                records += not empty
                state, empty = START, 1
        elif mark == escape and state != CLOSED:
            escaped = 1
        elif state == QUOTED:
            if mark == QUOTE:
                state = CLOSED
        elif mark == separator:
            state, empty = START, 0
        elif mark == QUOTE and quoted and (state in (START, CLOSED)):
            # Two quotes in a row are one quote of the field.
            if state == START:
                opened = line
            state, empty = QUOTED, 0
        elif state == CLOSED:
            valid = False
            break
        else:
            state, empty = PLAIN, 0
    numbers[STATE], numbers[LINE], numbers[OPENED] = state, line, opened
    numbers[RECORDS], numbers[EMPTY] = records, empty
    numbers[ESCAPED], numbers[AFTER_RETURN] = escaped, after_return
    return valid
