"""Write the tables and plots of an experiment from its finished runs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from recns_tf import datasets
from recns_tf.experiments import (
    baseline_rows,
    design,
    figures,
    results,
    significance_tables,
    tables,
    write_negatives,
)
from recns_tf.experiments.cells import Cell
from recns_tf.experiments.options import ReproduceSettings
from recns_tf.experiments.panels import SAMPLER, Experiment, Panel
from recns_tf.experiments.plans import Point
from recns_tf.experiments.results import Line
from recns_tf.interactions import Interactions
from recns_tf.registry import SHOWN_METRICS
from recns_tf.runs.data import data_settings
from recns_tf.runs.published import published
from recns_tf.utils.files import write_text
from recns_tf.utils.text import count
from recns_tf.utils.together import written_together

TITLE_WIDTH = 50
"""Characters per line in the title of a figure, for each plot side by side."""


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


class Runs(NamedTuple):
    """The runs of an experiment.

    Attributes:
        points: its runs.
        left_out: a sentence for each sampler that is left out for an encoder.
        baselines: the lines of the baselines.
    """

    points: Sequence[Point]
    left_out: Sequence[str]
    baselines: Sequence[Line]


def write(
    name: str,
    experiment: Experiment,
    runs: Runs,
    options: ReproduceSettings,
    folder: Path,
    files: Sequence[Path],
    given: Mapping[str, Any],
) -> str:
    """Write the tables and plots of an experiment.

    Args:
        name: name of the experiment, such as "table2".
        experiment: the experiment.
        runs: its runs.
        options: the flags of the sweep.
        folder: the folder of the sweep, to write to.
        files: flagfiles from the command line.
        given: settings fixed by the command line.

    Returns:
        The tables as Markdown, and the names of the files.
    """
    runs_dir = Path(options.runs_dir)
    points, baselines = runs.points, runs.baselines
    per_user = UserMetrics(runs_dir, options.data_dir)
    dataset = points[0].cells[0].config.dataset
    title = f"{experiment.title}: {dataset}"
    text = [f"# {title}", "", legend(options, points, files, given, runs_dir)]
    for sentence in runs.left_out:
        text += ["", sentence]
    table_rows, cell_rows, compared, drawn, samplers = [], [], [], [], []
    for index, panel in enumerate(experiment.panels):
        lines = lines_of(panel, [point for point in points if point.panel == index], runs_dir)
        if len(experiment.panels) > 1:
            text += ["", f"## {panel.title}"]
        heading = panel.heading or panel.title
        text += ["", *panel.layout(lines, heading), *at_limit(lines)]
        if results.have_shown_metrics(lines):
            text += ["", SHOWN_CAPTION, "", *tables.within_shown(lines, heading)]
        found = significance_tables.compare(lines, panel.reference, per_user)
        if found:
            caption = COMPARISON_CAPTION.format(found[0], further_users(found))
            text += ["", caption, "", *significance_tables.markdown(found, "best other")]
        pairs = significance_tables.compare_pairs(lines, per_user) if options.pairs else []
        if pairs:
            caption = PAIRS_CAPTION.format(pairs[0], further_users(pairs))
            text += ["", caption, "", *significance_tables.markdown(pairs, "other")]
        compared += [
            {"panel": panel.title, "family": family, **each._asdict()}
            for family, comparisons in (("reference", found), ("pairs", pairs))
            for each in comparisons
        ]
        table_rows += tables.csv_rows(panel.title, panel.setting, lines)
        cell_rows += [
            results.cell_row(name, panel.title, panel.setting, line, *run)
            for line in lines
            for run in line.runs
        ]
        if panel.setting == SAMPLER:
            samplers += lines if len(experiment.panels) == 1 else headed(lines, panel.title)
        drawn += [(picture, lines, panel.title) for picture in panel.pictures]
    if baselines:
        text += ["", *baseline_rows.section(baselines), *at_limit(baselines)]
        table_rows += tables.csv_rows(baseline_rows.SETTING, baseline_rows.SETTING, baselines)
        cell_rows += [
            results.cell_row(name, baseline_rows.SETTING, baseline_rows.SETTING, line, *run)
            for line in baselines
            for run in line.runs
        ]
    table = "\n".join(text)
    written = "table.md table.csv comparisons.csv cells.csv"
    with written_together(folder, last="table.md") as new:
        results.write_csv(new / "table.csv", tables.COLUMNS, table_rows)
        results.write_csv(new / "cells.csv", results.CELL_COLUMNS, cell_rows)
        columns = ("panel", "family", *significance_tables.COLUMNS)
        results.write_csv(new / "comparisons.csv", columns, compared)
        if samplers:
            written = " ".join([written, *write_negatives.write(samplers, title, runs_dir, new)])
        if drawn:
            figure = Figure(figsize=(5 * len(drawn), 4), layout="constrained")
            for axes, (picture, lines, panel_title) in zip(
                figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
            ):
                picture(axes, lines, panel_title, runs_dir)
            figure.suptitle(textwrap.fill(title, TITLE_WIDTH * len(drawn)))
            figures.save_figure(figure, new / name)
            written += f" {name}.png {name}.svg"
        write_text(new / "table.md", table + "\n")
    return f"{table}\n\n{folder}/: {written}\n"


def headed(lines: Sequence[Line], title: str) -> list[Line]:
    """Return lines whose encoder names their panel, so that those of two panels do not mix."""
    return [line._replace(encoder=f"{line.encoder}, {title}") for line in lines]


def at_limit(lines: Sequence[Line]) -> list[str]:
    """Return a paragraph on the runs that --epochs may have ended too early, if there are any."""
    found = [
        f"{line.encoder} {line.label}".strip()
        + f" ({line.at_limit} of {count(len(line.runs), 'run')})"
        for line in lines
        if line.at_limit
    ]
    return ["", AT_LIMIT + ", ".join(found) + "."] if found else []


AT_LIMIT = "Best in the last epoch, so that a larger --epochs may change them: "
TESTS_CAPTION = (
    "Paired t-test and Wilcoxon test over {0.users} users{1}, with metrics averaged over seeds; "
    "seeds and users: a paired test in which both are random. P values are adjusted by Holm over "
)
COMPARISON_CAPTION = (
    "{0.value} against the best other value by test mean. "
    + TESTS_CAPTION
    + "the rows of this table."
)
PAIRS_CAPTION = (
    "Every two values, the higher test mean first. "
    + TESTS_CAPTION
    + "the pairs of an encoder and metric."
)


def further_users(comparisons: Sequence[significance_tables.Comparison]) -> str:
    """Return how many users the tests of metrics within the shown items are over, if there are any.

    They need held-out exposures besides test positives.
    """
    found = [each.users for each in comparisons if each.metric in SHOWN_METRICS]
    return f" ({found[0]} for the metrics within the shown items)" if found else ""


SHOWN_CAPTION = (
    "Within the items that a user was shown, test positives against held-out exposures, over the "
    "users with both:"
)


def legend(
    options: ReproduceSettings,
    points: Sequence[Point],
    files: Sequence[Path],
    given: Mapping[str, Any],
    runs_dir: Path,
) -> str:
    """Return the caption that explains the numbers."""
    cells = [cell for point in points for cell in point.cells]
    done = len(results.finished(cells, runs_dir))
    text = (
        f"Percentages on test: mean ± standard deviation over seeds {options.seeds}; best bold, "
        "second underlined."
    )
    if any(published(cell.config) for cell in cells):
        text += " The paper's numbers are in parentheses."
    chosen = [str(path) for path in files] + [f"{name}={value}" for name, value in given.items()]
    if chosen:
        text += f" Settings from the command line: {', '.join(chosen)}."
    if options.tune:
        trials = count(options.tune, "trial")
        method = design.search_method(options.tune)
        text += f" Every sampler was tuned with {trials} on validation ({method}): tuning.md."
        if options.final_epochs:
            text += f" The runs in this table have at most {options.final_epochs} epochs."
    if done < len(cells):
        text += f" {done} of {len(cells)} runs are finished."
    return text


class UserMetrics:
    """Per-user metrics of finished runs, each computed once.

    Args:
        runs_dir: folder of the runs.
        data_dir: folder of the datasets.
    """

    def __init__(self, runs_dir: Path, data_dir: str):
        self.runs_dir = runs_dir
        self.data_dir = data_dir
        self.interactions: Interactions | None = None
        self.settings: dict[str, Any] = {}
        self.found: dict[str, significance_tables.PerUser] = {}

    def __call__(self, cell: Cell) -> significance_tables.PerUser:
        """Return the per-user metrics of a run.

        Raises:
            UserError: see `significance_tables.per_user_metrics`.
        """
        if cell.name not in self.found:
            # The runs of a sweep share one dataset, unless a dataset setting is varied.
            if self.interactions is None or self.settings != data_settings(cell.config):
                self.settings = data_settings(cell.config)
                self.interactions = datasets.load(cell.config, self.data_dir)
            self.found[cell.name] = significance_tables.per_user_metrics(
                cell, self.runs_dir, self.interactions
            )
        return self.found[cell.name]
