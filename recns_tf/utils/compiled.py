"""Compiles functions with numba and caches them on disk, with a checksum in every cache file.

Numba itself does not notice a damaged cache: a truncated file ends in a traceback, and a changed
byte of machine code in anything.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

Function = Callable[..., Any]

DIGEST = hashlib.sha256().digest_size


class CheckedFiles(IndexDataCacheFile):
    """The cache files of a function, each with its SHA-256 as the last bytes.

    What numba reads from them ends before these bytes. A damaged file is deleted, with a line on
    stderr; numba then compiles the function again.
    """

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[io.BytesIO]:
        with super()._open_for_write(filepath) as file:
            content = io.BytesIO()
            yield content
            file.write(content.getvalue() + hashlib.sha256(content.getvalue()).digest())

    def _load_index(self) -> dict[Any, str]:
        index: dict[Any, str] = super()._load_index() if is_sound(self._index_path) else {}
        return index

    def _load_data(self, name: str) -> Any:
        if not is_sound(self._data_path(name)):
            raise FileNotFoundError(name)  # which numba takes for a function to compile
        return super()._load_data(name)


def is_sound(name: str) -> bool:
    """Return whether a cache file is there and undamaged; delete it if it is damaged."""
    path = Path(name)
    try:
        content = path.read_bytes()
    except OSError:
        return False
    if hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]:
        return True
    print(f"{path} is damaged: the function is compiled again.", file=sys.stderr)
    with suppress(OSError):
        path.unlink()
    return False


class CheckedCache(FunctionCache):
    """The cache of a function in files with checksums."""

    def __init__(self, function: Function):
        super().__init__(function)
        self._cache_file = CheckedFiles(
            self._cache_path,
            # Numba's own files have no checksums.
            f"{self._impl.filename_base}-checked",
            self._impl.locator.get_source_stamp(),
        )


def compiled(**options: Any) -> Callable[[Function], Any]:
    """Return a decorator that compiles a function which needs no Python objects.

    The function releases the global interpreter lock. Its machine code is kept next to its source
    or in the user's cache folder. Where neither can be written, as in a read-only container,
    every process compiles it again.

    Args:
        options: further options of numba.njit.

    Example:
        >>> @compiled()
        ... def double(values):
        ...     return 2 * values
    """

    def decorate(function: Function) -> Any:
        dispatcher = njit(nogil=True, **options)(function)
        try:
            dispatcher._cache = CheckedCache(function)
        except RuntimeError as error:
            # No folder in /tmp takes their place: another user could put code there.
            if "cannot cache" not in str(error):
                raise
        return dispatcher

    return decorate
