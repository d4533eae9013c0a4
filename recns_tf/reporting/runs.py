"""Reads runs for a report: finished, unfinished or damaged, of any version; groups them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recns_tf.config.config import DEFAULTS, complete, selection_metric
from recns_tf.errors import UserError
from recns_tf.evaluation.display import recorded_metrics, split_key
from recns_tf.evaluation.metrics import METRIC
from recns_tf.runs.folder import ANEW, Row, RunFolder
from recns_tf.runs.summary import different, grouping
from recns_tf.utils import files
from recns_tf.utils.damage import reading

MAX_IN_LABEL = 3
"""Settings that a label shows; if there are more, it shows the name of the run instead."""


@dataclass
class Run:
    """The readable content of a run's folder.

    Attributes:
        path: the folder.
        config: the settings, without the checksum of the data.
        checksum: checksum of the data, if known.
        metric: the validation metric that selects the best epoch.
        rows: rows of metrics.jsonl up to the first damaged line.
        results: results.json; None if the run is not finished or the file is damaged.
        notes: sentences on what is missing or damaged.
    """

    path: Path
    config: dict[str, Any]
    checksum: str | None
    metric: str = METRIC
    rows: list[Row] = field(default_factory=list)
    results: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def seed(self) -> Any:
        """The seed of the run."""
        return self.config.get("seed", 0)

    @property
    def is_closed_form(self) -> bool:
        """Whether the run is a baseline, which has no epochs and no training settings."""
        return self.config["sampler"] == "none"

    def best_row(self) -> Row | None:
        """Return the row with the highest validation metric, else the last row, if any."""
        validated = [row for row in self.rows if number(row, "valid", self.metric) is not None]
        if validated:
            return max(validated, key=lambda row: row["valid"][self.metric])
        return self.rows[-1] if self.rows else None

    def number(self, *keys: str) -> float | None:
        """Return the number at results[key][key]…, else that of the best epoch so far, if any."""
        value = number(self.results, *keys)
        return number(self.best_row(), *keys) if value is None else value

    def false_negatives(self) -> float | None:
        """Return the share of false negatives, of the best epoch so far if not finished."""
        value = number(self.results, "negatives", "false_negatives")
        return number(self.best_row(), "false_negatives") if value is None else value


@dataclass
class Group:
    """Runs with the same data and settings that differ only in the seed.

    Attributes:
        runs: one run per seed.
        label: a name that is unique among the groups of the dataset.
        settings: the common settings, recorded or at their defaults.
    """

    runs: list[Run]
    label: str
    settings: dict[str, Any]

    @property
    def dataset(self) -> str:
        """The dataset of the runs."""
        return str(self.settings["dataset"])

    @property
    def metric(self) -> str:
        """The validation metric that selects the best epoch of each run."""
        return self.runs[0].metric

    @property
    def finished(self) -> list[Run]:
        """The finished runs."""
        return [run for run in self.runs if run.results is not None]

    @property
    def tests(self) -> list[dict[str, Any]]:
        """The test metrics of each finished run that has any."""
        found = [(run.results or {}).get("test") for run in self.finished]
        return [test for test in found if isinstance(test, dict)]

    def tested(self, metric: str) -> list[float]:
        """Return a test metric of each finished run that has it."""
        return drop_missing(number(run.results, "test", metric) for run in self.finished)

    def numbers(self, *keys: str) -> list[float]:
        """Return `Run.number` of each run that has it."""
        return drop_missing(run.number(*keys) for run in self.runs)


def best_epoch(run: Run) -> float | None:
    """Return the best epoch of a run, or the best so far if it is not finished."""
    epoch = number(run.results, "best_epoch")
    return number(run.best_row(), "epoch") if epoch is None else epoch


def drop_missing(values: Iterable[float | None]) -> list[float]:
    """Return the values that are not None."""
    return [value for value in values if value is not None]


def number(value: Any, *keys: str) -> float | None:
    """Return the finite number at value[key][key]…, or None if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def read_run(path: Path) -> Run:
    """Read a run's folder as far as possible.

    Raises:
        UserError: the folder is not that of a run, or its settings cannot be read.
    """
    folder = RunFolder(path)
    notes: list[str] = []
    settings = read_object(folder, folder.config, ("dataset", "encoder", "sampler"), notes)
    results = read_object(folder, folder.results, ("test", "config"), notes)
    if settings is None and results is not None and isinstance(results["config"], dict):
        settings = dict(results["config"])
        data = results.get("data")
        settings["data_checksum"] = data.get("checksum") if isinstance(data, dict) else None
    if settings is None or not {"dataset", "encoder", "sampler"} <= settings.keys():
        raise UserError(notes[0] if notes else f"{path} is not the folder of a run.")
    checksum = settings.pop("data_checksum", None)
    try:
        known = complete(settings)
        metric = selection_metric(known["topk"], known["select_by"])
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{folder.config} is damaged: --topk or --select_by is wrong.") from error
    run = Run(path, settings, checksum, metric, results=results, notes=notes)
    run.rows = read_rows(folder, notes)
    return run


def read_object(
    folder: RunFolder, path: Path, keys: Sequence[str], notes: list[str]
) -> dict[str, Any] | None:
    """Return the object of a JSON file of a run that has at least these keys.

    If it cannot be read, return None and, unless the file is missing, add a note.
    """
    if not path.exists():
        return None
    try:
        folder.manifest.verify(path)
        with reading(path, ANEW):
            found = files.read_object(path)
            return {**found, **{key: found[key] for key in keys}}
    except UserError as error:
        notes.append(str(error))
        return None


def read_rows(folder: RunFolder, notes: list[str]) -> list[Row]:
    """Return the rows of metrics.jsonl up to the first damaged line, which adds a note.

    If the manifest shows that the file was changed, there are none.
    """
    path = folder.metrics
    if not path.exists():
        return []
    try:
        with reading(path, ANEW):
            content = path.read_bytes()
        folder.verify_metrics(content)
    except UserError as error:
        notes.append(str(error))
        return []
    rows: list[Row] = []
    for place, line in enumerate(content.splitlines(), 1):
        try:
            row = files.parse_json(line)
            if number(row, "epoch") is None:
                raise ValueError("no epoch")
        except ValueError:
            notes.append(f"{path}, line {place} is damaged: the curves end before it.")
            break
        rows.append(row)
    return rows


def read_runs(paths: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Return the runs among `paths`, and a sentence for each problem.

    Raises:
        UserError: none of the paths is a run.
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
    """Group runs that differ only in the seed; sort groups by dataset, best test Recall first.

    Args:
        runs: runs on any datasets.
        notes: extended by a sentence for each run that is left out because it repeats a seed.
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
    recalls = {}
    for name, members_of_dataset in group_by_dataset(groups).items():
        set_labels(members_of_dataset)
        recalls[name] = comparable_recall(members_of_dataset)

    def rank(group: Group) -> tuple[str, float, str]:
        return group.dataset, -mean_of(group.tested(recalls[group.dataset])), group.label

    return sorted(groups, key=rank)


def mean_of(values: list[float]) -> float:
    """Return the mean of some metrics, or -1 without any."""
    return sum(values) / len(values) if values else -1.0


def comparable_recall(groups: Sequence[Group]) -> str:
    """Return the Recall to compare groups of a dataset by.

    It is that at the largest K that all finished runs have recorded, or that any has recorded if
    there is none.
    """
    recorded = [
        {name for name in recorded_metrics([test]) if name.startswith("recall@")}
        for group in groups
        for test in group.tests
    ]
    names = set.intersection(*recorded) if recorded else set()
    names = names or set().union(*recorded)
    return max(names, key=lambda name: (split_key(name) or ("", 0))[1], default=METRIC)


def set_labels(groups: list[Group]) -> None:
    """Set the labels of a dataset's groups: encoder, sampler, and the settings that differ."""
    pairs: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        pair = (str(group.settings["encoder"]), str(group.settings["sampler"]))
        pairs.setdefault(pair, []).append(group)
    for (encoder, sampler), members in pairs.items():
        differing = different([group.settings for group in members])
        data_differ = len({group.settings["data"] for group in members}) > 1
        for group in members:
            words = [encoder if group.runs[0].is_closed_form else f"{encoder} {sampler}"]
            if len(differing) > MAX_IN_LABEL:
                words[0] += f" ({re.sub(r'-seed[0-9]+$', '', group.runs[0].path.name)})"
            else:
                words += [f"{name} {group.settings.get(name, '?')}" for name in differing]
            if data_differ:
                words.append(f"data {str(group.settings['data'])[:8]}")
            group.label = ", ".join(words)


def group_by_dataset(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Return the groups of each dataset, in order."""
    datasets: dict[str, list[Group]] = {}
    for group in groups:
        datasets.setdefault(group.dataset, []).append(group)
    return datasets


def series_names(groups: Sequence[Group]) -> list[str]:
    """Return the names of the numbers in the first and last rows of the runs, in order."""
    names = dict.fromkeys(
        name
        for group in groups
        for run in group.runs
        for row in run.rows[:1] + run.rows[-1:]
        for name in row
        if number(row, name) is not None
    )
    return list(names)


def setting(group: Group, name: str) -> tuple[str, bool]:
    """Return a setting as text, and whether the runs recorded it.

    A setting that they did not record is at its default; baselines have no defaults.
    """
    config = group.runs[0].config
    if name in config:
        return str(config[name]), True
    return ("", True) if group.runs[0].is_closed_form else (str(DEFAULTS.get(name, "")), False)
