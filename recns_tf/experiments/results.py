"""Results of a sweep: lines of a table, and the CSV rows of its runs."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf.config.config import Config
from recns_tf.evaluation.metrics import METRICS
from recns_tf.experiments.cells import Cell, results_of
from recns_tf.registry import SHOWN_METRICS
from recns_tf.utils.files import write_text


class Line(NamedTuple):
    """The finished runs of one value and one encoder, which differ only in their seed.

    Attributes:
        encoder: name of the encoder.
        value: value of the varied setting.
        label: the value as displayed.
        runs: cells, and the contents of their results.json.
        paper: the paper's metrics for the same settings, as fractions, if published.
    """

    encoder: str
    value: Any
    label: str
    runs: list[tuple[Cell, dict[str, Any]]]
    paper: dict[str, Any] | None = None

    def scores(self, metric: str) -> list[float]:
        """Return a test metric for each run."""
        return [float(results["test"][metric]) for _, results in self.runs]

    def mean(self, metric: str) -> float:
        """Return the mean of a test metric over the runs; NaN without runs."""
        return statistics.mean(self.scores(metric)) if self.runs else float("nan")

    def deviation(self, metric: str) -> float:
        """Return the sample standard deviation of a test metric; NaN for fewer than two runs."""
        return statistics.stdev(self.scores(metric)) if len(self.runs) > 1 else float("nan")

    @property
    def at_limit(self) -> int:
        """The number of runs whose best epoch is the last that --epochs allows."""
        return sum(is_at_limit(cell.config, results) for cell, results in self.runs)


def is_at_limit(config: Config, results: dict[str, Any]) -> bool:
    """Return whether the best epoch of a run is the last that --epochs allows.

    Without validation positives, or with --keep=last, the last epoch is kept and says nothing.
    """
    chooses = config.keep == "best" and (config.validate_on == "test" or results["valid"])
    return bool(chooses) and results["best_epoch"] == config.epochs


def have_shown_metrics(lines: Sequence[Line]) -> bool:
    """Return whether every run of some lines has metrics within the shown items."""
    tests = [results["test"] for line in lines for _, results in line.runs]
    return bool(tests) and all(name in test for test in tests for name in SHOWN_METRICS)


def finished(cells: Iterable[Cell], runs_dir: Path) -> list[tuple[Cell, dict[str, Any]]]:
    """Return the finished cells with their results.

    Raises:
        UserError: a folder is damaged, or holds a run with other settings.
    """
    found = [(cell, results_of(cell, runs_dir)) for cell in cells]
    return [(cell, results) for cell, results in found if results is not None]


CELL_COLUMNS = (
    "experiment", "panel", "dataset", "encoder", "setting", "value", "seed", "folder",
    "best_epoch", "epochs_run", "training_seconds",
    *(f"valid {metric}" for metric in METRICS), *(f"test {metric}" for metric in METRICS),
    *(f"test {metric}" for metric in SHOWN_METRICS),
    "git_commit",
)  # fmt: skip


def cell_row(
    experiment: str, panel: str, setting: str, line: Line, cell: Cell, results: dict[str, Any]
) -> dict[str, Any]:
    """Return the row of a run in cells.csv."""
    valid = results["valid"] or {}
    return {
        "experiment": experiment,
        "panel": panel,
        "dataset": cell.config.dataset,
        "encoder": results["encoder"],
        "setting": setting,
        "value": line.value,
        "seed": cell.config.seed,
        "folder": cell.name,
        "best_epoch": results["best_epoch"],
        "epochs_run": results["epochs_run"],
        "training_seconds": results["training_seconds"],
        **{f"valid {metric}": valid.get(metric, "") for metric in METRICS},
        **{f"test {metric}": results["test"][metric] for metric in METRICS},
        **{f"test {metric}": results["test"].get(metric, "") for metric in SHOWN_METRICS},
        "git_commit": results.get("git_commit") or "",
    }


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as a CSV file, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
