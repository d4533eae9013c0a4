"""What the negatives of compared samplers were, and what choosing them cost.

All values come from metrics.jsonl of finished runs. Those of negatives are at the best epoch, those
of time are medians over the epochs after the first, which compiles.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf.evaluation.metrics import METRIC, METRICS
from recns_tf.experiments import tables
from recns_tf.experiments.results import Line
from recns_tf.runs.folder import Row, RunFolder
from recns_tf.utils import markdown

UNIFORM = "unins"
"""The sampler whose time per epoch is the unit of that of the others."""
SECONDS = "seconds"
RELATIVE = "relative_seconds"
COLUMNS = ("encoder", "sampler", "quantity", "seeds", "mean", "standard_deviation")


class Quantity(NamedTuple):
    """A number that describes the negatives of a sampler.

    Attributes:
        name: its name in negatives.csv.
        title: heading of its column and its panel.
        factor: what it is multiplied with to be shown.
        digits: decimal places in the table.
    """

    name: str
    title: str
    factor: float = 1.0
    digits: int = 2


QUANTITIES = (
    Quantity("false_negatives", "false negatives, %", 100),
    Quantity("exposed_negatives", "exposed negatives, %", 100),
    Quantity("negative_popularity", "popularity, users", digits=1),
    Quantity("score_ratio", "score ratio"),
    Quantity("sampling_share", "sampling, % of an epoch", 100, digits=1),
    Quantity(RELATIVE, f"epoch, {UNIFORM} = 1"),
)

CAPTION = (
    "Means over seeds, the best sampler first. At the best epoch: the share of the negatives that "
    "are valid or test positives of their user; the share that were shown to the user; the mean "
    "number of users who have the negative in train; and the mean score of the negatives, divided "
    "by that of the positives: 1 if negatives score like positives, 0 if their mean score is 0. "
    "Over the epochs after the first: the median share of an epoch that choosing negatives took; "
    f"and the median time of an epoch, relative to {UNIFORM} with the same encoder. The time "
    "includes validation; runs in parallel disturb it."
)


class Described(NamedTuple):
    """A line, with the quantities of its runs.

    Attributes:
        line: the finished runs of a sampler with an encoder.
        values: by name, one value per run; nothing if a run lacks the quantity.
    """

    line: Line
    values: dict[str, list[float]]

    def mean(self, name: str) -> float:
        """Return the mean of a quantity over the runs; NaN without values."""
        return statistics.mean(self.values[name]) if self.values[name] else math.nan


def describe(lines: Sequence[Line], runs_dir: Path) -> list[Described]:
    """Return the lines with the quantities of their runs.

    They are ordered by test Recall@20 within each encoder, the best first; those without runs are
    last.

    Args:
        lines: the compared samplers, for each encoder.
        runs_dir: folder of the runs.
    """
    found = []
    for line in lines:
        runs = [
            measure(RunFolder(runs_dir / cell.name).rows(), results["best_epoch"])
            for cell, results in line.runs
        ]
        names = [quantity.name for quantity in QUANTITIES if quantity.name != RELATIVE]
        values = {name: [run[name] for run in runs if name in run] for name in (*names, SECONDS)}
        found.append(
            Described(
                line,
                {name: each if len(each) == len(runs) else [] for name, each in values.items()},
            )
        )
    units = {each.line.encoder: each.mean(SECONDS) for each in found if each.line.value == UNIFORM}
    for each in found:
        unit = units.get(each.line.encoder, math.nan)
        each.values[RELATIVE] = (
            [] if math.isnan(unit) else [seconds / unit for seconds in each.values[SECONDS]]
        )
    encoders = list(dict.fromkeys(line.encoder for line in lines))

    def order(each: Described) -> tuple[int, bool, float]:
        return (
            encoders.index(each.line.encoder),
            not each.line.runs,
            -each.line.mean(METRIC) if each.line.runs else 0,
        )

    return sorted(found, key=order)


def measure(rows: Sequence[Row], best_epoch: int) -> dict[str, float]:
    """Return the quantities of a run by name, apart from those that it did not record.

    Args:
        rows: rows of metrics.jsonl.
        best_epoch: the epoch to describe the negatives of.

    Returns:
        The quantities of QUANTITIES that need no other run, and the seconds of an epoch. Scores
        have no ratio if the mean of the positives is not positive.
    """
    best: Row = next((row for row in rows if row["epoch"] == best_epoch), {})
    found: dict[str, float] = {
        name: best[name]
        for name in ("false_negatives", "exposed_negatives", "negative_popularity")
        if name in best
    }
    if "negative_score" in best and best.get("positive_score", 0) > 0:
        found["score_ratio"] = best["negative_score"] / best["positive_score"]
    later = [row for row in rows[1:] or rows if row["seconds"] > 0]
    if later:
        found[SECONDS] = statistics.median(row["seconds"] for row in later)
    if later and all("sampling_seconds" in row for row in later):
        found["sampling_share"] = statistics.median(
            row["sampling_seconds"] / row["seconds"] for row in later
        )
    return found


def table(described: Sequence[Described]) -> list[str]:
    """Return the Markdown table of the samplers, with their test metric in front."""
    head = ["encoder", "sampler", f"{METRICS[METRIC]}, %", *(each.title for each in QUANTITIES)]
    rows = []
    for each in described:
        shown = [
            f"{quantity.factor * each.mean(quantity.name):.{quantity.digits}f}"
            if each.values[quantity.name]
            else tables.MISSING
            for quantity in QUANTITIES
        ]
        score = tables.format_metric(each.line._replace(paper=None), METRIC, 0)
        rows.append([each.line.encoder, each.line.label, score, *shown])
    return markdown.table(head, rows)


def csv_rows(described: Sequence[Described]) -> list[dict[str, Any]]:
    """Return the same as CSV rows, with shares as fractions: one row per line and quantity."""
    return [
        {
            "encoder": each.line.encoder,
            "sampler": each.line.value,
            "quantity": quantity.name,
            "seeds": len(values),
            "mean": statistics.mean(values) if values else "",
            "standard_deviation": statistics.stdev(values) if len(values) > 1 else "",
        }
        for each in described
        for quantity in QUANTITIES
        for values in [each.values[quantity.name]]
    ]
