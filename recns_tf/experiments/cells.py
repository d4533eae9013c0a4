"""A cell of a table: one run, its folder's name, and how far it is."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf.config.config import DEFAULTS, Config, Workspace, complete
from recns_tf.errors import UserError
from recns_tf.runs.folder import RunFolder

IN_EVERY_NAME = ("dataset", "encoder", "sampler", "seed")
LONGEST = 150

DONE, BEGUN, NEW = "done", "begun", "to do"


class Cell(NamedTuple):
    """An ordinary run.

    Attributes:
        name: of its folder.
        config: all its settings.
    """

    name: str
    config: Config


def name_of(config: Config, base: Config, tag: str = "") -> str:
    """Return the folder name of a run: that of an ordinary one, and what differs from `base`.

    Args:
        config: the run's settings.
        base: the settings of the flagfiles, with which ./run.sh gives a run its ordinary name.
        tag: what stands for the base, if that is another one, such as "original".

    Returns:
        DATASET-ENCODER-SAMPLER[-TAG][-FLAG=VALUE …][-seedN].
    """
    stem = Workspace().run_folder(dataclasses.replace(config, seed=0)).name
    parts = [stem, *([tag] if tag else [])]
    for name, value in config.differences(base).items():
        if name not in IN_EVERY_NAME:
            parts.append(in_name(name, value))
    name = "-".join(parts)
    if len(name) > LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        name = f"{name[:LONGEST]}-{digest}"
    return f"{name}-seed{config.seed}" if config.seed else name


def in_name(name: str, value: Any) -> str:
    """Return what the name of a run's folder has for a setting."""
    return f"{name}={re.sub(r'[^A-Za-z0-9.+-]+', '_', str(value)).strip('_')}"


def seeds(config: Config, numbers: Iterable[int], base: Config, tag: str = "") -> list[Cell]:
    """Return the cells of `config`, one a seed."""
    configs = [dataclasses.replace(config, seed=seed) for seed in numbers]
    return [Cell(name_of(each, base, tag), each) for each in configs]


def distinct(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells without those that stand there twice, in their order.

    Raises:
        UserError: two with different settings would share a folder.
    """
    found: dict[str, Cell] = {}
    for cell in cells:
        if found.setdefault(cell.name, cell).config != cell.config:
            raise UserError(f"two different runs would be called {cell.name}: leave one out.")
    return list(found.values())


def whole(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a run's settings with the defaults of those that its version did not know yet."""
    known = complete(settings)
    return {name: known[name] for name in DEFAULTS}


def results_of(cell: Cell, runs_dir: Path) -> dict[str, Any] | None:
    """Return the results of a cell that is finished, None otherwise.

    Raises:
        UserError: its folder is damaged, or holds a run with other settings.
    """
    folder = RunFolder(runs_dir / cell.name)
    results = folder.read_results()
    if results is not None:
        check_same_settings(folder.path, whole(results["config"]), cell.config)
    return results


def state(cell: Cell, runs_dir: Path) -> str:
    """Return DONE, BEGUN or NEW.

    Raises:
        UserError: as `results_of`.
    """
    if results_of(cell, runs_dir) is not None:
        return DONE
    folder = RunFolder(runs_dir / cell.name)
    if not folder.config.exists():
        return NEW
    try:
        settings = whole(json.loads(folder.config.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{folder.config} is damaged: move {folder.path} away.") from error
    check_same_settings(folder.path, settings, cell.config)
    return BEGUN


def check_same_settings(path: Path, settings: dict[str, Any], config: Config) -> None:
    """Raise UserError if `settings`, those of the run at `path`, are not those of `config`."""
    different = [
        f"{name} {settings[name]} there, {value} here"
        for name, value in config.to_json().items()
        if settings[name] != value
    ]
    if different:
        raise UserError(
            f"{path} holds a run with other settings ({'; '.join(different)}): "
            "move it away, or choose another --runs_dir."
        )


def is_locked(cell: Cell, runs_dir: Path) -> bool:
    """Return whether another process is writing to the cell's folder."""
    lock = runs_dir / cell.name / ".lock"
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
