"""Fit a baseline, select its hyperparameters on validation, and test it once.

The grid point with the highest validation metric, that of --select_by, is selected. As with a
trained model, fitting uses train only, and the test masks train and valid. The run folder holds
config.json, results.json and lists/test.npy; see runs/files.py.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf import registry
from recns_tf.baselines.base import Fit
from recns_tf.baselines.score_rows import evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Config, Workspace, complete
from recns_tf.errors import UserError
from recns_tf.evaluation.display import label, metric_lines, part_columns
from recns_tf.evaluation.part_metrics import UNKNOWN, caveats, saturation_sentences
from recns_tf.interactions import Interactions
from recns_tf.runs.data import NAMES, data_settings
from recns_tf.runs.files import LISTS
from recns_tf.runs.folder import RunFolder
from recns_tf.runs.provenance import git_commit, versions

EVALUATION = ("topk", "select_by")
"""The settings of metrics and selection, which a run records besides those of its dataset."""


def with_defaults(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a run recorded, with those that its version did not have."""
    known = complete(recorded)
    grids = BaselineSettings().of(str(recorded.get("encoder", "")))
    return {name: known[name] for name in (*NAMES, *EVALUATION)} | grids | dict(recorded)


def fit_and_evaluate(
    name: str,
    config: Config,
    settings: BaselineSettings,
    workspace: Workspace,
    interactions: Interactions,
) -> dict[str, Any]:
    """Select hyperparameters, test once, and write the run folder.

    A finished run of the same name and settings is shown again, not repeated.

    Args:
        name: name of the baseline.
        config: the settings of dataset, metrics and selection, recorded in the run folder.
        settings: the grids of hyperparameters.
        workspace: where to write.
        interactions: the dataset.

    Returns:
        The content of results.json.

    Raises:
        UserError: the baseline is unknown or too large, there is no validation set to select on,
            or the folder holds another run. An earlier run is left unchanged.
    """
    entry = registry.find(registry.BASELINE_MODELS, "baseline", name)
    folder_name = f"{config.dataset}-{name}".replace(registry.OWN, ".")
    folder = RunFolder(Path(workspace.runs_dir) / (workspace.run_name or folder_name))
    recorded = data_settings(config) | {"encoder": name, "sampler": "none"}
    recorded |= {key: getattr(config, key) for key in EVALUATION}
    recorded |= settings.of(name)
    checksum = {"data_checksum": interactions.checksum}
    fits = entry.load()(interactions.train, settings)
    with folder.claim(recorded | checksum, workspace.overwrite, with_defaults):
        results = folder.read_results()
        if results is None:
            for sentence in caveats(interactions, config.ks, meaning=UNKNOWN):
                print(sentence)
            results = select_and_test(fits, interactions, folder, recorded, config)
        else:
            print(f"{folder.path} is finished; --overwrite would run it again.")
    print(table(results, folder))
    return results


def select_and_test(
    fits: Iterator[Fit],
    interactions: Interactions,
    folder: RunFolder,
    recorded: dict[str, Any],
    config: Config,
) -> dict[str, Any]:
    """Select a fit on validation, test it, and write and return the results."""
    started = time.perf_counter()
    best, tried = select(fits, interactions, config)
    seconds = time.perf_counter() - started
    test, lists = evaluate_part(best, interactions, "test", config.ks)
    folder.begin()
    with folder.manifest.replacing(folder.lists) as temporary:
        np.save(temporary, lists, allow_pickle=False)
    chosen = next(row for row in tried if row["settings"] == best.settings)
    results = {
        "dataset": recorded["dataset"],
        "encoder": recorded["encoder"],
        "sampler": recorded["sampler"],
        "seed": 0,
        "best_epoch": None,
        "epochs_run": 0,
        "valid": chosen["valid"],
        "test": test,
        "paper": None,
        "seconds_per_epoch": None,
        "fitting_seconds": round(seconds, 3),
        "chosen": best.settings,
        "tried": tried,
        "config": recorded,
        "data": {"checksum": interactions.checksum, "source": interactions.source},
        "versions": versions(),
        "git_commit": git_commit(),
    }
    folder.write_results(results)
    return results


def refit(results: Mapping[str, Any], train: csr_array) -> Fit:
    """Return the fit that a finished run chose.

    Args:
        results: the content of its results.json.
        train: boolean CSR array [U, I], the train positives.

    Raises:
        UserError: it is no baseline of this package, or it is too large.
    """
    entry = registry.BASELINE_MODELS.get(results["encoder"])
    if entry is None or not isinstance(results.get("chosen"), dict):
        raise UserError(f"'{results['encoder']}' is not a baseline of this program.")
    names = {field.name for field in dataclasses.fields(BaselineSettings)}
    settings = {name: value for name, value in results["config"].items() if name in names}
    chosen = {name: str(value) for name, value in results["chosen"].items()}
    fits = entry.load()(train, BaselineSettings(**settings | chosen))
    return next(iter(fits))


def evaluate_part(
    fit: Fit, interactions: Interactions, part: str, ks: Sequence[int]
) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """Return the metrics and the lists of a fit on "valid" or "test"."""
    held_out, seen = getattr(interactions, part), interactions.seen(part)
    return evaluate(fit.scores, held_out, seen, ks, train=interactions.train)


def select(
    fits: Iterator[Fit], interactions: Interactions, config: Config
) -> tuple[Fit, list[dict[str, Any]]]:
    """Return the fit with the highest validation metric; the first one wins ties.

    Returns:
        The best fit; and for each fit tried a dict of "settings" and "valid", its validation
        metrics, or None without a validation set.

    Raises:
        UserError: there are several fits, but no validation positives.
    """
    metric = config.selection_metric
    best, best_value = None, -1.0
    tried: list[dict[str, Any]] = []
    validated = bool(interactions.valid.nnz)
    for fit in fits:
        if tried and not validated:
            raise UserError(
                f"{interactions.name} has no validation positives to choose "
                f"{', '.join(fit.settings)} by: give a single number for each."
            )
        valid = None
        if validated:
            valid, _ = evaluate_part(fit, interactions, "valid", config.ks)
        tried.append({"settings": fit.settings, "valid": valid})
        value = valid[metric] if valid else 0.0
        if fit.settings:
            text = f"valid {label(metric)} {value:.4f}" if valid else "no validation positives"
            print(f"{format_settings(fit.settings)}: {text}", file=sys.stderr)
        if value > best_value:
            best, best_value = fit, value
    assert best is not None, "a baseline has at least one fit"
    return best, tried


def format_settings(settings: dict[str, float]) -> str:
    """Return hyperparameters as text."""
    return ", ".join(f"{name} {value:g}" for name, value in settings.items())


def table(results: dict[str, Any], folder: RunFolder) -> str:
    """Return the closing table as text."""
    chosen = format_settings(results["chosen"])
    count = len(results["tried"])
    lines = [
        "",
        f"{results['dataset']} {results['encoder']}" + (f": {chosen} chosen" if chosen else ""),
        *metric_lines(part_columns(results)),
        *saturation_sentences(results["test"]),
        f"{results['fitting_seconds']:.1f} s for {count} fit{'s' if count > 1 else ''}",
        f"{folder.path}/: results.json config.json {LISTS}",
    ]
    return "\n".join(lines)
