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
from recns_tf.evaluation.display import format_metric, label, main_metrics, recorded_metrics
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.markdown import table


def summarize(paths: Sequence[Path], metrics: str = "") -> str:
    """Return a Markdown table of finished runs.

    Args:
        paths: run folders. Unfinished or damaged runs are skipped, with a message on stderr.
        metrics: test metrics to show, separated by commas; empty for Recall, NDCG and HR at the
            largest K of each run.

    Raises:
        UserError: none of them is a finished run, or none has recorded one of the metrics.
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
    tests = [run["test"] for runs in groups.values() for run in runs.values()]
    names = choose_metrics(metrics, tests)
    head += [f"test {label(name)}" for name in names]
    head += ["best epoch", "s per epoch", "false negatives"]
    rows = [row(list(runs.values()), shown, names) for runs in groups.values()]
    return "\n".join(table(head, rows))


def choose_metrics(metrics: str, parts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the metrics to show.

    Args:
        metrics: names separated by commas; empty for the main ones.
        parts: the test metrics of each run.

    Raises:
        UserError: no run has recorded a metric.
    """
    if not metrics:
        return main_metrics(parts)
    recorded = recorded_metrics(parts)
    names = list(dict.fromkeys(name.strip().lower() for name in metrics.split(",")))
    for name in names:
        if name not in recorded:
            raise UserError(
                f"--metrics: '{name}' is not recorded: choose some of {', '.join(recorded)}."
            )
    return names


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


def row(runs: list[dict[str, Any]], shown: list[str], metrics: Sequence[str]) -> list[str]:
    """Return the table row of runs that differ only in their seed.

    Args:
        runs: their results.
        shown: names of the settings to show.
        metrics: names of the test metrics to show.
    """
    first = runs[0]
    # Closed-form baselines (epochs_run 0) have only their own settings.
    known = first["config"] if first.get("epochs_run") == 0 else complete(first["config"])
    settings = ", ".join(f"{name} {known[name]}" for name in shown if name in known)
    cells = [first["dataset"], first["encoder"], first["sampler"], settings, str(len(runs))]
    for name in metrics:
        values = [run["test"][name] for run in runs if name in run["test"]]
        cells.append(metric_cell(name, values, len(runs)))
    # Closed-form baselines have no epochs.
    epochs = [run["best_epoch"] for run in runs if run["best_epoch"] is not None]
    seconds = [run["seconds_per_epoch"] for run in runs if run["seconds_per_epoch"] is not None]
    cells.append(str(round(statistics.mean(epochs))) if epochs else "")
    cells.append(f"{statistics.median(seconds):.2f}" if seconds else "")
    shares = [run["negatives"]["false_negatives"] for run in runs if "negatives" in run]
    cells.append(f"{statistics.mean(shares):.2%}" if shares else "")
    return cells


def metric_cell(name: str, values: list[float], runs: int) -> str:
    """Return the mean and deviation of a metric; empty without values.

    Args:
        name: name of the metric.
        values: its values in the runs that have recorded it.
        runs: number of all runs; the cell says so if some have not recorded it.
    """
    if not values:
        return ""
    lacking = f" ({len(values)} of {runs} runs)" if len(values) < runs else ""
    return mean_and_deviation(values, name) + lacking


def mean_and_deviation(values: list[float], name: str = "") -> str:
    """Return "mean ± sample standard deviation", or the value alone if there is only one.

    Args:
        values: at least one.
        name: the metric that they are values of, which determines the number of decimals.
    """
    mean = format_metric(name, statistics.mean(values))
    if len(values) == 1:
        return mean
    return f"{mean} ± {format_metric(name, statistics.stdev(values))}"
