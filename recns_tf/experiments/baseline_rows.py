"""The recommenders without a graph that stand beside every table (docs/baselines.md).

Matrix factorisation, with UniNS and BPR, is a run like any other, one a seed. The others are fitted
in closed form: they have no seed, and validation chooses their hyperparameters.
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
from recns_tf.experiments.cells import DONE, NEW, Cell, in_name, seeds
from recns_tf.experiments.options import ReproduceSettings
from recns_tf.experiments.results import Line, finished
from recns_tf.experiments.sweep import Failure, duration
from recns_tf.interactions import Interactions
from recns_tf.runs.data import data_settings
from recns_tf.runs.folder import RunFolder
from recns_tf.utils import markdown

FACTORIZED = "mf"
LIKE_RENDLE: Mapping[str, Any] = {"sampler": "unins", "loss": "bpr"}
SETTING = "baseline"


class Fit(NamedTuple):
    """A recommender in closed form.

    Attributes:
        name: its own.
        cell: the name of its folder, and settings of which those of the data hold.
    """

    name: str
    cell: Cell


class BaselineRows(NamedTuple):
    """What stands beside the tables of a sweep.

    Attributes:
        fits: one a recommender in closed form.
        runs: of matrix factorisation, one a seed.
    """

    fits: list[Fit]
    runs: list[Cell]


def plan(
    names: Sequence[str],
    dataset: str,
    numbers: Sequence[int],
    given: Mapping[str, Any],
    files: Sequence[Path],
) -> BaselineRows:
    """Return what is to be fitted and trained.

    Args:
        names: of the recommenders.
        dataset: its name.
        numbers: the seeds.
        given: settings that the command line fixes for all runs.
        files: its flagfiles.

    Raises:
        UserError: there is no recommender of a name.
    """
    base, tag = plans.base_of(dataset, FACTORIZED, files)
    config = dataclasses.replace(base, **given)
    closed = [name for name in names if name != FACTORIZED]
    for name in closed:
        if name not in registry.BASELINE_MODELS:
            known = ", ".join([*registry.BASELINE_MODELS, FACTORIZED])
            raise UserError(f"--baselines: unknown baseline '{name}': choose among {known}.")
    runs = seeds(dataclasses.replace(config, **LIKE_RENDLE), numbers, base, tag)
    return BaselineRows(
        [fit_of(name, config, base) for name in closed], runs if FACTORIZED in names else []
    )


def fit_of(name: str, config: Config, base: Config) -> Fit:
    """Return a recommender in closed form, its folder named after the data that it is fitted on."""
    data = [
        in_name(key, value)
        for key, value in config.differences(base).items()
        if key in data_settings(config)
    ]
    folder = "-".join([f"{config.dataset}-{name}", *data])
    return Fit(name, Cell(folder, dataclasses.replace(config, seed=0)))


def fit(
    rows: BaselineRows, asked: ReproduceSettings, folder: Path
) -> tuple[list[Line], list[Failure]]:
    """Fit what is in closed form, as far as it is not fitted yet.

    A catalogue that is too large for one is no failure: its line stays empty.

    Args:
        beside: what is wanted.
        asked: the flags of the sweep.
        folder: of the sweep, for logs/NAME.log.

    Returns:
        The lines of the baselines' table, those of closed form first, and what failed.

    Raises:
        UserError: the dataset cannot be read.
    """
    lines, failures = [], []
    data: Interactions | None = None
    runs_dir = Path(asked.runs_dir)
    for name, cell in rows.fits:
        # All are fitted on the same data.
        data = data or datasets.load(cell.config, asked.data_dir)
        log = folder / "logs" / f"{cell.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        is_done = is_fitted(cell, runs_dir)
        runs = []
        begun = time.monotonic()
        try:
            results = fit_one(name, cell, data, asked.workspace, log)
            runs = [(cell, {**results, "training_seconds": results["fitting_seconds"]})]
            if not is_done:
                took = duration(time.monotonic() - begun)
                print(f"{cell.name}: {took}, test Recall@20 {results['test'][METRIC]:.4f}")
        except TooManyItems as error:
            print(f"{cell.name} is left out: {error}")
        except UserError as error:
            failures.append(Failure(cell.name, f"failed: {error}", log))
        lines.append(Line("", name, name, runs))
    if rows.runs:
        told = f"{FACTORIZED} ({LIKE_RENDLE['loss']}, {LIKE_RENDLE['sampler']})"
        lines.append(Line("", FACTORIZED, told, finished(rows.runs, runs_dir)))
    return lines, failures


def fit_one(
    name: str, cell: Cell, data: Interactions, workspace: Workspace, log: Path
) -> dict[str, Any]:
    """Return the results of a recommender in closed form; what it says goes to its log.

    Raises:
        UserError: as `fitting.fit_and_evaluate`.
    """
    place = dataclasses.replace(workspace, run_name=cell.name)
    with log.open("a") as output, redirect_stdout(output), redirect_stderr(output):
        return fitting.fit_and_evaluate(name, cell.config, BaselineSettings(), place, data)


def is_fitted(cell: Cell, runs_dir: Path) -> bool:
    """Return whether a recommender in closed form is fitted."""
    return RunFolder(runs_dir / cell.name).results.exists()


def plan_lines(rows: BaselineRows, runs_dir: Path) -> list[str]:
    """Return what a dry run tells of those in closed form."""
    return [
        f"{DONE if is_fitted(cell, runs_dir) else NEW:<8}{'':>9}  {cell.name}, in closed form"
        for _, cell in rows.fits
    ]


def section(found: Sequence[Line]) -> list[str]:
    """Return the table of the baselines' lines, with what it is."""
    rows = [[line.label, *cells] for line, cells in zip(found, tables.cells(found), strict=True)]
    return [
        "Beside them, recommenders without a graph on the same data; validation chose the "
        "hyperparameters of those in closed form, which have no seed:",
        "",
        *markdown.table([SETTING, *METRICS.values()], rows),
    ]
