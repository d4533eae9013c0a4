"""The sections on final metrics: mean ± standard deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from recns_tf.evaluation.display import label, main_metrics, recorded_metrics
from recns_tf.evaluation.metrics import METRIC
from recns_tf.reporting.content import (
    Cell,
    Interval,
    Part,
    Section,
    make_table,
    parts_by_dataset,
)
from recns_tf.reporting.groups import Group, comparable_recall
from recns_tf.reporting.runs import best_epoch, drop_missing, number
from recns_tf.runs.summary import mean_and_deviation, metric_cell


def results_section(groups: Sequence[Group]) -> Section:
    """Return the final metrics: mean ± standard deviation over seeds."""

    def make_part(dataset: str, members: Sequence[Group]) -> Part:
        recall = comparable_recall(members)
        bounds = [bound for group in members for bound in interval_of(group.tested(recall))]
        scale = min(bounds, default=0), max(bounds, default=1)
        names = main_metrics(test for group in members for test in group.tests)
        selected_by = list(dict.fromkeys(group.metric for group in members))
        rows = [
            result_row(style, group, names, selected_by, recall, scale)
            for style, group in enumerate(members)
        ]
        heads = ["", *(f"test {label(name)}" for name in names), f"{label(recall)} ± deviation"]
        heads += [f"valid {label(name)}" for name in selected_by]
        heads += ["best epoch", "s per epoch", "false negatives", "finished runs"]
        published = [group.numbers("paper", METRIC) for group in members]
        if any(published):
            heads = [*heads, f"paper {label(METRIC)}"]
            for row, values in zip(rows, published, strict=True):
                row.append(f"{statistics.mean(values):.4f}" if values else "")
        return Part(dataset, tables=[make_table(heads, rows)])

    return Section(
        "results",
        "Results",
        "Mean ± sample standard deviation over seeds; dots with bars show test Recall ± one "
        "deviation. The test set is scored once, at the best validation epoch, or the last one "
        "with --keep=last. Unfinished runs show their best epoch so far.",
        parts_by_dataset(groups, make_part),
    )


def more_metrics_section(groups: Sequence[Group]) -> Section:
    """Return every test metric at every K: mean ± standard deviation over seeds."""

    def make_part(dataset: str, members: Sequence[Group]) -> Part | None:
        names = recorded_metrics(test for group in members for test in group.tests)
        rows = []
        for style, group in enumerate(members):
            cells = [metric_cell(name, group.tested(name), len(group.finished)) for name in names]
            rows.append([Cell(group.label, style=style), *cells])
        return Part(dataset, tables=[make_table(["", *map(label, names)], rows)]) if names else None

    return Section(
        "metrics",
        "More metrics",
        "All test metrics that the runs have recorded, at each K; mean ± sample standard deviation "
        "over seeds.",
        parts_by_dataset(groups, make_part),
    )


def interval_of(values: list[float]) -> list[float]:
    """Return the mean minus and plus one standard deviation; empty without values."""
    if not values:
        return []
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return [statistics.mean(values) - deviation, statistics.mean(values) + deviation]


def result_row(
    style: int,
    group: Group,
    names: Sequence[str],
    selected_by: Sequence[str],
    recall: str,
    scale: tuple[float, float],
) -> list[object]:
    """Return the cells of a group in the table of results.

    Args:
        style: number of the group's line style.
        group: the group.
        names: the test metrics to show.
        selected_by: the validation metrics that select the best epoch in some group; each group
            shows its own.
        recall: the metric that intervals show.
        scale: lowest and highest `recall` that the intervals of the table show.
    """
    finished = len(group.finished)
    valid = {group.metric: group.numbers("valid", group.metric)}
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
        *(metric_cell(name, group.tested(name), finished) for name in names),
        interval_cell(style, group.tested(recall), scale),
        *(mean_and_deviation(found) if (found := valid.get(name)) else "" for name in selected_by),
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
