"""The section of final metrics: mean ± standard deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from recns_tf.evaluation.metrics import METRIC, METRICS
from recns_tf.reporting import markup
from recns_tf.reporting.charts import interval
from recns_tf.reporting.layout import of_each
from recns_tf.reporting.markup import Html, joined, named, table
from recns_tf.reporting.runs import Group, best_epoch, number
from recns_tf.runs.summary import mean_and_deviation


def results(groups: Sequence[Group]) -> Html:
    """Return the final metrics: mean ± standard deviation over seeds."""

    def content(members: Sequence[Group]) -> Html:
        ends = [end for group in members for end in ends_of(group.tested(METRIC))]
        rows = [
            result_row(style, group, min(ends, default=0), max(ends, default=1))
            for style, group in enumerate(members)
        ]
        heads = ["", *(f"test {name}" for name in METRICS.values()), "", "valid Recall@20"]
        heads += ["best epoch", "s an epoch", "false negatives", "finished runs"]
        published = [group.numbers("paper", METRIC) for group in members]
        if any(published):
            heads.append("paper Recall@20")
            for row, values in zip(rows, published, strict=True):
                row.append(mean_of(values))
        return table(heads, rows)

    about = markup.paragraph(
        "Mean ± sample standard deviation over seeds; the dots show test Recall@20 and one "
        "deviation. The test set is scored once, at the best epoch of validation. Of "
        "unfinished runs, the best epoch so far."
    )
    return joined([about, of_each(groups, content)])


def ends_of(values: list[float]) -> list[float]:
    """Return a mean less and plus one deviation, if there are values."""
    if not values:
        return []
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return [statistics.mean(values) - deviation, statistics.mean(values) + deviation]


def result_row(style: int, group: Group, low: float, high: float) -> list[object]:
    """Return the cells of a group in the table of results; low and high are ends of the scale."""
    tested = group.tested(METRIC)
    dot = ""
    if tested:
        first, last = ends_of(tested)
        dot = interval((first + last) / 2, (last - first) / 2, low, high, style)
    cells: list[object] = [named(style, group.label)]
    for metric in METRICS:
        values = group.tested(metric)
        cells.append(mean_and_deviation(values) if values else "")
    cells.append(Html(dot))
    valid = group.numbers("valid", METRIC)
    cells.append(mean_and_deviation(valid) if valid else "")
    epochs = [
        epoch
        for run in group.runs
        if not run.is_closed_form and (epoch := best_epoch(run)) is not None
    ]
    cells.append(f"{statistics.mean(epochs):.0f}" if epochs else "")
    seconds = [
        statistics.median(each)
        for run in group.runs
        if (each := [found for row in run.rows if (found := number(row, "seconds")) is not None])
    ]
    cells.append(f"{statistics.median(seconds):.2f}" if seconds else "")
    false = [
        found
        for run in group.runs
        if (found := number(run.results, "negatives", "false_negatives")) is not None
        or (found := number(run.best_row(), "false_negatives")) is not None
    ]
    cells.append(f"{statistics.mean(false):.2%}" if false else "")
    cells.append(f"{len(group.finished)} of {len(group.runs)}")
    return cells


def mean_of(values: list[float]) -> str:
    """Return the mean with four places, nothing of nothing."""
    return f"{statistics.mean(values):.4f}" if values else ""
