"""Reports files that are damaged, missing or unreadable in one sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recns_tf.errors import UserError

LONGEST_REASON = 100
NOT_DAMAGE = {errno.EACCES, errno.EPERM, errno.EISDIR, errno.EMFILE, errno.ENFILE, errno.ESTALE}
"""Numbers of system errors that say nothing about the content of a file."""


class Damaged(UserError):
    """A file that was written by this program cannot be used as it is."""


@contextmanager
def reading(path: Path | str, advice: str) -> Iterator[None]:
    """Report any error of the block as damage to a file.

    Put the whole read into the block, including the conversion and the checks of the values. Errors
    that name a file already, those of an inner `reading`, pass through.

    Args:
        path: the file, perhaps with a position in it.
        advice: what to do if it is damaged, to follow a colon.

    Raises:
        Damaged: the block raised an exception; the sentence names the file and the reason.
        UserError: the system refuses to open the file.

    Example:
        >>> with reading(path, "prepare the log again"):
        ...     rules = Rules(**read_object(path)["rules"])
    """
    try:
        yield
    except Damaged:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Damaged(f"{error.filename or path} is missing: {advice}.") from error
    except MemoryError as error:
        raise Damaged(f"{path} does not fit into memory, or is damaged: {advice}.") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NOT_DAMAGE:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        raise Damaged(f"{path} is damaged{reason(error)}: {advice}.") from error


def reason(error: Exception) -> str:
    """Return the message of an error in parentheses, or nothing if it is long or empty."""
    text = f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
    return f" ({text})" if text and len(text) <= LONGEST_REASON and text.isprintable() else ""
