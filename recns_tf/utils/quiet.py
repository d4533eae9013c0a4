"""Code that prints no messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Discard what native code writes to file descriptor 2 while the block imports TensorFlow.

    TensorFlow reports a missing GPU there regardless of the log level, on import and when it first
    lists the devices. This function therefore lists them before it restores the descriptor.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
        if tensorflow := sys.modules.get("tensorflow"):
            tensorflow.config.list_physical_devices()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def silenced_stdout() -> Iterator[None]:
    """Discard what Python code prints in the block."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield
