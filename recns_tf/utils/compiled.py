"""Compiles kernels with Numba, and keeps their machine code for later processes if possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

Function = Callable[..., Any]


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Return a decorator that compiles a function which needs no Python objects.

    The function releases the global interpreter lock. Its machine code is kept next to its source
    or in the user's cache folder. Where neither can be written, as in a read-only container,
    every process compiles it again.

    Args:
        options: further options of numba.njit.
    """

    def decorate(function: Function) -> Function:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            # No folder in /tmp takes their place: another user could put code there.
            return njit(nogil=True, **options)(function)

    return decorate
