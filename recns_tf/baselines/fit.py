"""Fit a baseline, choose its hyperparameters on validation, and test it once.

Hyperparameters are chosen by validation Recall@20 from a grid. As with a trained model, fitting
sees train alone, and the test masks train and valid. The run folder has what that of a trained
model has, less what only training makes, and the test lists, lists/test.npy.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recns_tf import registry
from recns_tf.baselines.base import Fit
from recns_tf.baselines.score_rows import evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import METRIC, metric_lines
from recns_tf.interactions import Interactions
from recns_tf.runs.data import data_settings
from recns_tf.runs.folder import LISTS, RunFolder
from recns_tf.runs.provenance import git_commit, versions
from recns_tf.utils.files import atomic, write_json


def fit_and_evaluate(
    name: str,
    config: Config,
    settings: BaselineSettings,
    workspace: Workspace,
    interactions: Interactions,
) -> dict[str, Any]:
    """Choose hyperparameters, test once, and leave the run's folder behind.

    A finished run of the same name and settings is shown again.

    Args:
        name: of the baseline.
        config: its settings of the data are recorded.
        settings: the grids.
        workspace: where to write.
        interactions: the dataset.

    Returns:
        The content of results.json.

    Raises:
        UserError: as told in its sentence; nothing of an earlier run is lost.
    """
    entry = registry.find(registry.BASELINE_MODELS, "baseline", name)
    folder_name = f"{config.dataset}-{name}".replace(registry.OWN, ".")
    folder = RunFolder(Path(workspace.runs_dir) / (workspace.run_name or folder_name))
    recorded = data_settings(config) | {"encoder": name, "sampler": "none"}
    recorded |= settings.of(name)
    checksum = {"data_checksum": interactions.checksum}
    fits = entry.load()(interactions.train, settings)
    with folder.claim(recorded | checksum, workspace.overwrite):
        results = folder.read_results()
        if results is None:
            results = run(fits, interactions, folder, recorded)
        else:
            print(f"{folder.path} is finished; --overwrite would run it again.")
    print(table(results, folder))
    return results


def run(
    fits: Iterator[Fit], interactions: Interactions, folder: RunFolder, recorded: dict[str, Any]
) -> dict[str, Any]:
    """Choose a fit on the validation set, test it, and write and return the results."""
    started = time.perf_counter()
    best, tried = choose(fits, interactions)
    seconds = time.perf_counter() - started
    test, lists = evaluate(best.scores, interactions.test, interactions.seen("test"))
    with atomic(folder.path / LISTS) as temporary:
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
    write_json(folder.results, results)
    return results


def choose(fits: Iterator[Fit], interactions: Interactions) -> tuple[Fit, list[dict[str, Any]]]:
    """Return the fit with the highest validation Recall@20, the first of equals, and all tried.

    Returns:
        The fit; and an object of "settings" and "valid" each, None without a validation set.

    Raises:
        UserError: there is a choice and no validation set to make it.
    """
    best, best_recall = None, -1.0
    tried: list[dict[str, Any]] = []
    validated = bool(interactions.valid.nnz)
    for fit in fits:
        if tried and not validated:
            raise UserError(
                f"{interactions.name} has no validation positives to choose "
                f"{', '.join(fit.settings)} by: give one number each."
            )
        valid = None
        if validated:
            valid, _ = evaluate(fit.scores, interactions.valid, interactions.seen("valid"))
        tried.append({"settings": fit.settings, "valid": valid})
        recall = valid[METRIC] if valid else 0.0
        if fit.settings:
            text = f"valid Recall@20 {recall:.4f}" if valid else "no validation positives"
            print(f"{format_settings(fit.settings)}: {text}", file=sys.stderr)
        if recall > best_recall:
            best, best_recall = fit, recall
    assert best is not None, "a baseline has at least one fit"
    return best, tried


def format_settings(settings: dict[str, float]) -> str:
    """Return hyperparameters for the screen."""
    return ", ".join(f"{name} {value:g}" for name, value in settings.items())


def table(results: dict[str, Any], folder: RunFolder) -> str:
    """Return the closing table for the screen."""
    chosen = format_settings(results["chosen"])
    lines = [
        "",
        f"{results['dataset']} {results['encoder']}" + (f": {chosen} chosen" if chosen else ""),
        *metric_lines({part: results[part] for part in ("valid", "test")}),
        f"{results['fitting_seconds']:.1f} s for {len(results['tried'])} fits",
        f"{folder.path}/: results.json config.json {LISTS}",
    ]
    return "\n".join(lines)
