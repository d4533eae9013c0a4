"""The number of threads of NumPy's matrix products."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import numpy as np

NAMES = (
    "scipy_openblas_{}_num_threads64_",
    "openblas_{}_num_threads64_",
    "openblas_{}_num_threads",
)
"""The functions of OpenBLAS, in NumPy's wheels and in other builds."""


class Threads:
    """The number of threads of OpenBLAS, which is one while any block asks for it.

    Args:
        get, put: functions of OpenBLAS that return and set the number.
    """

    def __init__(self, get: Callable[[], int], put: Callable[[int], Any]):
        self.get = get
        self.put = put
        self.lock = threading.Lock()
        self.blocks = 0
        self.before = 1

    def enter(self) -> None:
        """Begin a block."""
        with self.lock:
            if not self.blocks:
                self.before = self.get()
                self.put(1)
            self.blocks += 1

    def leave(self) -> None:
        """End a block."""
        with self.lock:
            self.blocks -= 1
            if not self.blocks:
                self.put(self.before)


@cache
def threads() -> Threads | None:
    """Return the number of threads of NumPy's OpenBLAS; None if NumPy uses another library."""
    # By its file, because the module is private. Its dependencies are searched, too.
    extension: Any = getattr(np, "_core", None)
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(extension._multiarray_umath.__file__)
        for name in NAMES:
            with suppress(AttributeError):
                return Threads(
                    getattr(library, name.format("get")), getattr(library, name.format("set"))
                )
    return None


@contextmanager
def one_thread_per_product() -> Iterator[None]:
    """Let each matrix product of NumPy use one thread in the block, if NumPy uses OpenBLAS.

    Threads that multiply at the same time then do not wait for each other. OpenBLAS's own threads
    wait in a loop, which takes twice the processor time where other programs run.
    """
    found = threads()
    if found is None:
        yield
        return
    found.enter()
    try:
        yield
    finally:
        found.leave()
