"""Tables in the paper's layouts: percentages, mean ± standard deviation over seeds.

The best of the compared values is bold, the second underlined. Published numbers follow in
parentheses.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from recns_tf.evaluation.metrics import METRICS
from recns_tf.experiments.results import Line
from recns_tf.registry import SHOWN_METRICS
from recns_tf.utils.markdown import table

MISSING = "—"
COLUMNS = (
    "panel", "encoder", "setting", "value", "metric", "seeds", "mean", "standard_deviation", "rank",
    "paper",
)  # fmt: skip


def ranks(lines: Sequence[Line], metric: str) -> list[int]:
    """Return the rank of each line among those of its encoder; 1 is best.

    Equal means share a rank. A line without finished runs has rank 0.
    """
    means = [line.mean(metric) for line in lines]
    return [
        0
        if math.isnan(mean)
        else 1
        + sum(
            other.encoder == line.encoder and value > mean
            for other, value in zip(lines, means, strict=True)
        )
        for line, mean in zip(lines, means, strict=True)
    ]


def format_metric(line: Line, metric: str, rank: int) -> str:
    """Return the table entry of a metric."""
    if not line.runs:
        return MISSING
    text = f"{100 * line.mean(metric):.2f}"
    if len(line.runs) > 1:
        text += f" ± {100 * line.deviation(metric):.2f}"
    text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(rank, text)
    return text + (f" ({100 * line.paper[metric]:.2f})" if line.paper else "")


def cells(lines: Sequence[Line], metrics: Iterable[str] = METRICS) -> list[list[str]]:
    """Return the table entries of each line, one per metric."""
    by_metric = {metric: ranks(lines, metric) for metric in metrics}
    return [
        [format_metric(line, metric, by_metric[metric][index]) for metric in by_metric]
        for index, line in enumerate(lines)
    ]


def by_value(lines: Sequence[Line], title: str) -> list[str]:
    """Return a table with one row per value and three columns per encoder, as in Table 2."""
    encoders = list(dict.fromkeys(line.encoder for line in lines))
    labels = list(dict.fromkeys(line.label for line in lines))
    found = {(line.encoder, line.label): row for line, row in zip(lines, cells(lines), strict=True)}
    head = [title, *(f"{encoder} {name}" for encoder in encoders for name in METRICS.values())]
    missing = [MISSING] * len(METRICS)
    rows = [
        [label, *itertools.chain(*(found.get((encoder, label), missing) for encoder in encoders))]
        for label in labels
    ]
    return table(head, rows)


def by_encoder(lines: Sequence[Line], title: str) -> list[str]:
    """Return a table with one row per encoder and value, as in Tables 3 and 4."""
    rows = [[line.encoder, line.label, *row] for line, row in zip(lines, cells(lines), strict=True)]
    return table(["encoder", title, *METRICS.values()], rows)


def by_value_and_encoder(lines: Sequence[Line], title: str) -> list[str]:
    """Return a table with one row per value and encoder, as in Table 5."""
    labels = list(dict.fromkeys(line.label for line in lines))
    rows = [[line.label, line.encoder, *row] for line, row in zip(lines, cells(lines), strict=True)]
    rows.sort(key=lambda row: labels.index(row[0]))
    return table([title, "encoder", *METRICS.values()], rows)


def within_shown(lines: Sequence[Line], title: str) -> list[str]:
    """Return a table of the metrics within the items that users were shown; see `by_encoder`."""
    unpublished = [line._replace(paper=None) for line in lines]
    rows = [
        [line.encoder, line.label, *row]
        for line, row in zip(unpublished, cells(unpublished, SHOWN_METRICS), strict=True)
    ]
    return table(["encoder", title, *SHOWN_METRICS.values()], rows)


def csv_rows(panel: str, setting: str, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the same as CSV rows: fractions, one row per line and metric."""
    return [
        {
            "panel": panel,
            "encoder": line.encoder,
            "setting": setting,
            "value": line.value,
            "metric": metric,
            "seeds": len(line.runs),
            "mean": line.mean(metric) if line.runs else "",
            "standard_deviation": line.deviation(metric) if len(line.runs) > 1 else "",
            "rank": rank or "",
            "paper": line.paper[metric] if line.paper else "",
        }
        for metric in METRICS
        for line, rank in zip(lines, ranks(lines, metric), strict=True)
    ]
