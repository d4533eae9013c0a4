"""Cells, the runs of a sweep: settings, folder name and state."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf.config.config import DEFAULTS, Config, Workspace, complete
from recns_tf.errors import UserError
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.folders import LOCK, claim, replace
from recns_tf.utils.locks import lock

IN_EVERY_NAME = ("dataset", "encoder", "sampler", "seed")
LONGEST = 150
PAPER_K = 20

DONE, STARTED, NEW = "done", "started", "to do"


class Cell(NamedTuple):
    """One run.

    Attributes:
        name: name of its folder.
        config: all its settings.
    """

    name: str
    config: Config


def name_of(config: Config, base: Config, tag: str = "") -> str:
    """Return the folder name of a run: its usual name, and the settings that differ from `base`.

    Args:
        config: the run's settings.
        base: the settings that runs with the usual name have, those of the flagfiles.
        tag: name of another base, such as "original".

    Returns:
        DATASET-ENCODER-SAMPLER[-TAG][-FLAG=VALUE …][-seedN]. Long names are cut and end in a hash.
    """
    stem = Workspace().run_folder(dataclasses.replace(config, seed=0)).name
    parts = [stem, *([tag] if tag else [])]
    for name, value in config.differences(base).items():
        if name not in IN_EVERY_NAME:
            parts.append(name_part(name, value))
    name = "-".join(parts)
    if len(name) > LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        name = f"{name[:LONGEST]}-{digest}"
    return f"{name}-seed{config.seed}" if config.seed else name


def name_part(name: str, value: Any) -> str:
    """Return the part of a folder name for a setting, safe for file systems and shells."""
    return f"{name}={re.sub(r'[^A-Za-z0-9.+-]+', '_', str(value)).strip('_')}"


def make_cells(config: Config, seeds: Iterable[int], base: Config, tag: str = "") -> list[Cell]:
    """Return the cells of `config`, one per seed; `base` and `tag` as in `name_of`.

    Raises:
        UserError: the runs would not have the metrics of the paper's tables.
    """
    if PAPER_K not in config.ks:
        raise UserError(
            f"--topk={config.topk}: the tables and figures show metrics at {PAPER_K}, so that "
            f"--topk must include it: choose --topk={config.topk},{PAPER_K}."
        )
    configs = [dataclasses.replace(config, seed=seed) for seed in seeds]
    return [Cell(name_of(each, base, tag), each) for each in configs]


def unique_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells without duplicates, in their order.

    Raises:
        UserError: two cells with different settings have the same folder.
    """
    found: dict[str, Cell] = {}
    for cell in cells:
        if found.setdefault(cell.name, cell).config != cell.config:
            raise UserError(f"two different runs have the name {cell.name}: leave one out.")
    return list(found.values())


def fill_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a run's settings, with the defaults of those that its version did not have."""
    known = complete(settings)
    return {name: known[name] for name in DEFAULTS}


def results_of(cell: Cell, runs_dir: Path) -> dict[str, Any] | None:
    """Return the results of a finished cell, or None.

    Raises:
        UserError: its folder is damaged, or holds a run with other settings.
    """
    folder = RunFolder(runs_dir / cell.name)
    results = folder.read_results()
    if results is not None:
        check_same_settings(folder.path, fill_defaults(results["config"]), cell.config)
    return results


def state(cell: Cell, runs_dir: Path) -> str:
    """Return the state of a cell: DONE, STARTED or NEW.

    Raises:
        UserError: see `results_of`.
    """
    if results_of(cell, runs_dir) is not None:
        return DONE
    folder = RunFolder(runs_dir / cell.name)
    if not folder.config.exists():
        return NEW
    settings = fill_defaults(folder.read_config())
    if folder.has_progress():
        check_same_settings(folder.path, settings, cell.config)
    return STARTED


def copy_finished(cells: Iterable[Cell], source: Path, runs_dir: Path) -> int:
    """Copy the runs that are finished in another folder and not yet begun in `runs_dir`.

    Returns:
        Their number.

    Raises:
        UserError: see `results_of`, or another process writes one of them.
    """
    copied = 0
    source.mkdir(parents=True, exist_ok=True)
    # Two sweeps with the same trials see them finished at the same time: the second waits.
    with lock(source / LOCK):
        for cell in unique_cells(cells):
            target = runs_dir / cell.name
            if target.exists() or results_of(cell, source) is None:
                continue
            with claim(target, f"another process is writing to {target}."), replace(target) as new:
                shutil.copytree(source / cell.name, new, dirs_exist_ok=True)
            copied += 1
    return copied


def check_same_settings(path: Path, settings: dict[str, Any], config: Config) -> None:
    """Raise UserError if the run at `path` has `settings` other than those of `config`."""
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
    """Return whether another process has locked the cell's folder."""
    lock = runs_dir / cell.name / ".lock"
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
