"""Plots of a dataset: degree distributions and region coverage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from recns_tf.analysis.region_coverage import PARTS, RegionCoverage
from recns_tf.interactions import Interactions
from recns_tf.utils.files import atomic


def plot_degrees(interactions: Interactions, path: Path) -> None:
    """Plot the cumulative distributions of positives and exposures per user and per item.

    Args:
        interactions: the dataset.
        path: path of the PNG file.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    for axis, (kind, axes) in enumerate(zip(("users", "items"), panels, strict=True)):
        for color, (name, rows) in enumerate(
            (("positives", interactions.positives), ("exposures", interactions.exposed))
        ):
            degrees = np.sort(np.asarray(rows.sum(axis=1 - axis)).ravel())
            degrees = degrees[degrees > 0]
            if not len(degrees):
                continue
            at_least = np.arange(len(degrees), 0, -1)
            axes.plot(degrees, at_least, color=f"C{color}", label=name, drawstyle="steps-pre")
        axes.set(
            xscale="log",
            yscale="log",
            xlabel=f"positives or exposures per {kind[:-1]}",
            ylabel=f"{kind} with at least that many",
        )
        axes.grid(alpha=0.3)
    panels[0].legend()
    figure.suptitle(interactions.name)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)


def plot_coverage(coverage: RegionCoverage, title: str, path: Path) -> None:
    """Plot the size of the intermediate region by khop, and where held-out positives lie.

    Args:
        coverage: measured coverage.
        title: title of the figure.
        path: path of the PNG file.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    coverage_axes, shell_axes = figure.subplots(1, 2)
    shares = [coverage.coverage[khop] for khop in coverage.khops]
    low, middle, high = np.quantile(shares, [0.05, 0.5, 0.95], axis=1)
    khops = [str(khop) for khop in coverage.khops]
    coverage_axes.fill_between(khops, low, high, alpha=0.25, label="5%–95% of users")
    coverage_axes.plot(khops, middle, marker=".", label="median user")
    coverage_axes.plot(khops, np.mean(shares, axis=1), marker=".", linestyle="--", label="mean")
    coverage_axes.set(
        xlabel="khop", ylabel="intermediate region's share of the items", ylim=(0, 1.02)
    )
    coverage_axes.legend(loc="lower right")
    names = [*(f"{khop} steps" for khop in khops), "more or none"]
    places = np.arange(len(names))
    bars = [
        (f"{part} positives{suffix}", coverage.shells(values[part]))
        for part in PARTS
        if coverage.pairs[part]
        for suffix, values in (("", coverage.inside), (", by chance", coverage.by_chance))
    ]
    width = 0.8 / max(len(bars), 1)
    for n, (label, heights) in enumerate(bars):
        shell_axes.bar(
            places + (n - (len(bars) - 1) / 2) * width,
            heights,
            width,
            color=f"C{n // 2}",
            alpha=1 if n % 2 == 0 else 0.35,
            label=label,
        )
    shell_axes.set_xticks(places, names)
    shell_axes.set(xlabel="length of the shortest walk", ylabel="share", ylim=(0, 1.02))
    if bars:
        shell_axes.legend()
    for axes in (coverage_axes, shell_axes):
        axes.grid(alpha=0.3, axis="y")
    figure.suptitle(title)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
