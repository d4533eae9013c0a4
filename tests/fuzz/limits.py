"""Bounds on what a damaged input may take in the process of the tests."""

import faulthandler
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.processes import MEGABYTES, SECONDS, peak_megabytes

CLEAR = Path("/proc/self/clear_refs")
PEAK = "5"
"""What resets the peak resident size in CLEAR."""


@contextmanager
def limits():
    """Assert that the block keeps below MEGABYTES; end the process with a traceback if it hangs."""
    CLEAR.write_text(PEAK)
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert peak_megabytes("self") < MEGABYTES
