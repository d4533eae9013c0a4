"""A picture of the comparison: seconds per epoch, memory and Recall@20 of both programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.peers.comparison import METRICS, Figures, Row
from benchmarks.peers.programs import OURS, THEIRS
from recns_tf.evaluation.display import label
from recns_tf.experiments import figures

HEIGHT = 0.4
"""Of a bar; those of a workload touch."""


def draw(rows: Sequence[Row], folder: Path) -> None:
    """Draw peers.png and peers.svg."""
    figure = Figure(figsize=(13, 1.5 + 0.7 * len(rows)), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    bars(panels[0], rows, "seconds per epoch", lambda each: each.seconds)
    figures.set_log_scale(panels[0])
    bars(panels[1], rows, "peak memory, GB", lambda each: each.gigabytes)
    bars(panels[2], rows, f"test {label(METRICS[0])}", lambda each: each.metrics[METRICS[0]])
    panels[0].set_yticks(range(len(rows)), [row.workload.name for row in rows])
    panels[0].invert_yaxis()
    panels[0].legend(fontsize=8)
    figures.save_figure(figure, folder / "peers")


def bars(axes: Axes, rows: Sequence[Row], title: str, figure: Callable[[Figures], float]) -> None:
    """Draw one figure of both programs; there is no bar for a program that failed."""
    for place, program in ((-0.5, OURS), (0.5, THEIRS)):
        shown = [
            (number + place * HEIGHT, figure(found))
            for number, row in enumerate(rows)
            if (found := row.figures[program])
        ]
        drawn = axes.barh(
            [height for height, _ in shown], [value for _, value in shown], HEIGHT, label=program
        )
        axes.bar_label(drawn, [f"{value:.3g}" for _, value in shown], fontsize=8, padding=2)
    axes.set(title=title)
    axes.margins(x=0.15)
