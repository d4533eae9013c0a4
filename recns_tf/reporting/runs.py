"""Runs as a report sees them: finished, unfinished or damaged, of any version, in groups."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recns_tf.config.config import DEFAULTS
from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import METRIC
from recns_tf.runs.folder import Row, RunFolder
from recns_tf.runs.summary import different, grouping

MOST_IN_LABEL = 3
"""Settings that a label tells; where there are more, the run's name stands for them."""


@dataclass
class Run:
    """What can be read of a run's folder.

    Attributes:
        path: of the folder.
        config: its settings, without the checksum of the data.
        checksum: of the data, if it is known.
        rows: of metrics.jsonl, as far as it is whole.
        results: results.json; None where the run is not finished or the file is damaged.
        notes: sentences on what is missing or damaged.
    """

    path: Path
    config: dict[str, Any]
    checksum: str | None
    rows: list[Row] = field(default_factory=list)
    results: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def seed(self) -> Any:
        """The seed of the run."""
        return self.config.get("seed", 0)

    @property
    def is_closed_form(self) -> bool:
        """Whether it is a baseline, without epochs and without the settings of training."""
        return self.config["sampler"] == "none"

    def best_row(self) -> Row | None:
        """Return the validated row with the highest Recall@20, or the last of all, if any."""
        found = [row for row in self.rows if number(row, "valid", METRIC) is not None]
        if found:
            return max(found, key=lambda row: row["valid"][METRIC])
        return self.rows[-1] if self.rows else None

    def number(self, *keys: str) -> float | None:
        """Return the number at results[key][key]…, or in the best epoch so far, if it is there."""
        found = number(self.results, *keys)
        return number(self.best_row(), *keys) if found is None else found


@dataclass
class Group:
    """Runs of equal data and settings, but for the seed.

    Attributes:
        runs: one a seed.
        label: what tells it from the other groups of its dataset.
        settings: what the runs have in common, recorded or at its default.
    """

    runs: list[Run]
    label: str
    settings: dict[str, Any]

    @property
    def dataset(self) -> str:
        """The dataset of the runs."""
        return str(self.settings["dataset"])

    @property
    def finished(self) -> list[Run]:
        """The finished runs."""
        return [run for run in self.runs if run.results is not None]

    def tested(self, metric: str) -> list[float]:
        """Return a test metric of the finished runs."""
        return present(number(run.results, "test", metric) for run in self.finished)

    def numbers(self, *keys: str) -> list[float]:
        """Return Run.number of the runs that have it."""
        return present(run.number(*keys) for run in self.runs)


def best_epoch(run: Run) -> float | None:
    """Return the best epoch of a run, so far if it is not finished."""
    found = number(run.results, "best_epoch")
    return number(run.best_row(), "epoch") if found is None else found


def present(values: Iterator[float | None]) -> list[float]:
    """Return the values that are there."""
    return [value for value in values if value is not None]


def number(found: Any, *keys: str) -> float | None:
    """Return the finite number at found[key][key]…, or None where there is none."""
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return None
    return found


def read_run(path: Path) -> Run:
    """Return what can be read of a run's folder.

    Raises:
        UserError: it is not the folder of a run, or its settings cannot be read.
    """
    folder = RunFolder(path)
    notes: list[str] = []
    settings = read_object(folder.config, ("dataset", "encoder", "sampler"), notes)
    results = read_object(folder.results, ("test", "config"), notes)
    if settings is None and results is not None and isinstance(results["config"], dict):
        settings = dict(results["config"])
        settings["data_checksum"] = (results.get("data") or {}).get("checksum")
    if settings is None or not {"dataset", "encoder", "sampler"} <= settings.keys():
        raise UserError(notes[0] if notes else f"{path} is not the folder of a run.")
    checksum = settings.pop("data_checksum", None)
    run = Run(path, settings, checksum, results=results, notes=notes)
    run.rows = read_rows(folder.metrics, notes)
    return run


def read_object(path: Path, keys: Sequence[str], notes: list[str]) -> dict[str, Any] | None:
    """Return the object of a JSON file with at least these keys; None, and a note, otherwise.

    A file that is not there needs no note.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {**found, **{key: found[key] for key in keys}}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError):
        notes.append(f"{path} is damaged.")
        return None


def read_rows(path: Path, notes: list[str]) -> list[Row]:
    """Return the rows of metrics.jsonl up to the first damaged line, if any; that makes a note."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    rows: list[Row] = []
    for place, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if number(row, "epoch") is None:
                raise ValueError("no epoch")
        except ValueError:
            notes.append(f"{path}, line {place} is damaged: the curves end before it.")
            break
        rows.append(row)
    return rows


def read_runs(paths: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Return the runs among `paths`, and a sentence on each thing that is amiss.

    Raises:
        UserError: there is no run among them.
    """
    runs, notes = [], []
    for path in dict.fromkeys(paths):
        try:
            run = read_run(path)
        except UserError as error:
            notes.append(f"{error} Left out.")
            continue
        runs.append(run)
        notes += run.notes
    if not runs:
        raise UserError(" ".join(["no run to report on: name folders such as runs/NAME.", *notes]))
    return runs, notes


def group_runs(runs: Sequence[Run], notes: list[str]) -> list[Group]:
    """Return the runs in groups of equal settings but for the seed, the best test Recall first.

    Args:
        runs: of any datasets.
        notes: gains a sentence for each run that repeats a seed and is left out.
    """
    members: dict[str, dict[Any, Run]] = {}
    for run in runs:
        key = json.dumps(grouping(run.config, run.checksum), sort_keys=True)
        seeds = members.setdefault(key, {})
        other = seeds.get(run.seed)
        if other is not None:
            kept, left = (run, other) if run.results and not other.results else (other, run)
            notes.append(f"{left.path} repeats a seed of {kept.path}: left out.")
            run = kept
        seeds[run.seed] = run
    groups = [Group(list(seeds.values()), "", json.loads(key)) for key, seeds in members.items()]
    for name in {group.dataset for group in groups}:
        label([group for group in groups if group.dataset == name])
    return sorted(groups, key=lambda group: (group.dataset, -best(group), group.label))


def best(group: Group) -> float:
    """Return the mean test Recall@20 of a group, and less than any where it is not finished."""
    tested = group.tested(METRIC)
    return sum(tested) / len(tested) if tested else -1.0


def label(groups: list[Group]) -> None:
    """Set the labels of a dataset's groups: encoder, sampler, and what else tells them apart."""
    alike: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        pair = (str(group.settings["encoder"]), str(group.settings["sampler"]))
        alike.setdefault(pair, []).append(group)
    for (encoder, sampler), same in alike.items():
        told = different([group.settings for group in same])
        checksums = len({group.settings["data"] for group in same}) > 1
        for group in same:
            words = [encoder if group.runs[0].is_closed_form else f"{encoder} {sampler}"]
            if len(told) > MOST_IN_LABEL:
                words[0] += f" ({re.sub(r'-seed[0-9]+$', '', group.runs[0].path.name)})"
            else:
                words += [f"{name} {group.settings.get(name, '?')}" for name in told]
            if checksums:
                words.append(f"data {str(group.settings['data'])[:8]}")
            group.label = ", ".join(words)


def by_dataset(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Return the groups by their datasets, in order."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(group.dataset, []).append(group)
    return found


def series_names(groups: Sequence[Group], wanted: Callable[[str], bool]) -> list[str]:
    """Return the names of the numbers in the rows of some runs that are wanted, in their order."""
    names = dict.fromkeys(
        name
        for group in groups
        for run in group.runs
        for row in run.rows[:1] + run.rows[-1:]
        for name in row
        if number(row, name) is not None
    )
    return [name for name in names if wanted(name)]


def setting(group: Group, name: str) -> tuple[str, bool]:
    """Return a setting in words, and whether the runs recorded it rather than their version."""
    config = group.runs[0].config
    if name in config:
        return str(config[name]), True
    return ("", True) if group.runs[0].is_closed_form else (str(DEFAULTS.get(name, "")), False)
