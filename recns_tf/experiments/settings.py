"""The settings that ./run.sh would give a dataset and an encoder, without running it.

Later ones win: flags/ENCODER.flags, flags/DATASET.flags, flags/DATASET-ENCODER.flags, further
flagfiles, and the command line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from recns_tf import options
from recns_tf.config import Config, Workspace
from recns_tf.errors import UserError

FLAGFILES = Path(__file__).resolve().parents[2] / "flags"
CONFIG_FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def flagfiles(dataset: str, encoder: str, folder: Path = FLAGFILES) -> list[Path]:
    """Return the flagfiles of a dataset and an encoder that exist, in the order they are read."""
    names = (encoder, dataset, f"{dataset}-{encoder}")
    return [path for name in names if (path := folder / f"{name}.flags").exists()]


def read(
    dataset: str, encoder: str, files: Sequence[Path], given: Mapping[str, Any] | None = None
) -> Config:
    """Return the settings that flagfiles make.

    Args:
        dataset: its name.
        encoder: its name.
        files: flagfiles, the last of which wins.
        given: values of fields of Config that win over all files.

    Raises:
        UserError: a file is missing or names a flag that does not exist, or a value is not legal.
    """
    config, _ = parse(dataset, encoder, files)
    return dataclasses.replace(config, **given or {})


def parse(dataset: str, encoder: str, files: Sequence[Path]) -> tuple[Config, set[str]]:
    """Return the settings that flagfiles make, and the names of those that they tell.

    Raises:
        UserError: as `read`.
    """
    values = flags.FlagValues()
    options.define_flags(Config, Workspace, among=values)
    for path in files:
        if not path.exists():
            raise UserError(f"{path} is missing: it holds the settings to start from.")
        try:
            values(["flags", f"--flagfile={path}"])
        except flags.Error as error:
            raise UserError(f"{path}: {error}.") from error
    if not files:
        values(["flags"])
    config = options.from_flags(Config, among=values, dataset=dataset, encoder=encoder)
    return config, options.given(Config, values)


def from_command_line(
    arguments: Sequence[str], dataset: str, encoder: str
) -> tuple[list[Path], dict[str, Any]]:
    """Return what a command line says of Config: its flagfiles, and the flags that it gives itself.

    Args:
        arguments: the command line with the program's name, as in sys.argv.
        dataset, encoder: of the Config by which values are checked.

    Returns:
        The files of --flagfile, and the fields of the other flags with their values.

    Raises:
        UserError: a value is not legal.
    """
    files: list[Path] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, path = argument.partition("=")
        if name in ("--flagfile", "-flagfile"):
            files.append(Path(path if equals else next(remaining, "")))
        else:
            rest.append(argument)
    values = flags.FlagValues()
    options.define_flags(Config, among=values)
    # The program's own flags and those of the sweep are unknown here, and checked elsewhere.
    values(rest, known_only=True)
    config = options.from_flags(Config, among=values, dataset=dataset, encoder=encoder)
    return files, {name: getattr(config, name) for name in sorted(options.given(Config, values))}


def differences(config: Config, base: Config) -> dict[str, Any]:
    """Return the settings of `config` that `base` has otherwise, in the order of their fields."""
    return {
        name: getattr(config, name)
        for name in CONFIG_FIELDS
        if getattr(config, name) != getattr(base, name)
    }
