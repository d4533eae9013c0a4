"""Write the table and the pictures of what the negatives of compared samplers were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recns_tf.evaluation.metrics import METRIC, METRICS
from recns_tf.experiments import figures, negatives
from recns_tf.experiments.negatives import QUANTITIES, RELATIVE, Described
from recns_tf.experiments.results import Line, write_csv
from recns_tf.utils.files import write_text

PICTURES = ("negatives", "false_negatives")


def write(lines: Sequence[Line], title: str, runs_dir: Path, folder: Path) -> list[str]:
    """Write negatives.md, negatives.csv and the pictures; return the names of the files.

    Args:
        lines: the compared samplers, for each encoder.
        title: heading of the table and the pictures.
        runs_dir: folder of the runs.
        folder: folder to write to.

    Raises:
        UserError: metrics.jsonl of a run is damaged.
    """
    described = negatives.describe(lines, runs_dir)
    write_csv(folder / "negatives.csv", negatives.COLUMNS, negatives.csv_rows(described))
    plot(described, title, folder / "negatives")
    plot_false_negatives(described, title, folder / "false_negatives")
    text = [f"# Negatives: {title}", "", negatives.CAPTION, "", *negatives.table(described)]
    write_text(folder / "negatives.md", "\n".join(text) + "\n")
    pictures = [f"{name}{each}" for name in PICTURES for each in figures.FORMATS]
    return ["negatives.md", "negatives.csv", *pictures]


def plot(described: Sequence[Described], title: str, path: Path) -> None:
    """Plot the test metric and the quantities as bars: one row per encoder, one panel for each.

    Samplers without finished runs are left out.

    Args:
        described: the samplers, in the order of their bars from the top.
        title: title of the figure.
        path: path of the files, without suffix.
    """
    groups = group_by_encoder(described)
    heights = [1 + 0.22 * len(group) for group in groups.values()]
    columns = 1 + len(QUANTITIES)
    figure = Figure(figsize=(2.2 * columns + 1, 0.5 + sum(heights)), layout="constrained")
    panels = figure.subplots(
        len(groups), columns, squeeze=False, sharey="row", height_ratios=heights
    )
    for row, (encoder, group) in zip(panels, groups.items(), strict=True):
        means = [100 * each.line.mean(METRIC) for each in group]
        deviations = figures.error_bars([each.line for each in group])
        draw_bars(row[0], f"test {METRICS[METRIC]}, %", means, deviations)
        row[0].set_yticks(range(len(group)), [each.line.label for each in group])
        row[0].set_ylabel(encoder.replace(", ", "\n"))
        row[0].invert_yaxis()
        for axes, quantity in zip(row[1:], QUANTITIES, strict=True):
            means = [quantity.factor * each.mean(quantity.name) for each in group]
            draw = draw_multiples if quantity.name == RELATIVE else draw_bars
            draw(axes, quantity.title, means)
    figure.suptitle(title)
    figures.save_figure(figure, path)


def plot_false_negatives(described: Sequence[Described], title: str, path: Path) -> None:
    """Plot the test metric over the share of false negatives: one panel per encoder.

    Samplers without finished runs, or without that share, are left out.

    Args:
        described: the samplers.
        title: title of the figure.
        path: path of the files, without suffix.
    """
    groups = group_by_encoder(described)
    figure = Figure(figsize=(6 * len(groups), 4.5), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    labels = []
    for axes, (encoder, group) in zip(panels, groups.items(), strict=True):
        shown = [each for each in group if each.values["false_negatives"]]
        shares = [100 * each.mean("false_negatives") for each in shown]
        recalls = [100 * each.line.mean(METRIC) for each in shown]
        errors = figures.error_bars([each.line for each in shown])
        axes.errorbar(shares, recalls, errors, fmt="o", capsize=3)
        points = zip(shares, recalls, strict=True)
        labels.append((axes, list(points), [each.line.label for each in shown]))
        axes.set(title=encoder, xlabel="false negatives, %", ylabel=f"test {METRICS[METRIC]}, %")
        axes.margins(x=0.15)
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    for each_panel in labels:
        figures.label_points(*each_panel)
    figures.save_figure(figure, path)


def group_by_encoder(described: Sequence[Described]) -> dict[str, list[Described]]:
    """Return the samplers with finished runs by encoder; an encoder may have none."""
    groups: dict[str, list[Described]] = {each.line.encoder: [] for each in described}
    for each in described:
        if each.line.runs:
            groups[each.line.encoder].append(each)
    return groups


def draw_bars(
    axes: Axes, title: str, values: Sequence[float], deviations: Sequence[float] | None = None
) -> None:
    """Draw horizontal bars, in another color if they have deviations; NaN is not drawn."""
    color = "C7" if deviations is None else "C0"
    axes.barh(range(len(values)), values, xerr=deviations, color=color, capsize=2)
    finish_panel(axes, title)


def draw_multiples(axes: Axes, title: str, values: Sequence[float]) -> None:
    """Draw multiples of a unit as horizontal bars that begin at 1, on a logarithmic scale."""
    axes.barh(range(len(values)), [value - 1 for value in values], left=1, color="C7")
    figures.set_log_scale(axes)
    axes.axvline(1, color="0.3", linewidth=0.8)
    finish_panel(axes, title)


def finish_panel(axes: Axes, title: str) -> None:
    """Set what all panels have in common."""
    axes.set_title(title, fontsize="medium")
    axes.margins(y=0.02)
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
