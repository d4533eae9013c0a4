"""Tables in the paper's layouts: percentages, mean ± standard deviation over seeds.

The best of the values that are compared is bold, the second underlined; the paper's own number,
where it prints one, stands beside ours in parentheses.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from recns_tf.evaluation.metrics import METRICS
from recns_tf.experiments.results import Line
from recns_tf.utils.markdown import table

MISSING = "—"
COLUMNS = (
    "encoder", "setting", "value", "metric", "seeds", "mean", "standard_deviation", "rank", "paper",
)  # fmt: skip


def ranks(lines: Sequence[Line], metric: str) -> list[int]:
    """Return each line's place among those of its encoder by a metric, 1 for the best.

    Equal means share a place; a line without a finished run has place 0.
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


def number(line: Line, metric: str, place: int) -> str:
    """Return a cell of a table."""
    if not line.runs:
        return MISSING
    text = f"{100 * line.mean(metric):.2f}"
    if len(line.runs) > 1:
        text += f" ± {100 * line.deviation(metric):.2f}"
    text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(place, text)
    return text + (f" ({100 * line.paper[metric]:.2f})" if line.paper else "")


def cells(lines: Sequence[Line]) -> list[list[str]]:
    """Return the three cells of each line."""
    places = {metric: ranks(lines, metric) for metric in METRICS}
    return [
        [number(line, metric, places[metric][index]) for metric in METRICS]
        for index, line in enumerate(lines)
    ]


def by_value(lines: Sequence[Line], title: str) -> list[str]:
    """Return the table with a line a value and three columns an encoder, as Table 2."""
    encoders = list(dict.fromkeys(line.encoder for line in lines))
    labels = list(dict.fromkeys(line.label for line in lines))
    found = {(line.encoder, line.label): row for line, row in zip(lines, cells(lines), strict=True)}
    head = [title, *(f"{encoder} {name}" for encoder in encoders for name in METRICS.values())]
    nothing = [MISSING] * len(METRICS)
    rows = [
        [label, *itertools.chain(*(found.get((encoder, label), nothing) for encoder in encoders))]
        for label in labels
    ]
    return table(head, rows)


def by_encoder(lines: Sequence[Line], title: str) -> list[str]:
    """Return the table with a line an encoder and value, as Tables 3 and 4."""
    rows = [[line.encoder, line.label, *row] for line, row in zip(lines, cells(lines), strict=True)]
    return table(["encoder", title, *METRICS.values()], rows)


def by_value_and_encoder(lines: Sequence[Line], title: str) -> list[str]:
    """Return the table with a line a value and encoder, as Table 5."""
    labels = list(dict.fromkeys(line.label for line in lines))
    rows = [[line.label, line.encoder, *row] for line, row in zip(lines, cells(lines), strict=True)]
    rows.sort(key=lambda row: labels.index(row[0]))
    return table([title, "encoder", *METRICS.values()], rows)


def csv_rows(setting: str, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the same as rows for a CSV file: fractions, a row a metric."""
    return [
        {
            "encoder": line.encoder,
            "setting": setting,
            "value": line.value,
            "metric": metric,
            "seeds": len(line.runs),
            "mean": line.mean(metric) if line.runs else "",
            "standard_deviation": line.deviation(metric) if len(line.runs) > 1 else "",
            "rank": place or "",
            "paper": line.paper[metric] if line.paper else "",
        }
        for metric in METRICS
        for line, place in zip(lines, ranks(lines, metric), strict=True)
    ]
