"""Groups the runs of a report that differ only in the seed, and names the groups."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recns_tf.config.config import DEFAULTS
from recns_tf.evaluation.display import recorded_metrics, split_key
from recns_tf.evaluation.metrics import METRIC
from recns_tf.reporting.runs import Run, drop_missing, number
from recns_tf.runs.summary import different, grouping

MAX_IN_LABEL = 3
"""Settings that a label shows; if there are more, it shows the name of the run instead."""


@dataclass
class Group:
    """Runs with the same data and settings that differ only in the seed.

    Attributes:
        runs: one run per seed.
        label: a name that is unique among the groups of the dataset.
        settings: the common settings, recorded or at their defaults.
    """

    runs: list[Run]
    label: str
    settings: dict[str, Any]

    @property
    def dataset(self) -> str:
        """The dataset of the runs."""
        return str(self.settings["dataset"])

    @property
    def metric(self) -> str:
        """The validation metric that selects the best epoch of each run."""
        return self.runs[0].metric

    @property
    def finished(self) -> list[Run]:
        """The finished runs."""
        return [run for run in self.runs if run.results is not None]

    @property
    def tests(self) -> list[dict[str, Any]]:
        """The test metrics of each finished run that has any."""
        found = [(run.results or {}).get("test") for run in self.finished]
        return [test for test in found if isinstance(test, dict)]

    def tested(self, metric: str) -> list[float]:
        """Return a test metric of each finished run that has it."""
        return drop_missing(number(run.results, "test", metric) for run in self.finished)

    def numbers(self, *keys: str) -> list[float]:
        """Return `Run.number` of each run that has it."""
        return drop_missing(run.number(*keys) for run in self.runs)


def group_runs(runs: Sequence[Run], notes: list[str]) -> list[Group]:
    """Group runs that differ only in the seed; sort groups by dataset, best test Recall first.

    Args:
        runs: runs on any datasets.
        notes: extended by a sentence for each run that is left out because it repeats a seed.
    """
    members: dict[str, dict[Any, Run]] = {}
    for run in runs:
        key = json.dumps(grouping(run.config, run.checksum), sort_keys=True)
        seeds = members.setdefault(key, {})
        other = seeds.get(run.seed)
        if other is not None:
            kept, left = (run, other) if run.results and not other.results else (other, run)
            notes.append(f"{left.path} repeats a seed of {kept.path}: left out.")
            run = kept
        seeds[run.seed] = run
    groups = [Group(list(seeds.values()), "", json.loads(key)) for key, seeds in members.items()]
    recalls = {}
    for name, members_of_dataset in group_by_dataset(groups).items():
        set_labels(members_of_dataset)
        recalls[name] = comparable_recall(members_of_dataset)

    def rank(group: Group) -> tuple[str, float, str]:
        return group.dataset, -mean_of(group.tested(recalls[group.dataset])), group.label

    return sorted(groups, key=rank)


def mean_of(values: list[float]) -> float:
    """Return the mean of some metrics, or -1 without any."""
    return sum(values) / len(values) if values else -1.0


def comparable_recall(groups: Sequence[Group]) -> str:
    """Return the Recall to compare groups of a dataset by.

    It is that at the largest K that all finished runs have recorded, or that any has recorded if
    there is none.
    """
    recorded = [
        {name for name in recorded_metrics([test]) if name.startswith("recall@")}
        for group in groups
        for test in group.tests
    ]
    names = set.intersection(*recorded) if recorded else set()
    names = names or set().union(*recorded)
    return max(names, key=lambda name: (split_key(name) or ("", 0))[1], default=METRIC)


def set_labels(groups: list[Group]) -> None:
    """Set the labels of a dataset's groups: encoder, sampler, and the settings that differ."""
    pairs: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        pair = (str(group.settings["encoder"]), str(group.settings["sampler"]))
        pairs.setdefault(pair, []).append(group)
    for (encoder, sampler), members in pairs.items():
        differing = different([group.settings for group in members])
        data_differ = len({group.settings["data"] for group in members}) > 1
        for group in members:
            words = [encoder if group.runs[0].is_closed_form else f"{encoder} {sampler}"]
            if len(differing) > MAX_IN_LABEL:
                words[0] += f" ({re.sub(r'-seed[0-9]+$', '', group.runs[0].path.name)})"
            else:
                words += [f"{name} {group.settings.get(name, '?')}" for name in differing]
            if data_differ:
                words.append(f"data {str(group.settings['data'])[:8]}")
            group.label = ", ".join(words)


def group_by_dataset(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Return the groups of each dataset, in order."""
    datasets: dict[str, list[Group]] = {}
    for group in groups:
        datasets.setdefault(group.dataset, []).append(group)
    return datasets


def series_names(groups: Sequence[Group]) -> list[str]:
    """Return the names of the numbers in the first and last rows of the runs, in order."""
    names = dict.fromkeys(
        name
        for group in groups
        for run in group.runs
        for row in run.rows[:1] + run.rows[-1:]
        for name in row
        if number(row, name) is not None
    )
    return list(names)


def setting(group: Group, name: str) -> tuple[str, bool]:
    """Return a setting as text, and whether the runs recorded it.

    A setting that they did not record is at its default; baselines have no defaults.
    """
    config = group.runs[0].config
    if name in config:
        return str(config[name]), True
    return ("", True) if group.runs[0].is_closed_form else (str(DEFAULTS.get(name, "")), False)
