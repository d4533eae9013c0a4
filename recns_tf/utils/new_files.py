"""The file that a command writes: whole or not at all, and never over another without a flag."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recns_tf.errors import UserError
from recns_tf.utils import folders
from recns_tf.utils.files import atomic


def refuse_existing(path: Path, overwrite: bool | None = None) -> None:
    """Raise UserError if there is something at `path` that may not be replaced.

    Args:
        path: the file or folder to write.
        overwrite: the flag --overwrite, which replaces files; None if there is no such flag.
    """
    if overwrite is not None and path.is_dir():
        raise UserError(f"{path} is a folder: choose the name of a file.")
    if path.exists() and not overwrite:
        advice = "" if overwrite is None else ", or --overwrite to replace it"
        raise UserError(f"{path} already exists: choose another name{advice}.")


@contextmanager
def new_file(path: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path, renamed to `path` when the block succeeds.

    Raises:
        UserError: there is a file at `path` and `overwrite` is False, or another process is
            writing it.
    """
    refuse_existing(path, overwrite)
    with folders.claim(path, f"another process is writing {path}."):
        refuse_existing(path, overwrite)
        with atomic(path) as temporary:
            yield temporary
