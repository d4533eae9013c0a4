"""Checks the texts of a command line, and writes texts, counts and sizes for messages."""

from __future__ import annotations

import sys
import unicodedata

from recns_tf.errors import UserError

LONGEST_TEXT = 4_096
LONGEST_LIST = 131_072
"""Characters of a list of files, columns or values; Linux passes no longer argument."""
LONGEST_ERROR = 300
"""Characters of another program's message; some quote the whole line of a file."""
SHOWN = 100
"""Characters of a text that a message shows."""
ENCODING = sys.getfilesystemencoding().upper()
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories: control characters, bytes that are not UTF-8, and line separators."""


def shown(value: object) -> str:
    """Return a value as one printable line of about SHOWN characters, for messages."""
    text = str(value)
    if len(text) > SHOWN:
        text = f"{text[: SHOWN - 1]}…"
    return printable(text)


def printable(text: str) -> str:
    """Return a text with unprintable characters, such as line breaks, written as escapes."""
    return "".join(
        each.encode("unicode_escape").decode()
        if unicodedata.category(each) in UNPRINTABLE
        else each
        for each in text
    )


def one_line(error: BaseException, longest: int = LONGEST_ERROR) -> str:
    """Return the start of an error's message as one line, without the final period."""
    return " ".join(str(error)[:longest].split()).rstrip(".")


def count(number: int, noun: str, nouns: str = "") -> str:
    """Return a number with the form of a noun that it takes: "1 row", "2,000 rows".

    Args:
        number: how many.
        noun: for 1; further words may follow it in both forms.
        nouns: for all other numbers; `noun` with an s if empty.
    """
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def bytes_text(number: float) -> str:
    """Return a number of bytes as text: "1.5 GB", "20 MB" or "0.2 MB"."""
    if number >= 1e9:
        return f"{number / 1e9:,.1f} GB"
    return f"{number / 1e6:.0f} MB" if number >= 1e7 else f"{number / 1e6:.1f} MB"


def require_text(
    text: str, name: str, longest: int = LONGEST_TEXT, control_characters: bool = False
) -> None:
    """Raise UserError if a text of the command line is too long or has unprintable characters.

    Args:
        text: the text.
        name: what it is, such as "--run_name=", to precede the text in the message.
        longest: number of characters that it may have.
        control_characters: whether it may contain control characters.
    """
    if len(text) > longest:
        raise UserError(f"{name}{shown(text)}: choose at most {longest} characters.")
    found = {unicodedata.category(each) for each in text}
    if "Cs" in found:
        raise UserError(f"{name}{shown(text)}: choose text in {ENCODING}.")
    if not control_characters and not found.isdisjoint(UNPRINTABLE):
        raise UserError(
            f"{name}{shown(text)}: choose text without line breaks and control characters."
        )
