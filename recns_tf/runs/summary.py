"""A table over finished runs: mean ± standard deviation over their seeds.

Usage: ./run.sh summary RUN…, where RUN is a folder under runs/. Runs of the same dataset,
encoder and sampler that differ in no setting but the seed make one line.
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
    """Return the table of the finished runs among `paths`, as Markdown.

    Raises:
        UserError: none of them is a finished run.
    """
    groups: dict[str, dict[int, dict[str, Any]]] = {}
    for path in paths:
        try:
            results = RunFolder(path).read_results()
        except UserError as error:
            print(f"{error} Left out.", file=sys.stderr)
            continue
        if results is None:
            print(f"{path} is no finished run: left out.", file=sys.stderr)
            continue
        settings = grouping(results["config"], results["data"]["checksum"])
        group = groups.setdefault(json.dumps(settings, sort_keys=True), {})
        if results["seed"] in group:
            print(f"{path} repeats a seed of the same settings: left out.", file=sys.stderr)
        group.setdefault(results["seed"], results)
    if not groups:
        raise UserError("no finished run to summarise: name folders such as runs/NAME.")
    told = different([json.loads(settings) for settings in groups])
    head = ["dataset", "encoder", "sampler", "settings", "seeds"]
    head += [f"test {label}" for label in METRICS.values()]
    head += ["best epoch", "s an epoch", "false negatives"]
    return "\n".join(table(head, [line(list(runs.values()), told) for runs in groups.values()]))


def grouping(config: Mapping[str, Any], checksum: str | None) -> dict[str, Any]:
    """Return what runs that may be averaged have in common: their data and all but the seed.

    A setting that the run's version did not know yet stands at its default.

    Args:
        config: settings of a run.
        checksum: of its data, under "data" in what is returned.
    """
    return complete(config) | {"seed": None, "data": checksum}


def different(settings: list[dict[str, Any]]) -> list[str]:
    """Return the names of the settings to tell, besides those that have a column.

    They are those in which groups of the same dataset and encoder differ.
    """
    values: dict[tuple[str, ...], set[str]] = {}
    for each in settings:
        for name in each.keys() - {"dataset", "encoder", "sampler", "data"}:
            among = (name, each["dataset"], each["encoder"])
            values.setdefault(among, set()).add(str(each[name]))
    told = {name for (name, *_), found in values.items() if len(found) > 1}
    return [name for name in dict.fromkeys(itertools.chain(*settings)) if name in told]


def line(runs: list[dict[str, Any]], told: list[str]) -> list[str]:
    """Return the cells of the table's line for runs that differ in their seeds alone.

    Args:
        runs: their results.
        told: names of the settings to show.
    """
    first = runs[0]
    # What is in closed form (epochs_run 0) has no settings but its own.
    known = first["config"] if first.get("epochs_run") == 0 else complete(first["config"])
    settings = ", ".join(f"{name} {known[name]}" for name in told if name in known)
    cells = [first["dataset"], first["encoder"], first["sampler"], settings, str(len(runs))]
    cells += [mean_and_deviation([run["test"][name] for run in runs]) for name in METRICS]
    # What is in closed form has no epochs.
    epochs = [run["best_epoch"] for run in runs if run["best_epoch"] is not None]
    seconds = [run["seconds_per_epoch"] for run in runs if run["seconds_per_epoch"] is not None]
    cells.append(str(round(statistics.mean(epochs))) if epochs else "")
    cells.append(f"{statistics.median(seconds):.2f}" if seconds else "")
    shares = [run["negatives"]["false_negatives"] for run in runs if "negatives" in run]
    cells.append(f"{statistics.mean(shares):.2%}" if shares else "")
    return cells


def mean_and_deviation(values: list[float]) -> str:
    """Return "mean ± sample standard deviation", or the value alone where there is one."""
    mean = f"{statistics.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.4f}"
