"""Tune every sampler with the same number of trials on validation (--tune=N).

The first trials are the points of `design`, where all samplers share what they can; then Optuna's
TPE goes on from them. A trial is an ordinary run under FOLDER/trials. A proposal depends only on
its number and on the earlier trials. A repeated sweep makes the same proposals and finds their runs
finished, so that run folders are the only storage that resuming needs. The order in which parallel
runs end has no effect.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.evaluation.display import label
from recns_tf.experiments import design, tables
from recns_tf.experiments.cells import Cell, name_of, results_of
from recns_tf.experiments.options import SweepSettings
from recns_tf.experiments.results import write_csv
from recns_tf.experiments.sweep import Command, Failure, sweep, train_command
from recns_tf.utils.files import write_text
from recns_tf.utils.markdown import table
from recns_tf.utils.together import written_together

DIGITS = 2
TRIALS = "trials"
"""The folder of the trials' runs, in that of the sweep."""

SAMPLER_SPACES: dict[str, dict[str, BaseDistribution]] = {
    "recns": {"num_candidates": CategoricalDistribution((5, 10, 20, 30, 50))},
    "recns-o": {"num_candidates": CategoricalDistribution((5, 10, 20, 30, 50))},
    "dns": {"num_candidates": CategoricalDistribution((5, 10, 20, 30, 50))},
    "dns-mn": {"num_candidates": CategoricalDistribution((5, 10, 20, 30, 50))},
    "ahns": {"ahns_beta": CategoricalDistribution((0.05, 0.1, 0.2, 0.5, 1.0))},
    "bns": {"bns_weight": CategoricalDistribution((0.5, 1.0, 5.0, 10.0))},
    "inbatch": {"inbatch_hits": CategoricalDistribution(("mask", "keep"))},
    "ppr-hard": {"ppr_first": CategoricalDistribution((250, 500, 1_000, 2_000))},
    "mixgcf": {"num_candidates": CategoricalDistribution((5, 10, 20, 30, 50))},
    "dens": {"dens_weight": CategoricalDistribution((0.1, 0.3, 0.5, 1.0))},
    "popns": {"popularity_power": CategoricalDistribution((0.25, 0.5, 0.75, 1.0))},
    "simns": {"simns_pool": CategoricalDistribution((500, 1_000, 2_000, 4_000))},
    "advns": {"generator_temperature": CategoricalDistribution((0.25, 0.5, 1.0, 2.0, 4.0))},
    "mcns": {"mcns_mix": CategoricalDistribution((0.1, 0.25, 0.5, 0.75, 1.0))},
    "srns": {
        "srns_weight": CategoricalDistribution((0.5, 1.0, 5.0, 10.0)),
        "srns_temperature": CategoricalDistribution((0.1, 1.0, 10.0)),
    },
    "mixedns": {"exposed_share": CategoricalDistribution((0.1, 0.25, 0.5, 0.75))},
    "rns-as": {"rnsas_weight": CategoricalDistribution((0.5, 1.0, 2.5, 5.0))},
}
"""The flags of each sampler that are tuned; samplers not listed have none."""


class Study(NamedTuple):
    """The trials of one encoder and sampler.

    Attributes:
        base: the settings of the first trial, where they are in the search space.
        plain: the settings that run names are relative to.
        tag: the part of run names that stands for `plain`.
        space: the tuned settings and their values.
        trials: the Optuna study.
    """

    base: Config
    plain: Config
    tag: str
    space: dict[str, BaseDistribution]
    trials: optuna.Study


def space_of(base: Config, given: Iterable[str]) -> dict[str, BaseDistribution]:
    """Return the search space: learning rate, L2 coefficient, and the flags of the sampler.

    Args:
        base: the settings to start from; the learning rate ranges from a tenth to ten times theirs.
        given: names of settings that the command line fixes, which are not tuned.
    """
    rate = base.learning_rate
    space = {
        "learning_rate": FloatDistribution(rate / 10, rate * 10, log=True),
        # The range of §5.1.
        "l2": FloatDistribution(1e-6, 1e-1, log=True),
        **SAMPLER_SPACES.get(base.sampler, {}),
    }
    return {name: values for name, values in space.items() if name not in given}


def create_study(base: Config, plain: Config, given: Iterable[str], tag: str = "") -> Study:
    """Return a study without trials.

    Args:
        base: see `Study`.
        plain: the settings that run names are relative to.
        given: names of settings that the command line fixes.
        tag: the part of run names that stands for `plain`.

    Raises:
        UserError: no setting is left to tune.
    """
    space = space_of(base, given)
    if not space:
        raise UserError("--tune: the command line fixes every setting that could be tuned.")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    return Study(base, plain, tag, space, study)


def design_point(study: Study, number: int) -> dict[str, Any]:
    """Return the settings of a trial of the design, a number below design.SIZE.

    Trial 0 has the settings of `base`. Those outside the search space are replaced by the middle of
    their range, each for itself, so that the others stay equal between samplers.
    """
    if number:
        units = design.point(number, list(study.space))
        return {name: value_at(values, units[name]) for name, values in study.space.items()}
    start = {name: getattr(study.base, name) for name in study.space}
    return {
        name: start[name] if contains(values, start[name]) else value_at(values, 0.5)
        for name, values in study.space.items()
    }


def contains(values: BaseDistribution, value: Any) -> bool:
    """Return whether a value is in a distribution of the search space."""
    if isinstance(values, FloatDistribution):
        return values.low <= value <= values.high
    assert isinstance(values, CategoricalDistribution)
    return value in values.choices


def value_at(values: BaseDistribution, unit: float) -> Any:
    """Return the value at a place in the unit interval: by logarithm, or one of equal parts."""
    if isinstance(values, FloatDistribution):
        return values.low * (values.high / values.low) ** unit
    assert isinstance(values, CategoricalDistribution)
    return values.choices[int(unit * len(values.choices))]


def propose(study: Study) -> tuple[optuna.Trial, Cell]:
    """Return the next trial of a study, and its run."""
    number = len(study.trials.trials)
    key = f"{study.base.dataset} {study.base.encoder} {study.base.sampler} {number}"
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    # The design takes the place of TPE's random start, even if some of its runs failed.
    study.trials.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0)
    if number < design.SIZE:
        study.trials.enqueue_trial(design_point(study, number))
    trial = study.trials.ask(study.space)
    values = {name: round_value(value) for name, value in trial.params.items()}
    config = dataclasses.replace(study.base, **values)
    return trial, Cell(name_of(config, study.plain, study.tag), config)


def round_value(value: Any) -> Any:
    """Return a float rounded to two significant digits; other values unchanged."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def tune(
    studies: Sequence[Study],
    number: int,
    options: SweepSettings,
    folder: Path,
    command: Command = train_command,
) -> list[Failure]:
    """Run `number` trials of each study: those of the design at once, then one per study at a time.

    Args:
        studies: new studies, to which the trials are added.
        number: number of trials per study.
        options: the flags of the sweep.
        folder: the folder of the sweep.
        command: returns the command line of a run.

    Returns:
        The runs that failed.

    Raises:
        UserError: the dataset has no validation positives, or a folder holds another run.
    """
    if not datasets.load(studies[0].base, options.data_dir).valid.nnz:
        raise UserError("--tune: the dataset has no validation positives to tune on.")
    workspace = dataclasses.replace(options.workspace, runs_dir=str(folder / TRIALS))
    failures: list[Failure] = []
    for numbers in rounds(number):
        print(f"{trials_text(numbers)} of {number} of each sampler", flush=True)
        proposed = [(study, *propose(study)) for _ in numbers for study in studies]
        cells = [cell for _, _, cell in proposed]
        failures += sweep(cells, workspace, folder, options.jobs, command)
        for study, trial, cell in proposed:
            results = results_of(cell, Path(workspace.runs_dir))
            trial.set_user_attr("folder", cell.name)
            if results is None:
                study.trials.tell(trial, state=TrialState.FAIL)
                continue
            study.trials.tell(trial, results["valid"][study.base.selection_metric])
    return failures


def rounds(number: int) -> list[range]:
    """Return the trials to run at once: those of the design need no results of one another.

    Example:
        >>> rounds(14)
        [range(0, 12), range(12, 13), range(13, 14)]
    """
    first = min(number, design.SIZE)
    return [range(first), *(range(each, each + 1) for each in range(first, number))]


def trials_text(numbers: range) -> str:
    """Return the numbers of trials, counted from 1, as text."""
    if len(numbers) == 1:
        return f"trial {numbers.stop}"
    return f"trials {numbers.start + 1} to {numbers.stop}"


def best_settings(study: Study) -> dict[str, Any]:
    """Return the tuned settings of the best trial, or {} if no trial was completed."""
    if not study.trials.get_trials(states=(TrialState.COMPLETE,)):
        return {}
    return {name: round_value(value) for name, value in study.trials.best_params.items()}


def format_values(values: BaseDistribution) -> str:
    """Return the values of a setting as text."""
    if isinstance(values, FloatDistribution):
        return f"{values.low:g} … {values.high:g}, log scale"
    assert isinstance(values, CategoricalDistribution)
    return ", ".join(str(value) for value in values.choices)


def write_tables(studies: Sequence[Study], folder: Path) -> None:
    """Write tuning.md, with search spaces and best settings, and tuning.csv, with every trial."""
    rows, trials = [], []
    for study in studies:
        config, chosen = study.base, best_settings(study)
        done = study.trials.get_trials(states=(TrialState.COMPLETE,))
        rows.append(
            [
                config.encoder,
                config.sampler,
                "; ".join(
                    f"{name}: {format_values(values)}" for name, values in study.space.items()
                ),
                design.search_method(len(study.trials.trials)),
                str(len(done)),
                f"{100 * study.trials.best_value:.2f}" if done else tables.MISSING,
                ", ".join(f"{name} {value}" for name, value in chosen.items()),
            ]
        )
        trials += [trial_row(config, trial) for trial in study.trials.trials]
    metrics = dict.fromkeys(study.base.selection_metric for study in studies)
    best = f"best validation {' or '.join(map(label, metrics))}, %"
    head = ["encoder", "sampler", "space", "search", "trials", best, "settings"]
    columns = ("encoder", "sampler", "trial", "folder", "state", *metrics, "settings")
    with written_together(folder, last="tuning.md") as new:
        write_csv(new / "tuning.csv", columns, trials)
        write_text(new / "tuning.md", "\n".join(table(head, rows)) + "\n")


def trial_row(config: Config, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Return the row of a trial in tuning.csv."""
    values: Mapping[str, Any] = {name: round_value(value) for name, value in trial.params.items()}
    return {
        "encoder": config.encoder,
        "sampler": config.sampler,
        "trial": trial.number,
        "folder": f"{TRIALS}/{trial.user_attrs.get('folder', '')}",
        "state": trial.state.name.lower(),
        config.selection_metric: trial.value if trial.value is not None else "",
        "settings": "; ".join(f"{name}={value}" for name, value in values.items()),
    }
