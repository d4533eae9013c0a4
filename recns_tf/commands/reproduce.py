"""Make tables and figures of the paper on a dataset: table2 … table5, fig4 … fig9, or all.

The words may be in any order. Writes table.md, table.csv, comparisons.csv, cells.csv and pictures
to runs_dir/EXPERIMENT-DATASET/.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recns_tf import datasets, registry
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config, explicit_settings
from recns_tf.errors import UserError
from recns_tf.experiments import baseline_rows, plans, write_results
from recns_tf.experiments.cells import seeds
from recns_tf.experiments.grids import Experiment
from recns_tf.experiments.options import ReproduceSettings
from recns_tf.experiments.plans import Point
from recns_tf.experiments.runner import report, run_cells
from recns_tf.experiments.sweep import Failure
from recns_tf.utils.program import program


def main(call: Call) -> None:
    """Run the command."""
    dataset, wanted = dataset_and_experiments(call.words)
    asked = call.settings(ReproduceSettings)
    datasets.require(dataset, asked.data_dir)
    files, given = explicit_settings(call.arguments, dataset, "lightgcn")
    if "seed" in given:
        raise UserError("--seed is what a sweep varies: choose seeds by --seeds=0,1,2.")
    encoders = [name for name in asked.encoders.split(",") if name]
    grid = plans.parse_grid(asked.grid, asked.samplers)
    # All is checked before anything is run.
    found = {name: plans.narrow(name, encoders, grid, given) for name in wanted}
    plans.refuse_unused(grid, found)
    planned = {
        name: plans.plan(experiment, dataset, asked.seed_numbers, given, files)
        for name, experiment in found.items()
    }
    names = [name for name in asked.baselines.split(",") if name]
    baselines = baseline_rows.plan(names, dataset, asked.seed_numbers, given, files)
    for name, experiment in found.items():
        if asked.tune and all(panel.setting != "sampler" for panel in experiment.panels):
            raise UserError(f"--tune is for what compares samplers, and {name} does not.")
    failures: list[Failure] = []
    for name, experiment in found.items():
        print(f"{name}: {experiment.title}")
        folder = Path(asked.runs_dir) / f"{name}-{dataset}"
        if asked.tune:
            planned[name], failed = tuned(experiment, planned[name], asked, folder, files, given)
            failures += failed
        cells = [cell for point in planned[name] for cell in point.cells]
        ready, failed = run_cells([*cells, *baselines.runs], asked, folder)
        failures += failed
        if not ready:
            print("\n".join(baseline_rows.plan_lines(baselines, Path(asked.runs_dir))))
            continue
        lines, failed = baseline_rows.fit(baselines, asked, folder)
        failures += failed
        points = planned[name]
        print(write_results.write(name, experiment, points, lines, asked, folder, files, given))
    report(list(dict.fromkeys(failures)))


def dataset_and_experiments(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the dataset and the experiments that words name, in any order.

    Raises:
        UserError: they name no experiment, or not one dataset.
    """
    known = [*registry.EXPERIMENTS, registry.ALL_EXPERIMENTS]
    wanted = [word for word in words if word in known]
    others = [word for word in words if word not in known]
    if not wanted or len(others) != 1:
        told = f", not '{' '.join(words)}'" if words else ""
        raise UserError(
            f"one dataset and some of {', '.join(known)} are needed{told}: for example "
            f"'{program()} reproduce ml-100k table2'."
        )
    if registry.ALL_EXPERIMENTS in wanted:
        wanted = list(registry.EXPERIMENTS)
    return others[0], list(dict.fromkeys(wanted))


def tuned(
    experiment: Experiment,
    points: Sequence[Point],
    asked: ReproduceSettings,
    folder: Path,
    files: Sequence[Path],
    given: Mapping[str, Any],
) -> tuple[list[Point], list[Failure]]:
    """Tune every sampler that is compared; return the points with what was best for each.

    Args:
        experiment: what is compared.
        points: its runs without tuning.
        asked: the flags of the sweep.
        folder: of the sweep.
        files: flagfiles of the command line.
        given: settings that it fixes, which are not tuned.

    Returns:
        The points, and the trials that failed.
    """
    compared = [point for point in points if experiment.panels[point.panel].setting == "sampler"]
    if asked.dry_run:
        print(
            f"first {asked.tune} trials of each of {len(compared)}; the runs below then have the "
            "settings, and the names, that come of them"
        )
        return list(points), []
    # Optuna takes a second to import, and only this needs it.
    from recns_tf.experiments import tuning

    studies = {}
    for point in compared:
        base = dataclasses.replace(point.cells[0].config, seed=0)
        plain, tag = plans.base_of(base.dataset, base.encoder, files)
        study = tuning.begin(base, plain, given, tag)
        studies[point.panel, point.encoder, point.value] = study
    failures = tuning.tune(list(studies.values()), asked.tune, asked, folder)
    tuning.write(list(studies.values()), folder)
    found = []
    for point in points:
        key = (point.panel, point.encoder, point.value)
        if key in studies:
            study = studies[key]
            config = dataclasses.replace(study.base, **tuning.best(study))
            point = point._replace(cells=seeds(config, asked.seed_numbers, study.plain, study.tag))
        found.append(point)
    return found, failures


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET EXPERIMENT…",
    example="ml-100k table2",
    settings=(Config, ReproduceSettings),
    run=main,
    interrupted="the same command goes on from here",
)
