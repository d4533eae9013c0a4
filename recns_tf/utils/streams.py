"""Standard streams that can be printed to, whatever the terminal and wherever they lead."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from recns_tf.utils.program import short_name

PLAIN = {"…": "...", "–": "-", "×": "x", "±": "+-", "−": "-"}
"""What messages print on a terminal that lacks a character; others become escapes."""
HANDLER = "recns_tf.plain"


def plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace characters that an encoding lacks; see codecs.register_error."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    escaped = (
        PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode() for each in lacking
    )
    return "".join(escaped), error.end


codecs.register_error(HANDLER, plain)


@contextmanager
def printable_streams() -> Iterator[None]:
    """Make the standard streams usable in the block, and write all output at its end.

    A closed stream leads nowhere. If the reader of the output stops reading, as in "| head", or
    the output cannot be written, the program exits with status 1.
    """
    open_missing()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        sys.exit(1)
    except OSError as error:
        discard_output()
        sys.exit(f"{short_name()}: the output cannot be written: {error.strerror}.")


def open_missing() -> None:
    """Open the null device for each closed standard stream.

    Otherwise the next file that the program opens would take the stream's place.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free descriptor is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def discard_output() -> None:
    """Let further output lead nowhere, so that none is flushed to a closed pipe at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
