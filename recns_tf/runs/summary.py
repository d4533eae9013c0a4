"""A table of finished runs: mean ± standard deviation over seeds.

Runs that differ only in their seed are averaged, one table row per group.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recns_tf.config.config import complete
from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import METRICS
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.markdown import table


def summarize(paths: Sequence[Path]) -> str:
    """Return a Markdown table of finished runs.

    Args:
        paths: run folders. Unfinished or damaged runs are skipped, with a message on stderr.

    Raises:
        UserError: none of them is a finished run.
    """
    groups: dict[str, dict[int, dict[str, Any]]] = {}
    for path in paths:
        try:
            results = RunFolder(path).read_results()
        except UserError as error:
            print(f"{error} Skipped.", file=sys.stderr)
            continue
        if results is None:
            print(f"{path} is not a finished run: skipped.", file=sys.stderr)
            continue
        settings = grouping(results["config"], results["data"]["checksum"])
        group = groups.setdefault(json.dumps(settings, sort_keys=True), {})
        if results["seed"] in group:
            print(f"{path} repeats a seed of the same settings: skipped.", file=sys.stderr)
        group.setdefault(results["seed"], results)
    if not groups:
        raise UserError("no finished run to summarize: name folders such as runs/NAME.")
    shown = different([json.loads(settings) for settings in groups])
    head = ["dataset", "encoder", "sampler", "settings", "seeds"]
    head += [f"test {label}" for label in METRICS.values()]
    head += ["best epoch", "s per epoch", "false negatives"]
    return "\n".join(table(head, [row(list(runs.values()), shown) for runs in groups.values()]))


def grouping(config: Mapping[str, Any], checksum: str | None) -> dict[str, Any]:
    """Return the settings that runs must share to be averaged: all but the seed.

    Settings that the run's version did not have take their defaults.

    Args:
        config: settings of a run.
        checksum: checksum of the run's dataset; becomes the setting "data".
    """
    return complete(config) | {"seed": None, "data": checksum}


def different(settings: list[dict[str, Any]]) -> list[str]:
    """Return the names of the settings in which groups of one dataset and encoder differ.

    Settings with a column of their own are not included.
    """
    values: dict[tuple[str, ...], set[str]] = {}
    for each in settings:
        for name in each.keys() - {"dataset", "encoder", "sampler", "data"}:
            key = (name, each["dataset"], each["encoder"])
            values.setdefault(key, set()).add(str(each[name]))
    varied = {name for (name, *_), found in values.items() if len(found) > 1}
    return [name for name in dict.fromkeys(itertools.chain(*settings)) if name in varied]


def row(runs: list[dict[str, Any]], shown: list[str]) -> list[str]:
    """Return the table row of runs that differ only in their seed.

    Args:
        runs: their results.
        shown: names of the settings to show.
    """
    first = runs[0]
    # Closed-form baselines (epochs_run 0) have only their own settings.
    known = first["config"] if first.get("epochs_run") == 0 else complete(first["config"])
    settings = ", ".join(f"{name} {known[name]}" for name in shown if name in known)
    cells = [first["dataset"], first["encoder"], first["sampler"], settings, str(len(runs))]
    cells += [mean_and_deviation([run["test"][name] for run in runs]) for name in METRICS]
    # Closed-form baselines have no epochs.
    epochs = [run["best_epoch"] for run in runs if run["best_epoch"] is not None]
    seconds = [run["seconds_per_epoch"] for run in runs if run["seconds_per_epoch"] is not None]
    cells.append(str(round(statistics.mean(epochs))) if epochs else "")
    cells.append(f"{statistics.median(seconds):.2f}" if seconds else "")
    shares = [run["negatives"]["false_negatives"] for run in runs if "negatives" in run]
    cells.append(f"{statistics.mean(shares):.2%}" if shares else "")
    return cells


def mean_and_deviation(values: list[float]) -> str:
    """Return "mean ± sample standard deviation", or the value alone if there is only one."""
    mean = f"{statistics.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.4f}"
