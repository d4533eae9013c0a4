"""Baselines without a graph, reported below every table (docs/baselines.md).

Matrix factorization, with UniNS and BPR, is trained like any other run, once per seed. The
closed-form baselines have no seed, and their hyperparameters are selected on validation.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf import datasets, registry
from recns_tf.baselines import fit as fitting
from recns_tf.baselines.base import TooManyItems
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import METRIC, METRICS
from recns_tf.experiments import plans, tables
from recns_tf.experiments.cells import DONE, NEW, Cell, is_locked, make_cells, name_part
from recns_tf.experiments.options import RunsSettings
from recns_tf.experiments.results import Line, finished
from recns_tf.experiments.sweep import POLL_SECONDS, WRITTEN_TO, Failure, duration
from recns_tf.interactions import Interactions
from recns_tf.runs.data import data_settings
from recns_tf.runs.folder import RunFolder
from recns_tf.utils import markdown

MF = "mf"
MF_SETTINGS: Mapping[str, Any] = {"sampler": "unins", "loss": "bpr"}
SETTING = "baseline"


class ClosedForm(NamedTuple):
    """A closed-form baseline.

    Attributes:
        name: name of the baseline.
        cell: folder name, and settings of which only those that a baseline records are used.
        grids: its hyperparameters.
    """

    name: str
    cell: Cell
    grids: BaselineSettings = BaselineSettings()


class BaselineRows(NamedTuple):
    """The baselines of a sweep.

    Attributes:
        fits: the closed-form baselines.
        runs: matrix factorization, one run per seed.
    """

    fits: list[ClosedForm]
    runs: list[Cell]


def plan(
    names: Sequence[str],
    dataset: str,
    numbers: Sequence[int],
    given: Mapping[str, Any],
    files: Sequence[Path],
) -> BaselineRows:
    """Return the baselines to fit and train.

    Args:
        names: names of the baselines.
        dataset: name of the dataset.
        numbers: the seeds.
        given: settings that the command line fixes for all runs.
        files: flagfiles from the command line.

    Raises:
        UserError: a baseline is unknown.
    """
    base, tag = plans.base_of(dataset, MF, files)
    config = dataclasses.replace(base, **given)
    closed_form_names = [name for name in names if name != MF]
    for name in closed_form_names:
        if name not in registry.BASELINE_MODELS:
            known = ", ".join([*registry.BASELINE_MODELS, MF])
            raise UserError(f"--baselines: unknown baseline '{name}': choose among {known}.")
    runs = make_cells(dataclasses.replace(config, **MF_SETTINGS), numbers, base, tag)
    return BaselineRows(
        [closed_form(name, config, base) for name in closed_form_names], runs if MF in names else []
    )


def closed_form(name: str, config: Config, base: Config) -> ClosedForm:
    """Return a closed-form baseline; its folder is named after the settings that it records."""
    recorded = [*data_settings(config), *fitting.EVALUATION]
    parts = [
        name_part(key, value) for key, value in config.differences(base).items() if key in recorded
    ]
    folder = "-".join([f"{config.dataset}-{name}", *parts])
    return ClosedForm(name, Cell(folder, dataclasses.replace(config, seed=0)))


def fit_baselines(
    rows: BaselineRows, options: RunsSettings, folder: Path
) -> tuple[list[Line], list[Failure]]:
    """Fit the closed-form baselines that are not fitted yet.

    If the catalog is too large for a baseline, its line stays empty; this is not a failure.

    Args:
        rows: the baselines.
        options: the flags of the sweep.
        folder: the folder of the sweep; output goes to logs/NAME.log.

    Returns:
        The lines of the baseline table, closed-form baselines first, and the failures.

    Raises:
        UserError: the dataset cannot be read.
    """
    lines, failures = [], []
    data: Interactions | None = None
    runs_dir = Path(options.runs_dir)
    for fit in rows.fits:
        cell = fit.cell
        # All baselines share one dataset.
        data = data or datasets.load(cell.config, options.data_dir)
        log = folder / "logs" / f"{cell.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        is_done = is_fitted(cell, runs_dir)
        runs = []
        started = time.monotonic()
        try:
            results = fit_baseline(fit, data, options.workspace, log)
            runs = [(cell, {**results, "training_seconds": results["fitting_seconds"]})]
            if not is_done:
                took = duration(time.monotonic() - started)
                print(f"{cell.name}: {took}, test Recall@20 {results['test'][METRIC]:.4f}")
        except TooManyItems as error:
            print(f"{cell.name} is skipped: {error}")
        except UserError as error:
            failures.append(Failure(cell.name, f"failed: {error}", log))
        lines.append(Line("", fit.name, fit.name, runs))
    if rows.runs:
        label = f"{MF} ({MF_SETTINGS['loss']}, {MF_SETTINGS['sampler']})"
        lines.append(Line("", MF, label, finished(rows.runs, runs_dir)))
    return lines, failures


def fit_baseline(
    fit: ClosedForm, data: Interactions, workspace: Workspace, log: Path
) -> dict[str, Any]:
    """Fit a closed-form baseline and return its results; output is appended to its log.

    If another process is fitting it, wait until that has ended.

    Raises:
        UserError: see `fitting.fit_and_evaluate`.
    """
    place = dataclasses.replace(workspace, run_name=fit.cell.name)
    with (
        log.open("a", encoding="utf-8") as output,
        redirect_stdout(output),
        redirect_stderr(output),
    ):
        while True:
            try:
                return fitting.fit_and_evaluate(fit.name, fit.cell.config, fit.grids, place, data)
            except UserError as error:
                if WRITTEN_TO not in str(error):
                    raise
            while is_locked(fit.cell, Path(workspace.runs_dir)):
                time.sleep(POLL_SECONDS)


def is_fitted(cell: Cell, runs_dir: Path) -> bool:
    """Return whether a closed-form baseline has been fitted."""
    return RunFolder(runs_dir / cell.name).results.exists()


def plan_lines(rows: BaselineRows, runs_dir: Path) -> list[str]:
    """Return the lines of a dry run for the closed-form baselines."""
    return [
        f"{DONE if is_fitted(fit.cell, runs_dir) else NEW:<8}{'':>9}  {fit.cell.name}, closed form"
        for fit in rows.fits
    ]


def section(found: Sequence[Line]) -> list[str]:
    """Return the Markdown table of the baselines, with a caption."""
    rows = [[line.label, *cells] for line, cells in zip(found, tables.cells(found), strict=True)]
    return [
        "Baselines without a graph on the same data. Closed-form baselines have no seed; their "
        "hyperparameters were selected on validation.",
        "",
        *markdown.table([SETTING, *METRICS.values()], rows),
    ]
