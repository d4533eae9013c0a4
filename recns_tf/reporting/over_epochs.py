"""The sections on what changes over epochs: validation metrics, losses, negatives and time."""

from __future__ import annotations

from collections.abc import Sequence

from recns_tf.evaluation.display import label, main_metrics
from recns_tf.reporting.charts import Chart, Line
from recns_tf.reporting.content import Part, Section, make_legend, parts_by_dataset
from recns_tf.reporting.groups import Group, series_names
from recns_tf.reporting.runs import best_epoch, number

LOSSES = ("loss", "ranking_loss", "penalty", "auxiliary_loss")
SECONDS = ("seconds", "sampling_seconds")
TITLES = {
    "loss": "training loss, with its penalty",
    "ranking_loss": "ranking loss",
    "penalty": "L2 penalty",
    "auxiliary_loss": "loss of the sampler",
    "false_negatives": "share of false negatives (held-out positives)",
    "exposed_negatives": "share of exposed negatives",
    "negative_popularity": "popularity of negatives (mean train users)",
    "positive_score": "mean score of positives",
    "negative_score": "mean score of negatives",
    "seconds": "seconds per epoch",
    "sampling_seconds": "seconds of sampling per epoch",
}
"""Titles of the numbers in metrics.jsonl; other numbers appear under their own names."""


def curves_section(groups: Sequence[Group]) -> Section:
    """Return validation metrics and losses over epochs."""

    def make_part(dataset: str, members: Sequence[Group]) -> Part | None:
        runs = [run for group in members for run in group.runs]
        valid = [row["valid"] for run in runs for row in run.rows if "valid" in row]
        names = [*main_metrics(filter(None, valid)), *(run.metric for run in runs)]
        charts = [
            Chart(f"validation {label(name)}", lines_of(members, "valid", name), "epoch")
            for name in dict.fromkeys(names)
        ]
        losses = [name for name in series_names(members) if name in LOSSES]
        charts += [epoch_chart(members, name) for name in sorted(losses, key=LOSSES.index)]
        return charts_part(dataset, members, charts)

    return Section(
        "curves",
        "Training curves",
        "One line per run; the dot marks its best epoch, or its last with --keep=last. Select a "
        "name to highlight its lines.",
        parts_by_dataset(groups, make_part),
    )


def negatives_section(groups: Sequence[Group]) -> Section:
    """Return everything else that the runs report per epoch: on their negatives, and time."""
    order = list(TITLES)

    def rank(name: str) -> tuple[bool, int]:
        return name in SECONDS, order.index(name) if name in order else len(order)

    def make_part(dataset: str, members: Sequence[Group]) -> Part | None:
        names = [name for name in series_names(members) if name not in ("epoch", *LOSSES)]
        charts = [epoch_chart(members, name) for name in sorted(names, key=rank)]
        return charts_part(dataset, members, charts)

    return Section("samplers", "Negatives", "", parts_by_dataset(groups, make_part))


def charts_part(dataset: str, members: Sequence[Group], charts: Sequence[Chart]) -> Part | None:
    """Return the charts that have a line, with a legend of the groups; None if there are none."""
    charts = [chart for chart in charts if chart.lines]
    return Part(dataset, make_legend(members, has_rows), charts) if charts else None


def epoch_chart(groups: Sequence[Group], name: str) -> Chart:
    """Return a chart of one number of metrics.jsonl over epochs."""
    return Chart(TITLES.get(name, name.replace("_", " ")), lines_of(groups, name), "epoch")


def lines_of(groups: Sequence[Group], *keys: str) -> list[Line]:
    """Return a line over epochs for each run that has a number at row[key][key]…."""
    lines = []
    for style, group in enumerate(groups):
        for run in group.runs:
            points = [
                (float(row["epoch"]), value)
                for row in run.rows
                if (value := number(row, *keys)) is not None
            ]
            epoch = best_epoch(run)
            marked = next((point for point in points if point[0] == epoch), None)
            label = group.label if len(group.runs) == 1 else f"{group.label}, seed {run.seed}"
            lines.append(Line(style, label, points, marked))
    return [line for line in lines if line.points]


def has_rows(group: Group) -> bool:
    """Return whether any run of a group has numbers over epochs."""
    return any(run.rows for run in group.runs)
