"""Files that belong together, such as a table and its plot, replaced as a group."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recns_tf.utils.failures import naming_the_disk
from recns_tf.utils.files import shown_as, sync
from recns_tf.utils.folders import LOCK, NEW
from recns_tf.utils.locks import lock


@contextmanager
def written_together(folder: Path, last: str) -> Iterator[Path]:
    """Yield a temporary folder whose files move into `folder` when the block succeeds.

    If it fails, the earlier files stay. The earlier file called `last` is removed before any other
    is replaced, and the new one appears last: where it exists, all files are of one command. A
    second process waits for the first. Other files in `folder` are left alone.

    Args:
        folder: the output folder, created if it is missing.
        last: name of the file that marks a complete group; the block must write it.

    Raises:
        UserError: the disk is full.

    Example:
        >>> with written_together(Path("out"), last="table.md") as temporary:
        ...     write_text(temporary / "table.csv", "1,2")
        ...     write_text(temporary / "table.md", "| 1 | 2 |")
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary, locked = folder / f".{last}{NEW}", folder / f".{last}{LOCK}"
    with shown_as(folder, temporary, locked), lock(locked), naming_the_disk(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            names = sorted(file.name for file in temporary.iterdir() if file.name != last)
            (folder / last).unlink(missing_ok=True)
            for name in (*names, last):
                os.replace(temporary / name, folder / name)
            sync(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
