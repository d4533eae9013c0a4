"""What the readers of files share: a progress bar, and words for their messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

SHOWN_COLUMNS = 12


def progress(path: Path, total: int, unit: str = "row") -> tqdm[Any]:
    """Return a bar that shows on a terminal while a file is read."""
    return tqdm(total=total, desc=path.name, unit=unit, unit_scale=True, leave=False, disable=None)


def listed(names: Sequence[str]) -> str:
    """Return the columns of a table in words."""
    shown = ", ".join(repr(name) for name in names[:SHOWN_COLUMNS])
    return f"its columns are {shown}{', …' if len(names) > SHOWN_COLUMNS else ''}"


def one_line(error: Exception) -> str:
    """Return an error's message in one line, without its final stop."""
    return " ".join(str(error).split()).rstrip(".")
