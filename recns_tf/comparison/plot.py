"""Plot a comparison: differences in Recall per user, and Recall by train degree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from recns_tf.comparison.comparison import Ranked, by_degree
from recns_tf.evaluation.display import label, main_metrics
from recns_tf.interactions import Interactions, users_with
from recns_tf.utils.files import atomic


def plot_comparison(
    interactions: Interactions, given: Sequence[Ranked], run: Sequence[Ranked], path: Path
) -> None:
    """Plot a histogram of Recall differences over users, and Recall by train degree.

    Recall is that at the largest K.

    Args:
        interactions: the dataset.
        given: the given embeddings in every mode; the first is the exact one.
        run: a run in the same modes, or an empty list. Without a run, the histogram compares the
            first truncated search with the exact one.
        path: path of the PNG file.
    """
    metric = main_metrics([given[0].metrics])[0]
    title = label(metric)
    figure = Figure(figsize=(10, 4), layout="constrained")
    difference_axes, degree_axes = figure.subplots(1, 2)
    first, second = (run[0], given[0]) if run else (given[1], given[0])
    differences = first.metrics[metric] - second.metrics[metric]
    difference_axes.hist(differences, bins=np.linspace(-1, 1, 42), color="C0")
    difference_axes.axvline(
        differences.mean(), color="C1", label=f"mean, {differences.mean():+.4f}"
    )
    names = [f"{each.embeddings}, {each.mode.search}" for each in (first, second)]
    difference_axes.set(
        yscale="log",
        ylim=(0.5, None),
        xlabel=f"{title}: {names[0]} − {names[1]}",
        ylabel="test users",
    )
    difference_axes.legend()
    degrees = np.diff(interactions.train.indptr)[users_with(interactions.test)]
    masked = given[0].mode.masked
    for color, ranked in enumerate((given, run)):
        for each in ranked:
            if each.mode.masked != masked:
                continue
            line = "--" if each.mode.depth else "-"
            degree_axes.plot(
                *by_degree(degrees, each.metrics[metric]),
                color=f"C{color}",
                linestyle=line,
                marker=".",
                alpha=0.6 if each.mode.depth else 1,
                label=f"{each.embeddings}, {each.mode.search}",
            )
    degree_axes.set(xlabel="train positives per user", ylabel=title, ylim=(0, None))
    degree_axes.legend()
    for axes in (difference_axes, degree_axes):
        axes.grid(alpha=0.3)
    figure.suptitle(f"{interactions.name}, test, {masked} masked")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
