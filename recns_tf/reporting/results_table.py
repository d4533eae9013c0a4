"""The section on final metrics: mean ± standard deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from recns_tf.evaluation.metrics import METRIC, METRICS
from recns_tf.reporting.content import (
    Cell,
    Interval,
    Part,
    Section,
    make_table,
    parts_by_dataset,
)
from recns_tf.reporting.runs import Group, best_epoch, drop_missing, number
from recns_tf.runs.summary import mean_and_deviation

HEADS = ["", *(f"test {label}" for label in METRICS.values()), "", "valid Recall@20"]
HEADS += ["best epoch", "s per epoch", "false negatives", "finished runs"]


def results_section(groups: Sequence[Group]) -> Section:
    """Return the final metrics: mean ± standard deviation over seeds."""

    def make_part(dataset: str, members: Sequence[Group]) -> Part:
        bounds = [bound for group in members for bound in interval_of(group.tested(METRIC))]
        scale = min(bounds, default=0), max(bounds, default=1)
        rows = [result_row(style, group, scale) for style, group in enumerate(members)]
        heads = HEADS
        published = [group.numbers("paper", METRIC) for group in members]
        if any(published):
            heads = [*HEADS, "paper Recall@20"]
            for row, values in zip(rows, published, strict=True):
                row.append(f"{statistics.mean(values):.4f}" if values else "")
        return Part(dataset, tables=[make_table(heads, rows)])

    return Section(
        "results",
        "Results",
        "Mean ± sample standard deviation over seeds; dots with bars show test Recall@20 ± one "
        "deviation. The test set is scored once, at the best validation epoch. Unfinished runs "
        "show their best epoch so far.",
        parts_by_dataset(groups, make_part),
    )


def interval_of(values: list[float]) -> list[float]:
    """Return the mean minus and plus one standard deviation; empty without values."""
    if not values:
        return []
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return [statistics.mean(values) - deviation, statistics.mean(values) + deviation]


def result_row(style: int, group: Group, scale: tuple[float, float]) -> list[object]:
    """Return the cells of a group in the table of results.

    Args:
        style: number of the group's line style.
        group: the group.
        scale: lowest and highest test Recall@20 that the intervals of the table show.
    """
    tests = [group.tested(metric) for metric in METRICS]
    valid = group.numbers("valid", METRIC)
    trained = [run for run in group.runs if not run.is_closed_form]
    epochs = drop_missing(best_epoch(run) for run in trained)
    seconds = [
        statistics.median(values)
        for run in group.runs
        if (values := drop_missing(number(row, "seconds") for row in run.rows))
    ]
    false = drop_missing(run.false_negatives() for run in group.runs)
    return [
        Cell(group.label, style=style),
        *(mean_and_deviation(values) if values else "" for values in tests),
        interval_cell(style, group.tested(METRIC), scale),
        mean_and_deviation(valid) if valid else "",
        f"{statistics.mean(epochs):.0f}" if epochs else "",
        f"{statistics.median(seconds):.2f}" if seconds else "",
        f"{statistics.mean(false):.2%}" if false else "",
        f"{len(group.finished)} of {len(group.runs)}",
    ]


def interval_cell(style: int, values: list[float], scale: tuple[float, float]) -> Cell:
    """Return a cell with the mean ± one deviation as a dot with a bar; empty without values."""
    if not values:
        return Cell()
    low, high = scale
    start, end = ((bound - low) / (high - low or 1) for bound in interval_of(values))
    return Cell(interval=Interval(start, (start + end) / 2, end, style))
