"""Pictures: of a run, and of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from recns_tf.comparison import Ranked, by_degree
from recns_tf.evidence import PARTS, Evidence
from recns_tf.files import atomic
from recns_tf.interactions import Interactions, users_with
from recns_tf.run_folder import METRICS, Row

FEW_EPOCHS = 10


def plot_curves(rows: list[Row], best_epoch: int, title: str, path: Path) -> None:
    """Draw the training loss and the validation metrics over epochs into a PNG file.

    Args:
        rows: the rows of metrics.jsonl.
        best_epoch: marked by a vertical line.
        title: over both panels.
        path: of the PNG.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss_axes, metric_axes = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    marker = "." if len(rows) < FEW_EPOCHS else ""
    loss_axes.plot(epochs, [row["loss"] for row in rows], color="C0", marker=marker)
    loss_axes.set(xlabel="epoch", ylabel="training loss")
    validated = [row for row in rows if "valid" in row]
    for color, (name, label) in enumerate(METRICS.items(), 1):
        values = [row["valid"][name] for row in validated]
        checked = [row["epoch"] for row in validated]
        metric_axes.plot(checked, values, label=label, color=f"C{color}", marker=marker)
    metric_axes.set(xlabel="epoch", ylabel="validation", ylim=(0, None))
    for axes in (loss_axes, metric_axes):
        axes.axvline(best_epoch, color="0.5", linestyle=":", label=f"best epoch, {best_epoch}")
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*metric_axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(title)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)


def plot_degrees(interactions: Interactions, path: Path) -> None:
    """Draw how many users and items have at least so many positives and exposures, into a PNG.

    Args:
        interactions: the dataset.
        path: of the PNG.
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
            xlabel=f"positives or exposures of {'a user' if kind == 'users' else 'an item'}",
            ylabel=f"{kind} with at least as many",
        )
        axes.grid(alpha=0.3)
    panels[0].legend()
    figure.suptitle(interactions.name)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)


def plot_evidence(evidence: Evidence, title: str, path: Path) -> None:
    """Draw how much regions hold by khop, and where held-out positives lie, into a PNG.

    Args:
        evidence: what the walks found.
        title: over both panels.
        path: of the PNG.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    coverage_axes, shell_axes = figure.subplots(1, 2)
    shares = [evidence.coverage[khop] for khop in evidence.khops]
    low, middle, high = np.quantile(shares, [0.05, 0.5, 0.95], axis=1)
    khops = [str(khop) for khop in evidence.khops]
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
        (f"{part} positives{suffix}", evidence.shells(values[part]))
        for part in PARTS
        if evidence.pairs[part]
        for suffix, values in (("", evidence.inside), (", by chance", evidence.by_chance))
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
    shell_axes.set(xlabel="first reached by a walk of", ylabel="share", ylim=(0, 1.02))
    if bars:
        shell_axes.legend()
    for axes in (coverage_axes, shell_axes):
        axes.grid(alpha=0.3, axis="y")
    figure.suptitle(title)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)


def plot_comparison(
    interactions: Interactions, given: Sequence[Ranked], run: Sequence[Ranked], path: Path
) -> None:
    """Draw how users' Recall differs, and Recall by train degree, into a PNG file.

    Args:
        interactions: the dataset.
        given: embeddings, ranked exactly first and then to other depths.
        run: those of a run, likewise; without one, the other depths are compared with the exact
            ranking.
        path: of the PNG.
    """
    metric, label = next(iter(METRICS.items()))
    figure = Figure(figsize=(10, 4), layout="constrained")
    gap_axes, degree_axes = figure.subplots(1, 2)
    first, second = (run[0], given[0]) if run else (given[1], given[0])
    gaps = first.metrics[metric] - second.metrics[metric]
    gap_axes.hist(gaps, bins=np.linspace(-1, 1, 42), color="C0")
    gap_axes.axvline(gaps.mean(), color="C1", label=f"mean, {gaps.mean():+.4f}")
    names = [f"{each.embeddings}, {each.way.search}" for each in (first, second)]
    gap_axes.set(
        yscale="log",
        ylim=(0.5, None),
        xlabel=f"{label}: {names[0]}, less {names[1]}",
        ylabel="users of the test set",
    )
    gap_axes.legend()
    degrees = np.diff(interactions.train.indptr)[users_with(interactions.test)]
    masked = given[0].way.masked
    for color, ranked in enumerate((given, run)):
        for each in ranked:
            if each.way.masked != masked:
                continue
            line = "--" if each.way.depth else "-"
            degree_axes.plot(
                *by_degree(degrees, each.metrics[metric]),
                color=f"C{color}",
                linestyle=line,
                marker=".",
                alpha=0.6 if each.way.depth else 1,
                label=f"{each.embeddings}, {each.way.search}",
            )
    degree_axes.set(xlabel="train positives of a user", ylabel=label, ylim=(0, None))
    degree_axes.legend()
    for axes in (gap_axes, degree_axes):
        axes.grid(alpha=0.3)
    figure.suptitle(f"{interactions.name}, test, {masked} masked")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
