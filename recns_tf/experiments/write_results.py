"""The tables and pictures of an experiment, from its finished runs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from recns_tf import datasets
from recns_tf.experiments import baseline_rows, figures, results, significance_tables, tables
from recns_tf.experiments.cells import Cell
from recns_tf.experiments.grids import Experiment, Panel
from recns_tf.experiments.options import ReproduceSettings
from recns_tf.experiments.plans import Point
from recns_tf.experiments.results import Line
from recns_tf.interactions import Interactions
from recns_tf.runs.data import data_settings
from recns_tf.runs.published import published
from recns_tf.utils.files import write_text

CHARACTERS_A_PICTURE = 50
"""How much of a title has room above one."""


def lines_of(panel: Panel, points: Sequence[Point], runs_dir: Path) -> list[Line]:
    """Return the lines of a panel's table."""
    return [
        Line(
            point.encoder,
            point.value,
            panel.labels.get(point.value, str(point.value)),
            results.finished(point.cells, runs_dir),
            published(point.cells[0].config),
        )
        for point in points
    ]


def write(
    name: str,
    experiment: Experiment,
    points: Sequence[Point],
    baselines: Sequence[Line],
    asked: ReproduceSettings,
    folder: Path,
    files: Sequence[Path],
    given: Mapping[str, Any],
) -> str:
    """Write the tables and pictures of an experiment; return the tables."""
    runs_dir = Path(asked.runs_dir)
    per_user = UserMetrics(runs_dir, asked.data_dir)
    dataset = points[0].cells[0].config.dataset
    text = [f"# {experiment.title}: {dataset}", "", legend(asked, points, files, given, runs_dir)]
    table_rows, cell_rows, compared, drawn = [], [], [], []
    for index, panel in enumerate(experiment.panels):
        lines = lines_of(panel, [point for point in points if point.panel == index], runs_dir)
        if len(experiment.panels) > 1:
            text += ["", f"## {panel.title}"]
        text += ["", *panel.layout(lines, panel.title)]
        found = significance_tables.compare(lines, panel.reference, per_user)
        if found:
            text += ["", COMPARED.format(found[0]), "", *significance_tables.markdown(found)]
        compared += found
        table_rows += tables.csv_rows(panel.setting, lines)
        cell_rows += [
            results.cell_row(name, panel.title, panel.setting, line, *run)
            for line in lines
            for run in line.runs
        ]
        drawn += [(picture, lines, panel.title) for picture in panel.pictures]
    if baselines:
        text += ["", *baseline_rows.section(baselines)]
        table_rows += tables.csv_rows(baseline_rows.SETTING, baselines)
        cell_rows += [
            results.cell_row(name, baseline_rows.SETTING, baseline_rows.SETTING, line, *run)
            for line in baselines
            for run in line.runs
        ]
    table = "\n".join(text)
    write_text(folder / "table.md", table + "\n")
    results.write_csv(folder / "table.csv", tables.COLUMNS, table_rows)
    results.write_csv(folder / "cells.csv", results.CELL_COLUMNS, cell_rows)
    rows = [each._asdict() for each in compared]
    results.write_csv(folder / "comparisons.csv", significance_tables.COLUMNS, rows)
    left = "table.md table.csv comparisons.csv cells.csv"
    if drawn:
        figure = Figure(figsize=(5 * len(drawn), 4), layout="constrained")
        for axes, (picture, lines, title) in zip(
            figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
        ):
            picture(axes, lines, title, runs_dir)
        title = f"{experiment.title}: {dataset}"
        figure.suptitle(textwrap.fill(title, CHARACTERS_A_PICTURE * len(drawn)))
        figures.save(figure, folder / name)
        left += f" {name}.png {name}.svg"
    return f"{table}\n\n{folder}/: {left}\n"


COMPARED = (
    "{0.value} against the best of the others by test mean: paired tests over {0.users} users, "
    "whose metrics are averaged over seeds; p values by Holm's method over the lines of this table."
)


def legend(
    asked: ReproduceSettings,
    points: Sequence[Point],
    files: Sequence[Path],
    given: Mapping[str, Any],
    runs_dir: Path,
) -> str:
    """Return what the numbers are."""
    cells = [cell for point in points for cell in point.cells]
    done = len(results.finished(cells, runs_dir))
    text = (
        f"Percentages on test: mean ± standard deviation over seeds {asked.seeds}; best bold, "
        "second underlined."
    )
    if any(published(cell.config) for cell in cells):
        text += " In parentheses the paper's."
    told = [str(path) for path in files] + [f"{name}={value}" for name, value in given.items()]
    if told:
        text += f" Of the command line: {', '.join(told)}."
    if asked.tune:
        text += f" Every sampler was tuned by {asked.tune} trials on validation: tuning.md."
    if done < len(cells):
        text += f" {done} of {len(cells)} runs are finished."
    return text


class UserMetrics:
    """Metrics a user of finished runs, from their embeddings, each computed once.

    Args:
        runs_dir: where the runs are.
        data_dir: where their datasets are.
    """

    def __init__(self, runs_dir: Path, data_dir: str):
        self.runs_dir = runs_dir
        self.data_dir = data_dir
        self.interactions: Interactions | None = None
        self.settings: dict[str, Any] = {}
        self.found: dict[str, significance_tables.PerUser] = {}

    def __call__(self, cell: Cell) -> significance_tables.PerUser:
        """Return the metrics of a run.

        Raises:
            UserError: its embeddings are damaged or of other data.
        """
        if cell.name not in self.found:
            # All runs of a sweep share their data, unless a setting of the data is varied.
            if self.interactions is None or self.settings != data_settings(cell.config):
                self.settings = data_settings(cell.config)
                self.interactions = datasets.load(cell.config, self.data_dir)
            self.found[cell.name] = significance_tables.metrics_of(
                cell, self.runs_dir, self.interactions
            )
        return self.found[cell.name]
