"""The flagfiles of encoders and datasets: the one place that finds and reads them.

A flagfile has one flag per line, as absl reads them. Later ones win: those of the encoder, of the
dataset, of the two together, further ones given as --flagfile, and the command line. The
project's own are part of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from recns_tf.config.flags import Checked, define_flags
from recns_tf.errors import UserError
from recns_tf.registry import DATASETS, ENCODERS

FOLDER = Path(__file__).resolve().parents[1] / "flagfiles"
"""Where the project's own flagfiles are; in a checkout, a link to flags/."""

SUFFIX = ".flags"
FLAG = "--flagfile"


def find(dataset: str, encoder: str = "") -> list[Path]:
    """Return the flagfiles of a dataset and an encoder, in the order they are read.

    Args:
        dataset: its name; one prepared from the user's own log may have none.
        encoder: its name, if any.

    Raises:
        UserError: the flagfile of a built-in encoder or dataset is missing. Its settings would
            silently be others.
    """
    found = []
    for name, required in (
        (encoder, encoder in ENCODERS),
        (dataset, dataset in DATASETS),
        (f"{dataset}-{encoder}", False),
    ):
        path = built_in(name)
        if path.is_file():
            found.append(path)
        elif required:
            raise UserError(f"{path} is missing: it holds the settings of {name}; install again.")
    return found


def locate(arguments: Sequence[str]) -> list[str]:
    """Return a command line whose --flagfile=flags/NAME.flags may name one of the project's own.

    A file that exists at the path itself wins.
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
    """Return the flags of some settings as flagfiles set them, the last of which wins.

    Raises:
        UserError: a file is missing or names a flag that does not exist.
    """
    values = flags.FlagValues()
    define_flags(*classes, values=values)
    values(["flags"])
    for path in files:
        if not path.exists():
            raise UserError(f"{path} is missing: it holds the settings to start from.")
        try:
            values(["flags", flag(path)])
        except flags.Error as error:
            raise UserError(f"{path}: {error}.") from error
    return values


def split(arguments: Sequence[str], *classes: type[Checked]) -> tuple[list[Path], flags.FlagValues]:
    """Return the flagfiles of a command line, and the flags that it sets itself.

    Args:
        arguments: the command line without the program.
        classes: the settings whose flags are parsed; others are left out.
    """
    files: list[Path] = []
    rest: list[str] = []
    for argument in locate(arguments):
        name, _, path = argument.partition("=")
        if name == FLAG:
            files.append(Path(path))
        else:
            rest.append(argument)
    values = flags.FlagValues()
    define_flags(*classes, values=values)
    values(["flags", *rest], known_only=True)
    return files, values


def built_in(name: str) -> Path:
    """Return the project's own flagfile of that name, such as "original"."""
    return FOLDER / f"{name}{SUFFIX}"
