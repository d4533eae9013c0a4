"""The bytes of text files: their layout, and a stream that converts them to plain UTF-8."""

from __future__ import annotations

import codecs
import io
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import IO, Any, AnyStr, NamedTuple

import numpy as np
from numpy.typing import NDArray

Check = Callable[[NDArray[np.uint8]], None]
"""Called with the bytes that were read, uint8 [n], which it may change."""

UTF8 = "utf-8"
BOM = codecs.BOM_UTF8
UNIT_SEPARATOR = b"\x1f"
"""Stands for a separator of several characters, because Arrow's parser takes only one."""

AUTO, DOUBLE, NO_QUOTING = "auto", "double", "none"
QUOTINGS = (AUTO, DOUBLE, NO_QUOTING)


class Layout(NamedTuple):
    """The layout of a text table.

    Attributes:
        separator: characters between fields; "" means a comma for .csv and a tab for .tsv, .inter
            and .txt.
        names: column names if the table has no header line; () if it has one.
        quoting: "double": fields may be enclosed in double quotes, and a quote in them is
            doubled; "none": a quote is a character like others; "auto": none if the fields are
            separated by a tab or by several characters, double otherwise.
        escape: the character before a character to take literally; "" if there is none.
        encoding: name of a text encoding.
    """

    separator: str = ""
    names: tuple[str, ...] = ()
    quoting: str = AUTO
    escape: str = ""
    encoding: str = UTF8


BY_NAME = Layout()
"""The layout that the file name implies."""

NULL = "\x1a"
r"""Replaces the N of \N, which MySQL and Hive write for a missing value. Without it, the parser
would return the text N."""

LONGEST_LINE = 16 << 20
"""Most characters of a line, so that a file without line ends does not fill the memory."""


class BadQuote(ValueError):
    """A quote that is never closed, or is followed by text.

    Attributes:
        line: line of the file, counted from 1.
        reason: what is wrong.
    """

    def __init__(self, line: int, reason: str):
        super().__init__(reason)
        self.line = line
        self.reason = reason


class BadText(Exception):
    """Text that cannot be a table of the given layout."""


def bounded_lines(file: IO[AnyStr], longest: int = LONGEST_LINE) -> Iterator[AnyStr]:
    """Yield the lines of a file with their ends.

    Raises:
        BadText: a line is longer than `longest`.
    """
    for number in count(1):
        line = file.readline(longest + 1)
        if len(line) > longest:
            raise BadText(f"line {number} is longer than {longest:,} characters")
        if not line:
            return
        yield line


def is_text_encoding(name: str) -> bool:
    """Return whether Python knows a text encoding of this name."""
    try:
        "".encode(name)
    except (LookupError, UnicodeError):
        return False
    return True


def undecoded(layout: Layout) -> str:
    """Return what is wrong with a line that contains bytes that are not valid text."""
    return f"not {layout.encoding.upper()} text; name its encoding, as in --encoding=latin-1"


class Utf8Stream(io.RawIOBase):
    """Reads a text file as UTF-8 without a byte order mark, with a one-byte field separator.

    Bytes that are not valid in the encoding stay as they are, so that the result is invalid UTF-8
    in the same places.

    Args:
        stream: the file.
        encoding: its encoding.
        separator: the field separator. If it has several characters, UNIT_SEPARATOR replaces it.
        check: called with all bytes, in order; None for no check.

    Raises:
        BadText: while reading, the file contains UNIT_SEPARATOR, which stands for the separator, or
            bytes that the encoding has no place for.
        BadQuote: while reading, raised by `check`.
    """

    def __init__(self, stream: Any, encoding: str, separator: str = "", check: Check | None = None):
        super().__init__()
        self.stream = stream
        self.encoding = encoding
        self.check = check
        self.lines = 0
        self.lock = threading.Lock()
        self.stopped = False
        is_utf8 = codecs.lookup(encoding).name in (UTF8, "utf-8-sig")
        self.decoder = (
            None if is_utf8 else codecs.getincrementaldecoder(encoding)("surrogateescape")
        )
        self.long_separator = separator.encode() if len(separator) > 1 else b""
        self.pending = b""
        self.held = b""  # bytes that may begin a byte order mark or a separator
        self.at_start = True
        self.at_end = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, and return the number of bytes written; 0 at the end of the file."""
        with self.lock:
            return 0 if self.stopped else self.fill(buffer)

    def stop(self) -> None:
        """Let further reads return nothing, and wait for one that another thread is doing.

        Arrow reads ahead in a thread of its own, which must not run when the interpreter ends.
        """
        with self.lock:
            self.stopped = True

    def fill(self, buffer: Any) -> int:
        """Do what `readinto` does, with the lock held."""
        while not self.pending and not self.at_end:
            self.pending = self.convert(self.stream.read(max(len(buffer), len(BOM))))
        count = min(len(buffer), len(self.pending))
        buffer[:count] = self.pending[:count]
        self.pending = self.pending[count:]
        if self.check is not None:
            self.check(np.frombuffer(buffer, np.uint8, count))
        return count

    def convert(self, block: bytes) -> bytes:
        """Return the converted bytes of a block; an empty one is the end of the file."""
        self.at_end = not block
        if self.decoder is not None:
            try:
                text = self.decoder.decode(block, final=self.at_end)
            except UnicodeDecodeError as error:
                # UTF-16 and UTF-32 have no place for single bytes.
                name = self.encoding.upper()
                raise BadText(f"is not {name} text after line {self.lines}") from error
            self.lines += text.count("\n")
            block = text.encode(UTF8, "surrogateescape")
        if self.at_start:
            block = self.held + block
            self.held = b""
            if len(block) < len(BOM) and not self.at_end:
                self.held = block
                return b""
            self.at_start = False
            block = block.removeprefix(BOM)
        return self.replace_separator(block) if self.long_separator else block

    def replace_separator(self, block: bytes) -> bytes:
        """Return a block with each separator replaced; a partial one at its end waits."""
        if UNIT_SEPARATOR in block:
            raise BadText("contains the control character 0x1F; choose a one-byte --separator")
        block = (self.held + block).replace(self.long_separator, UNIT_SEPARATOR)
        self.held = b""
        for length in range(len(self.long_separator) - 1, 0, -1):
            if not self.at_end and block.endswith(self.long_separator[:length]):
                self.held = block[-length:]
                return block[:-length]
        return block
