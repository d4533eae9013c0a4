"""Helpers shared by the file readers: a progress bar and parts of messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

SHOWN_COLUMNS = 12


def progress(path: Path, total: int, unit: str = "row") -> tqdm[Any]:
    """Return a progress bar for reading a file, shown only on a terminal."""
    return tqdm(total=total, desc=path.name, unit=unit, unit_scale=True, leave=False, disable=None)


def describe_columns(names: Sequence[str]) -> str:
    """Return a phrase that lists the columns of a table."""
    shown = ", ".join(repr(name) for name in names[:SHOWN_COLUMNS])
    return f"its columns are {shown}{', …' if len(names) > SHOWN_COLUMNS else ''}"


def one_line(error: Exception) -> str:
    """Return an error's message as one line, without the final period."""
    return " ".join(str(error).split()).rstrip(".")
