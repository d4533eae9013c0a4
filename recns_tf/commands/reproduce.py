"""Reproduce tables and figures of the paper on a dataset: table2 … table5, fig4 … fig9, or all.

Experiments that the paper does not have: loss, exposures, control, density (docs/experiments.md).

DATASET and EXPERIMENT may be in any order. Writes table.md, table.csv, comparisons.csv, cells.csv
and plots to runs_dir/EXPERIMENT-DATASET/, and negatives.md, negatives.csv and two plots of the
negatives if samplers are compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recns_tf import datasets, registry
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments import baseline_rows, plans, write_results
from recns_tf.experiments.cells import copy_finished, make_cells
from recns_tf.experiments.checks import trainable
from recns_tf.experiments.options import ReproduceSettings, fixed_settings
from recns_tf.experiments.panels import SAMPLER, Experiment
from recns_tf.experiments.plans import Point
from recns_tf.experiments.runner import report, run_cells
from recns_tf.experiments.sweep import Failure
from recns_tf.utils.program import program
from recns_tf.utils.text import count


def main(call: Call) -> None:
    """Run the command."""
    dataset, wanted = dataset_and_experiments(call.words)
    options = call.settings(ReproduceSettings)
    datasets.require(dataset, options.data_dir)
    files, given = fixed_settings(call.arguments, dataset, "lightgcn")
    encoders = [name for name in options.encoders.split(",") if name]
    grid = plans.parse_grid(options.grid, options.samplers)
    # Everything is checked before the first run.
    found = {name: plans.customize(name, encoders, grid, given) for name in wanted}
    plans.check_grid(grid, found)
    planned = {
        name: plans.plan(experiment, dataset, options.seed_numbers, given, files)
        for name, experiment in found.items()
    }
    names = [name for name in options.baselines.split(",") if name]
    baselines = baseline_rows.plan(names, dataset, options.seed_numbers, given, files)
    check_tuning(found, planned, options)
    left_out = {}
    for name, experiment in found.items():
        planned[name], left_out[name] = trainable(experiment, planned[name], Path(options.runs_dir))
    failures: list[Failure] = []
    for name, experiment in found.items():
        print("\n".join([f"{name}: {experiment.title}", *left_out[name]]))
        folder = Path(options.runs_dir) / f"{name}-{dataset}"
        if options.tune:
            planned[name], failed = tune_samplers(
                experiment, planned[name], options, folder, files, given
            )
            failures += failed
        cells = [cell for point in planned[name] for cell in point.cells]
        ready, failed = run_cells([*cells, *baselines.runs], options, folder)
        failures += failed
        if not ready:
            print("\n".join(baseline_rows.plan_lines(baselines, Path(options.runs_dir))))
            continue
        lines, failed = baseline_rows.fit_baselines(baselines, options, folder)
        failures += failed
        runs = write_results.Runs(planned[name], left_out[name], lines)
        print(write_results.write(name, experiment, runs, options, folder, files, given))
    report(list(dict.fromkeys(failures)))


def dataset_and_experiments(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the dataset and the experiments named by the words, in any order.

    Raises:
        UserError: there is no experiment, or not exactly one dataset.
    """
    known = [*registry.EXPERIMENTS, registry.ALL_EXPERIMENTS]
    wanted = [word for word in words if word in known]
    others = [word for word in words if word not in known]
    if not wanted or len(others) != 1:
        got = f", not '{' '.join(words)}'" if words else ""
        raise UserError(
            f"one dataset and some of {', '.join(known)} are needed{got}: for example "
            f"'{program()} reproduce ml-100k table2'."
        )
    if registry.ALL_EXPERIMENTS in wanted:
        wanted = [word for word in wanted if word != registry.ALL_EXPERIMENTS]
        wanted = [*registry.PAPER_EXPERIMENTS, *wanted]
    return others[0], list(dict.fromkeys(wanted))


def check_tuning(
    experiments: Mapping[str, Experiment],
    planned: Mapping[str, Sequence[Point]],
    options: ReproduceSettings,
) -> None:
    """Raise UserError if --tune or --final_epochs do not fit the experiments, given by name."""
    if options.final_epochs and not options.tune:
        raise UserError(
            "--final_epochs is for runs with tuned settings: choose --tune, too, or --epochs."
        )
    for name, experiment in experiments.items():
        if options.tune and all(panel.setting != SAMPLER for panel in experiment.panels):
            raise UserError(f"--tune needs an experiment that compares samplers; {name} does not.")
        epochs = max(cell.config.epochs for point in planned[name] for cell in point.cells)
        if 0 < options.final_epochs < epochs:
            raise UserError(
                f"--final_epochs={options.final_epochs}: choose at least {epochs}, --epochs."
            )


def tune_samplers(
    experiment: Experiment,
    points: Sequence[Point],
    options: ReproduceSettings,
    folder: Path,
    files: Sequence[Path],
    given: Mapping[str, Any],
) -> tuple[list[Point], list[Failure]]:
    """Tune every compared sampler, and return the points with the best settings.

    Runs that a trial has made already are copied from it.

    Args:
        experiment: the experiment.
        points: its runs without tuning.
        options: the flags of the sweep.
        folder: the folder of the sweep.
        files: flagfiles from the command line.
        given: settings fixed by the command line, which are not tuned.

    Returns:
        The points, and the trials that failed.
    """
    compared = [point for point in points if experiment.panels[point.panel].setting == SAMPLER]
    if options.dry_run:
        print(
            f"first {count(options.tune, 'trial')} for each of "
            f"{count(len(compared), 'sampler')}; the runs below then take the tuned "
            "settings, and names that show them"
        )
        return list(points), []
    # Optuna takes a second to import and is needed only here.
    from recns_tf.experiments import tuning

    studies = {}
    for point in compared:
        base = dataclasses.replace(point.cells[0].config, seed=0)
        plain, tag = plans.base_of(base.dataset, base.encoder, files)
        study = tuning.create_study(base, plain, given, tag)
        studies[point.panel, point.encoder, point.value] = study
    failures = tuning.tune(list(studies.values()), options.tune, options, folder)
    tuning.write_tables(list(studies.values()), folder)
    found = []
    for point in points:
        key = (point.panel, point.encoder, point.value)
        if key in studies:
            study = studies[key]
            epochs = options.final_epochs or study.base.epochs
            config = dataclasses.replace(study.base, **tuning.best_settings(study), epochs=epochs)
            point = point._replace(
                cells=make_cells(config, options.seed_numbers, study.plain, study.tag)
            )
        found.append(point)
    # The best trial of a sampler is its run of seed 0, unless --final_epochs differs.
    cells = [cell for point in found for cell in point.cells]
    copied = copy_finished(cells, folder / tuning.TRIALS, Path(options.runs_dir))
    if copied:
        print(f"{count(copied, 'run')} copied from the trials, which need no training")
    return found, failures


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET EXPERIMENT…",
    example="ml-100k table2",
    settings=(Config, ReproduceSettings),
    run=main,
    interrupted="the same command continues from here",
)
