"""Plots of sweeps, as PNG and SVG: a metric over the varied setting, and curves over epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from recns_tf.evaluation.metrics import METRIC, METRICS
from recns_tf.experiments.results import Line
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.files import atomic

FORMATS = (".png", ".svg")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as `path`.png and `path`.svg."""
    for ending in FORMATS:
        with atomic(path.with_name(path.name + ending)) as temporary:
            figure.savefig(temporary, dpi=120)


def error_bars(lines: Sequence[Line]) -> list[float]:
    """Return the standard deviations in percent; NaN, which is not drawn, for a single run."""
    return [100 * line.deviation(METRIC) for line in lines]


def group_by_encoder(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return the lines with finished runs by encoder."""
    groups: dict[str, list[Line]] = {}
    for each in lines:
        if each.runs:
            groups.setdefault(each.encoder, []).append(each)
    return groups


def plot_lines(axes: Axes, lines: Sequence[Line], title: str, runs_dir: Path) -> None:
    """Plot test Recall@20 over the values of a setting, one curve per encoder, with error bars."""
    labels = list(dict.fromkeys(each.label for each in lines))
    for encoder, group in group_by_encoder(lines).items():
        axes.errorbar(
            [labels.index(each.label) for each in group],
            [100 * each.mean(METRIC) for each in group],
            error_bars(group),
            marker="o",
            capsize=3,
            label=encoder,
        )
    axes.set_xticks(range(len(labels)), labels)
    axes.set(xlabel=title, ylabel=f"test {METRICS[METRIC]}, %")
    axes.grid(alpha=0.3)
    axes.legend()


def plot_bars(axes: Axes, lines: Sequence[Line], title: str, runs_dir: Path) -> None:
    """Plot test Recall@20 as bars, one group per encoder, with error bars."""
    groups = group_by_encoder(lines)
    labels = list(dict.fromkeys(each.label for each in lines))
    width = 0.8 / max(len(labels), 1)
    for n, label in enumerate(labels):
        places, found = [], []
        for place, group in enumerate(groups.values()):
            for each in group:
                if each.label == label:
                    places.append(place + (n - (len(labels) - 1) / 2) * width)
                    found.append(each)
        heights = [100 * each.mean(METRIC) for each in found]
        axes.bar(places, heights, width, yerr=error_bars(found), capsize=3, label=label)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set(xlabel="encoder", ylabel=f"test {METRICS[METRIC]}, %")
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
    axes.margins(y=0.35)
    axes.legend(ncols=2, title=title)


def plot_curves(axes: Axes, lines: Sequence[Line], title: str, runs_dir: Path) -> None:
    """Plot validation Recall@20 over epochs, one curve per run, one color per value."""
    single = len(group_by_encoder(lines)) < 2
    for color, each in enumerate(lines):
        name = f"{title} = {each.label}" if single else f"{each.encoder}, {title} = {each.label}"
        for n, (cell, _) in enumerate(each.runs):
            rows = RunFolder(runs_dir / cell.name).rows()
            rows = [row for row in rows if "valid" in row]
            axes.plot(
                [row["epoch"] for row in rows],
                [100 * row["valid"][METRIC] for row in rows],
                color=f"C{color % 10}",
                alpha=0.8,
                linewidth=1,
                label=name if n == 0 else None,
            )
    axes.set(xlabel="epoch", ylabel=f"validation {METRICS[METRIC]}, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def set_log_scale(axes: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers at 1, 3, 10, 30 and so on alone.

    More of them would overlap in a narrow panel.
    """
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def label_points(axes: Axes, points: Iterable[tuple[float, float]], labels: Iterable[str]) -> None:
    """Write a label beside each point, lower where it would cover another.

    Args:
        axes: axes of a figure that is finished but for the labels, since its layout decides which
            of them overlap.
        points: x and y of each point.
        labels: their labels.
    """
    texts = [
        axes.annotate(label, point, (5, 4), textcoords="offset points", fontsize=8)
        for point, label in zip(points, labels, strict=True)
    ]
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    placed: list[Bbox] = []
    for text in sorted(texts, key=lambda text: text.get_window_extent().y0, reverse=True):
        while any(text.get_window_extent().overlaps(other) for other in placed):
            x, y = text.xyann
            text.xyann = (x, y - 1)
        placed.append(text.get_window_extent())
