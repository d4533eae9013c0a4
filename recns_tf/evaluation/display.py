"""Names of metrics, and metrics as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recns_tf.registry import LIST_METRICS, SHOWN_METRICS, USER_METRICS

NAMES = {**USER_METRICS, **LIST_METRICS}
"""Display names of all metrics, without K, in the order of tables."""

WARM = "warm"
"""The key of the metrics without cold users, among those of all users."""

MAIN = ("recall", "ndcg", "hr")
"""The metrics of the paper, shown by default at the largest K."""


def split_key(key: str) -> tuple[str, int] | None:
    """Return the metric and the K of a key such as "ndcg@10", or None if it names no metric."""
    metric, _, k = key.partition("@")
    return (metric, int(k)) if metric in NAMES and k.isdecimal() else None


def label(key: str) -> str:
    """Return the display name of a metric, such as "NDCG@10" for "ndcg@10"."""
    if key in SHOWN_METRICS:
        return SHOWN_METRICS[key]
    metric, _, k = key.partition("@")
    return f"{NAMES[metric]}@{k}"


def recorded_metrics(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys of all metrics in some dicts, sorted by metric and then by K.

    Metrics within the items that a user was shown, which have no K, are the last.
    """
    parts = list(parts)
    found = {key: split for part in parts for key in part if (split := split_key(key))}
    order = list(NAMES)
    ranked = sorted(found, key=lambda key: (order.index(found[key][0]), found[key][1]))
    return ranked + [key for key in SHOWN_METRICS if any(key in part for part in parts)]


def main_metrics(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys of Recall, NDCG and HR at the largest K of each of some dicts."""
    largest = set()
    for part in parts:
        splits = [split for key in part if (split := split_key(key))]
        ks = [k for metric, k in splits if metric in MAIN]
        largest |= {max(ks)} if ks else set()
    return [f"{metric}@{k}" for metric in MAIN for k in sorted(largest)]


def format_metric(key: str, value: float) -> str:
    """Return a metric with four decimals; popularity, a number of users, with two."""
    return f"{value:.2f}" if key.startswith("popularity@") else f"{value:.4f}"


def part_columns(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any] | None]:
    """Return the metrics in a run's results.json by the heading of their column."""
    columns = {name: results[name] for name in ("valid", "test")}
    columns["test warm"] = (results["test"] or {}).get(WARM)
    return columns | {"paper": results.get("paper")}


def metric_lines(named: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """Format metrics as text: a header, one line per metric, and the number of users.

    Args:
        named: metrics by the heading of their column, such as "valid" and "test". A heading with
            None, or with metrics over no users, gets no column.
    """
    columns = {
        name: metrics for name, metrics in named.items() if metrics and metrics.get("users") != 0
    }
    rows: list[list[str]] = [["", *columns]]
    for key in recorded_metrics(columns.values()):
        cells = [format_metric(key, each[key]) if key in each else "" for each in columns.values()]
        rows.append([label(key), *cells])
    rows.append(["users", *(str(each.get("users", "")) for each in columns.values())])
    return [f"{row[0]:<15}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows]
