"""Helpers shared by the file readers: a progress bar, exceptions and parts of messages."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from recns_tf.datasets.formats.sources import Source
from recns_tf.utils.text import one_line

SHOWN_COLUMNS, SHOWN_CHARACTERS = 12, 60

UNREADABLE = (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)
"""Exceptions raised for damaged or encrypted files."""


def progress(source: Source, total: int, unit: str = "row") -> tqdm[Any]:
    """Return a progress bar for reading a file, shown only on a terminal."""
    return tqdm(
        total=total, desc=str(source), unit=unit, unit_scale=True, leave=False, disable=None
    )


def describe_columns(names: Sequence[str]) -> str:
    """Return a phrase that lists the columns of a table."""
    shown = ", ".join(repr(name[:SHOWN_CHARACTERS]) for name in names[:SHOWN_COLUMNS])
    return f"its columns are {shown}{', …' if len(names) > SHOWN_COLUMNS else ''}"


def describe_unreadable(source: Source, line: int, error: Exception) -> str:
    """Return a message that says why a text file cannot be read after a line."""
    if "password" in str(error):
        return f"{source} is encrypted: unpack it first."
    packed = source.codec or ("zip" if source.member else "")
    if packed and ("Truncated" in str(error) or isinstance(error, EOFError)):
        return f"{source} is truncated after line {line}: its compressed data end early."
    if packed:
        return f"{source} is not a valid {packed} file after line {line} ({one_line(error)})."
    return f"{source} line {line + 1} cannot be read ({one_line(error)})."
