"""Imports of large packages, without what a program does not use of them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lean_imports(*unused: str) -> Iterator[None]:
    """Import packages in the block without some that they import only where they are installed.

    In the block, an import of one of these raises ModuleNotFoundError, as if it were not installed;
    a package that is imported already stays. After the block, it can be imported as usual, but the
    packages that were imported in the block do without it as long as the process lives. So the
    block belongs into a program, not into a library.

    The block runs without garbage collections, which would search the modules again and again, and
    what exists at its end is left out of later ones.

    Args:
        unused: names of top-level packages.

    Example:
        >>> with lean_imports("matplotlib"):
        ...     import keras
    """
    hidden = [name for name in unused if name not in sys.modules]
    collecting = gc.isenabled()
    gc.disable()
    # Python documents None as the entry of a module that cannot be imported.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        if collecting:
            gc.freeze()
            gc.enable()
