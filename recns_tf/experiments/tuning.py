"""The same number of trials for every sampler, on validation (--tune=N).

Optuna's TPE proposes; a trial is an ordinary run under FOLDER/trials. Each proposal follows from
the trials before it alone, its generator being seeded by its number: a sweep that was killed
proposes the same again and finds those runs finished. The run folders are thus all the storage
that resuming needs, and the order in which runs side by side end changes nothing.
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
from recns_tf.evaluation.metrics import METRIC
from recns_tf.experiments import tables
from recns_tf.experiments.cells import Cell, name_of, results_of
from recns_tf.experiments.options import SweepSettings
from recns_tf.experiments.results import write_csv
from recns_tf.experiments.sweep import Command, Failure, sweep, train_command
from recns_tf.utils.files import write_text
from recns_tf.utils.markdown import table

DIGITS = 2

OWN: dict[str, dict[str, BaseDistribution]] = {
    "recns": {"num_candidates": CategoricalDistribution((5, 10, 20, 30, 50))},
    "recns-o": {"num_candidates": CategoricalDistribution((5, 10, 20, 30, 50))},
    "dns": {"num_candidates": CategoricalDistribution((5, 10, 20, 30, 50))},
    "popns": {"popularity_power": CategoricalDistribution((0.25, 0.5, 0.75, 1.0))},
    "simns": {"simns_pool": CategoricalDistribution((500, 1_000, 2_000, 4_000))},
    "advns": {"generator_temperature": CategoricalDistribution((0.25, 0.5, 1.0, 2.0, 4.0))},
    "mcns": {"mcns_mix": CategoricalDistribution((0.1, 0.25, 0.5, 0.75, 1.0))},
    "srns": {"srns_weight": CategoricalDistribution((0.5, 1.0, 5.0, 10.0))},
    "mixedns": {"exposed_share": CategoricalDistribution((0.1, 0.25, 0.5, 0.75))},
    "rns-as": {"rnsas_weight": CategoricalDistribution((0.5, 1.0, 2.5, 5.0))},
}
"""The one flag of its own that a sampler is tuned by; the others have none."""


class Study(NamedTuple):
    """The trials of one encoder and sampler.

    Attributes:
        base: the settings it starts from, which are its first trial.
        plain: those that its runs' names are relative to.
        tag: what their names have for those.
        space: what is tuned, and its values.
        trials: Optuna's memory of them.
    """

    base: Config
    plain: Config
    tag: str
    space: dict[str, BaseDistribution]
    trials: optuna.Study


def space_of(base: Config, given: Iterable[str]) -> dict[str, BaseDistribution]:
    """Return what is tuned: step size, L2 coefficient, at most one flag of the sampler's own.

    Args:
        base: the settings to start from; the step size is at most ten times theirs or a tenth.
        given: settings that the command line fixes.
    """
    rate = base.learning_rate
    space = {
        "learning_rate": FloatDistribution(rate / 10, rate * 10, log=True),
        # The range of §5.1.
        "l2": FloatDistribution(1e-6, 1e-1, log=True),
        **OWN.get(base.sampler, {}),
    }
    return {name: values for name, values in space.items() if name not in given}


def begin(base: Config, plain: Config, given: Iterable[str], tag: str = "") -> Study:
    """Return a study without trials."""
    space = space_of(base, given)
    if not space:
        raise UserError("--tune: the command line fixes all that could be tuned.")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    start = {name: getattr(base, name) for name in space}
    if all(holds(values, start[name]) for name, values in space.items()):
        study.enqueue_trial(start)
    return Study(base, plain, tag, space, study)


def holds(values: BaseDistribution, value: Any) -> bool:
    """Return whether a value is among those that are tried."""
    if isinstance(values, FloatDistribution):
        return values.low <= value <= values.high
    assert isinstance(values, CategoricalDistribution)
    return value in values.choices


def propose(study: Study) -> tuple[optuna.Trial, Cell]:
    """Return the next trial of a study and its run."""
    number = len(study.trials.get_trials(states=(TrialState.COMPLETE, TrialState.FAIL)))
    key = f"{study.base.dataset} {study.base.encoder} {study.base.sampler} {number}"
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    study.trials.sampler = optuna.samplers.TPESampler(seed=seed)
    trial = study.trials.ask(study.space)
    values = {name: rounded(value) for name, value in trial.params.items()}
    config = dataclasses.replace(study.base, **values)
    return trial, Cell(name_of(config, study.plain, study.tag), config)


def rounded(value: Any) -> Any:
    """Return a number that people can read, which changes nothing that matters."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def tune(
    studies: Sequence[Study],
    number: int,
    asked: SweepSettings,
    folder: Path,
    command: Command = train_command,
) -> list[Failure]:
    """Run `number` trials of each study, a trial of each at a time.

    Args:
        studies: as `begin` returns them; they hold their trials afterwards.
        number: of trials.
        asked: the flags of the sweep.
        folder: of the sweep.
        command: of a run.

    Returns:
        The runs that failed.

    Raises:
        UserError: the dataset has no validation positives, or a folder is of another run.
    """
    if not datasets.load(studies[0].base, asked.data_dir).valid.nnz:
        raise UserError("--tune: the dataset has no validation positives to tune on.")
    place = dataclasses.replace(asked.workspace, runs_dir=str(folder / "trials"))
    failures: list[Failure] = []
    for each in range(number):
        print(f"trial {each + 1} of {number} of each sampler", flush=True)
        proposed = [(study, *propose(study)) for study in studies]
        cells = [cell for _, _, cell in proposed]
        failures += sweep(cells, place, folder, asked.jobs, command)
        for study, trial, cell in proposed:
            results = results_of(cell, Path(place.runs_dir))
            trial.set_user_attr("folder", cell.name)
            if results is None:
                study.trials.tell(trial, state=TrialState.FAIL)
                continue
            study.trials.tell(trial, results["valid"][METRIC])
    return failures


def best(study: Study) -> dict[str, Any]:
    """Return the settings of the best trial, those of the base if none came to an end."""
    if not study.trials.get_trials(states=(TrialState.COMPLETE,)):
        return {}
    return {name: rounded(value) for name, value in study.trials.best_params.items()}


def format_values(values: BaseDistribution) -> str:
    """Return the values of a setting in words."""
    if isinstance(values, FloatDistribution):
        return f"{values.low:g} … {values.high:g}, by its logarithm"
    assert isinstance(values, CategoricalDistribution)
    return ", ".join(str(value) for value in values.choices)


def write(studies: Sequence[Study], folder: Path) -> None:
    """Write tuning.md, the spaces and what was best, and tuning.csv, every trial."""
    rows, trials = [], []
    for study in studies:
        config, chosen = study.base, best(study)
        done = study.trials.get_trials(states=(TrialState.COMPLETE,))
        rows.append(
            [
                config.encoder,
                config.sampler,
                "; ".join(
                    f"{name}: {format_values(values)}" for name, values in study.space.items()
                ),
                str(len(done)),
                f"{100 * study.trials.best_value:.2f}" if done else tables.MISSING,
                ", ".join(f"{name} {value}" for name, value in chosen.items()),
            ]
        )
        trials += [trial_row(config, trial) for trial in study.trials.trials]
    head = ["encoder", "sampler", "space", "trials", "best validation Recall@20, %", "its settings"]
    write_text(folder / "tuning.md", "\n".join(table(head, rows)) + "\n")
    columns = ("encoder", "sampler", "trial", "folder", "state", METRIC, "settings")
    write_csv(folder / "tuning.csv", columns, trials)


def trial_row(config: Config, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Return a trial's row of tuning.csv."""
    values: Mapping[str, Any] = {name: rounded(value) for name, value in trial.params.items()}
    return {
        "encoder": config.encoder,
        "sampler": config.sampler,
        "trial": trial.number,
        "folder": f"trials/{trial.user_attrs.get('folder', '')}",
        "state": trial.state.name.lower(),
        METRIC: trial.value if trial.value is not None else "",
        "settings": "; ".join(f"{name}={value}" for name, value in values.items()),
    }
