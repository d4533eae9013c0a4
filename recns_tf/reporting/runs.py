"""Reads runs for a report: finished, unfinished or damaged, of any version."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recns_tf.config.config import complete, selection_metric
from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import METRIC
from recns_tf.runs.files import ANEW
from recns_tf.runs.folder import Row, RunFolder
from recns_tf.utils import files
from recns_tf.utils.damage import reading


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

    def kept_row(self) -> Row | None:
        """Return the row of the epoch whose weights are kept, if any.

        It is the one with the highest validation metric, or the last one: with --keep=last, or if
        none is validated.
        """
        validated = [row for row in self.rows if number(row, "valid", self.metric) is not None]
        if validated and self.config.get("keep") != "last":
            return max(validated, key=lambda row: row["valid"][self.metric])
        return self.rows[-1] if self.rows else None

    def number(self, *keys: str) -> float | None:
        """Return the number at results[key][key]…, else that of the kept epoch so far, if any."""
        value = number(self.results, *keys)
        return number(self.kept_row(), *keys) if value is None else value

    def false_negatives(self) -> float | None:
        """Return the share of false negatives, of the kept epoch so far if not finished."""
        value = number(self.results, "negatives", "false_negatives")
        return number(self.kept_row(), "false_negatives") if value is None else value


def best_epoch(run: Run) -> float | None:
    """Return the kept epoch of a run, or that so far if it is not finished."""
    epoch = number(run.results, "best_epoch")
    return number(run.kept_row(), "epoch") if epoch is None else epoch


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
