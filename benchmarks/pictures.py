"""A picture of all results: one panel per benchmark, one bar per row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recns_tf.experiments import figures

COLUMNS = 3


def draw(found: Sequence[dict[str, Any]], folder: Path) -> None:
    """Draw bench.png and bench.svg.

    Args:
        found: results of `Report.to_json`, with their "size".
        folder: output folder.
    """
    whats = list(dict.fromkeys(each["what"] for each in found))
    lines = -(-len(whats) // COLUMNS)
    figure = Figure(figsize=(6 * COLUMNS, 4.5 * lines), layout="constrained")
    panels = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    for axes, what in zip(panels, whats, strict=False):
        same = [each for each in found if each["what"] == what]
        (by_edges if what == "scaling" else bars)(axes, same)
    for axes in panels[len(whats) :]:
        axes.set_axis_off()
    figures.save_figure(figure, folder / "bench")


def bars(axes: Axes, same: Sequence[dict[str, Any]]) -> None:
    """Draw the ratios of a benchmark's rows, with one color per size."""
    names = list(dict.fromkeys(row["name"] for each in same for row in each["rows"]))
    height = 0.8 / len(same)
    for number, each in enumerate(same):
        ratios = {row["name"]: row["ratio"] for row in each["rows"]}
        places = [names.index(name) + (number + 0.5) * height - 0.4 for name in ratios]
        drawn = axes.barh(places, list(ratios.values()), height, label=each["size"])
        axes.bar_label(drawn, [f"{ratio:.3g}" for ratio in ratios.values()], fontsize=7, padding=2)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="0.4", linewidth=0.8)
    axes.set(xscale="log", xlabel=f"times {same[0]['against']}", title=same[0]["what"])
    axes.margins(x=0.15)
    axes.legend(fontsize=8)


def by_edges(axes: Axes, same: Sequence[dict[str, Any]]) -> None:
    """Plot the times of `scaling` by edges; dotted lines are proportional to edges."""
    for number, each in enumerate(same):
        series: dict[str, list[tuple[float, float]]] = {}
        for row in each["rows"]:
            name, _, scale = row["name"].partition(", ")
            point = (each["notes"][f"edges, {scale}"], row["milliseconds"])
            series.setdefault(name, []).append(point)
        for (name, points), marker in zip(series.items(), "osd", strict=False):
            edges, times = zip(*points, strict=True)
            label = f"{name}, {each['size']}"
            axes.plot(edges, times, marker=marker, color=f"C{number}", label=label)
            straight = [times[-1] * count / edges[-1] for count in edges]
            axes.plot(edges, straight, color=f"C{number}", linestyle=":", alpha=0.6)
    axes.set(xscale="log", yscale="log", xlabel="train pairs", ylabel="ms", title="scaling")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
