"""Finds and reads the flagfiles of encoders and datasets.

A flagfile has one absl flag per line. Later sources override earlier ones: the encoder's flagfile,
the dataset's, that of both together, files given as --flagfile, and the command line. The built-in
flagfiles are part of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from recns_tf.config.flags import A_FOLDER_NAME, UNREADABLE, Checked, make_flags, message_of
from recns_tf.errors import UserError
from recns_tf.registry import DATASETS, ENCODERS
from recns_tf.utils.program import PACKAGE

FOLDER = PACKAGE / "flagfiles"
"""Folder of the built-in flagfiles; in a checkout, a link to flags/."""

SUFFIX = ".flags"
FLAG = "--flagfile"


def find(dataset: str, encoder: str = "") -> list[Path]:
    """Return the flagfiles of a dataset and an encoder, in the order they are read.

    Args:
        dataset: name of the dataset; one prepared from your own log may have no flagfile.
        encoder: name of the encoder, if any.

    Raises:
        UserError: the flagfile of a built-in encoder or dataset is missing.
    """
    found = []
    for name, required in (
        (encoder, encoder in ENCODERS),
        (dataset, dataset in DATASETS),
        (f"{dataset}-{encoder}", False),
    ):
        path = built_in(name)
        # A name with a path in it would read a file elsewhere.
        if A_FOLDER_NAME.holds(name) and path.is_file():
            found.append(path)
        elif required:
            raise UserError(f"{path} is missing: it holds the settings of {name}; install again.")
    return found


def locate(arguments: Sequence[str]) -> list[str]:
    """Replace --flagfile=flags/NAME.flags of a command line by the path of the built-in file.

    An existing file at the given path takes precedence.
    """
    located: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, value = argument.partition("=")
        if name.lstrip("-") != FLAG.lstrip("-") or not name.startswith("-"):
            located.append(argument)
            continue
        path = Path(value if equals else next(remaining, ""))
        own = FOLDER / path.name
        if not path.exists() and path.parent == Path("flags") and own.exists():
            path = own
        located.append(flag(path))
    return located


def flag(path: Path) -> str:
    """Return the flag that reads a flagfile."""
    return f"{FLAG}={path}"


def parse(files: Sequence[Path], *classes: type[Checked]) -> flags.FlagValues:
    """Return the flags of some classes of settings as set by flagfiles; later files win.

    Raises:
        UserError: a file is missing or names an unknown flag.
    """
    values = make_flags(*classes)
    values(["flags"])
    for path in files:
        if not path.exists():
            raise UserError(f"{path} is missing: it holds the settings to start from.")
        try:
            values(["flags", flag(path)])
        except UNREADABLE as error:
            raise UserError(f"{path}: {message_of(error).removesuffix('.')}.") from error
    return values


def split(arguments: Sequence[str], *classes: type[Checked]) -> tuple[list[Path], flags.FlagValues]:
    """Return the flagfiles of a command line, and its other flags.

    Args:
        arguments: the command line without the program.
        classes: settings whose flags are parsed; other flags are ignored.
    """
    files: list[Path] = []
    rest: list[str] = []
    for argument in locate(arguments):
        name, _, path = argument.partition("=")
        if name == FLAG:
            files.append(Path(path))
        else:
            rest.append(argument)
    values = make_flags(*classes)
    values(["flags", *rest], known_only=True)
    return files, values


def built_in(name: str) -> Path:
    """Return the path of the built-in flagfile with this name, such as "original"."""
    return FOLDER / f"{name}{SUFFIX}"
