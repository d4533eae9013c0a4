"""The sections of what changes over epochs: validation metrics, losses, negatives, and time."""

from __future__ import annotations

from collections.abc import Sequence

from recns_tf.evaluation.metrics import METRICS
from recns_tf.reporting import markup
from recns_tf.reporting.charts import Line, line_chart
from recns_tf.reporting.layout import charts, of_each
from recns_tf.reporting.markup import Html, joined
from recns_tf.reporting.runs import Group, best_epoch, number, series_names

LOSSES = ("loss", "ranking_loss", "penalty")
SECONDS = ("seconds", "sampling_seconds")
NAMES = {
    "loss": "training loss, with its penalty",
    "ranking_loss": "ranking loss",
    "penalty": "L2 penalty",
    "false_negatives": "share of false negatives (held-out positives)",
    "exposed_negatives": "share of exposed negatives",
    "negative_popularity": "popularity of negatives (mean train users)",
    "positive_score": "mean score of positives",
    "negative_score": "mean score of negatives",
    "seconds": "seconds an epoch",
    "sampling_seconds": "seconds of sampling an epoch",
}
"""What the numbers of metrics.jsonl are called; others by their own names."""


def curves(groups: Sequence[Group]) -> Html:
    """Return validation metrics and losses over epochs."""

    def content(members: Sequence[Group]) -> Html:
        made = [
            line_chart(f"validation {label}", lines_of(members, "valid", metric), "epoch")
            for metric, label in METRICS.items()
        ]
        made += [
            line_chart(NAMES[name], lines_of(members, name), "epoch")
            for name in sorted(series_names(members, LOSSES.__contains__), key=LOSSES.index)
        ]
        return charts(made)

    found = of_each(groups, content, has_rows)
    about = markup.paragraph(
        "A line a run; the dot is its best epoch. Touch a name to see it alone."
    )
    return joined([about, found]) if found else Html()


def samplers(groups: Sequence[Group]) -> Html:
    """Return all that the runs report of their negatives, and their time, over epochs."""
    apart = {"epoch", *LOSSES}

    def content(members: Sequence[Group]) -> Html:
        names = series_names(members, lambda name: name not in apart)
        names.sort(
            key=lambda name: (name in SECONDS, list(NAMES).index(name) if name in NAMES else 9)
        )
        return charts(
            [
                line_chart(
                    NAMES.get(name, name.replace("_", " ")), lines_of(members, name), "epoch"
                )
                for name in names
            ]
        )

    return of_each(groups, content, has_rows)


def lines_of(groups: Sequence[Group], *keys: str) -> list[Line]:
    """Return a line over epochs for each run that has a number at row[key][key]."""
    lines = []
    for style, group in enumerate(groups):
        for run in group.runs:
            points = [
                (float(row["epoch"]), found)
                for row in run.rows
                if (found := number(row, *keys)) is not None
            ]
            epoch = best_epoch(run)
            marked = next((point for point in points if point[0] == epoch), None)
            label = group.label if len(group.runs) == 1 else f"{group.label}, seed {run.seed}"
            lines.append(Line(style, label, points, marked))
    return [line for line in lines if line.points]


def has_rows(group: Group) -> bool:
    """Return whether a group has anything to draw over epochs."""
    return any(run.rows for run in group.runs)
