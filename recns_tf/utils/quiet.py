"""Imports that print nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Drop what native code writes to file descriptor 2 while the block imports TensorFlow.

    TensorFlow reports a missing GPU there, before any log level takes effect: when it is imported,
    and when it first looks for devices, which is done here for that reason.
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
