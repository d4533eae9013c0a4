"""What a command line sets besides single flags: --config=FILE and --flagfile=FILE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf.config import flagfiles
from recns_tf.config.config import Config, complete
from recns_tf.config.flags import explicit_flags, flag_fields, from_flags
from recns_tf.errors import UserError
from recns_tf.utils.damage import reason
from recns_tf.utils.files import read_object
from recns_tf.utils.manifest import Manifest


class Expanded(NamedTuple):
    """A command line whose --config is replaced by flags.

    Attributes:
        line: the whole command line.
        words: dataset and encoder of the last file; [] if there is none.
        typed: the command line without --config.
        file: the last file, if any.
    """

    line: list[str]
    words: list[str]
    typed: list[str]
    file: Path | None


def expand(arguments: Sequence[str]) -> Expanded:
    """Replace each --config=FILE of a command line by the flags of that file.

    FILE is the config.json of a run. Its flags take the place of --config, so that later
    arguments override them. Flags missing from the file get their defaults.

    Raises:
        UserError: the file is not a run's config.json, or was changed after the run wrote it.
    """
    line: list[str] = []
    words: list[str] = []
    typed: list[str] = []
    file: Path | None = None
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, path = argument.partition("=")
        if name not in ("--config", "-config"):
            line.append(argument)
            typed.append(argument)
            continue
        path = path if equals else next(remaining, "")
        if not path:
            raise UserError("--config needs a file: --config=runs/NAME/config.json.")
        file = Path(path)
        Manifest(file.parent, "copy it to another folder to use it as it is").verify(file)
        try:
            settings = read_object(file)
            words = [str(settings[name]) for name in ("dataset", "encoder")]
            settings = complete(settings)
            line += [f"--{field.name}={settings[field.name]}" for field in flag_fields(Config)]
        except Exception as error:
            raise UserError(
                f"--config={path} is not a run's config.json{reason(error)}: choose a file such as "
                "runs/NAME/config.json."
            ) from error
    return Expanded(line, words, typed, file)


def explicit_settings(
    arguments: Sequence[str], dataset: str, encoder: str
) -> tuple[list[Path], dict[str, Any]]:
    """Return the flagfiles of a command line, and the Config fields that it sets explicitly.

    Args:
        arguments: the command line without the program.
        dataset: name of the dataset.
        encoder: name of the encoder.

    Returns:
        The files of --flagfile, and the fields of all other flags with their values.

    Raises:
        UserError: a value is illegal.
    """
    files, values = flagfiles.split(arguments, Config)
    config = from_flags(Config, values=values, dataset=dataset, encoder=encoder)
    return files, {name: getattr(config, name) for name in sorted(explicit_flags(Config, values))}
