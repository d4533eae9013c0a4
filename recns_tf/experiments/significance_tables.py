"""Compare a reference value with the best of the others, or every two values: significance tests.

As in the paper, the best of the others is the one with the highest test mean, which favors it. For
the tests over users, metrics of a user are averaged over seeds first, so that each user counts
once. The test over seeds and users takes the runs of a seed as a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.errors import UserError
from recns_tf.evaluation import significance
from recns_tf.evaluation.crossed_test import crossed_t
from recns_tf.evaluation.display import label
from recns_tf.evaluation.metrics import METRICS, metrics_per_user
from recns_tf.evaluation.shown_metrics import shown_metrics_per_user
from recns_tf.experiments.cells import Cell
from recns_tf.experiments.results import Line, have_shown_metrics
from recns_tf.interactions import Interactions, users_with
from recns_tf.registry import SHOWN_METRICS
from recns_tf.runs.folder import RunFolder
from recns_tf.runs.recommendations import lists_of, read_embeddings
from recns_tf.utils.markdown import table

TOLERANCE = 1e-4

PerUser = dict[str, NDArray[np.float64]]
"""Metrics per user with test positives, float64 [n], by name; those of SHOWN_METRICS per user who
also has held-out exposures."""


class Comparison(NamedTuple):
    """A value against another, for one encoder and metric.

    Attributes:
        encoder: name of the encoder.
        metric: one of METRICS or SHOWN_METRICS.
        value: label of the value.
        other: label of the other value.
        gain: relative difference of the means.
        difference: difference of the means.
        users: number of users in the tests.
        seeds: number of seeds that both have a run of.
        t_test, wilcoxon: p values over users, adjusted by Holm over the family of comparisons.
        seeds_and_users: the same of `crossed_t`; NaN with fewer than two seeds.
    """

    encoder: str
    metric: str
    value: str
    other: str
    gain: float
    difference: float
    users: int
    seeds: int
    t_test: float
    wilcoxon: float
    seeds_and_users: float


COLUMNS = Comparison._fields
P_VALUES = ("t_test", "wilcoxon", "seeds_and_users")


def per_user_metrics(cell: Cell, runs_dir: Path, interactions: Interactions) -> PerUser:
    """Return the test metrics per user, computed from the embeddings of a run.

    Args:
        cell: a finished run.
        runs_dir: folder of the runs.
        interactions: the dataset of the run.

    Raises:
        UserError: the embeddings are damaged, or do not fit the dataset or the results.
    """
    folder = RunFolder(runs_dir / cell.name)
    results = folder.read_results()
    assert results is not None, "only finished runs are compared"
    if results["data"]["checksum"] != interactions.checksum:
        raise UserError(f"{folder.path} was trained on other data than the present dataset.")
    config = cell.config
    lists = lists_of(folder, interactions, config.ranker, config.ranking_depth)
    tested = users_with(interactions.test)
    per_user = metrics_per_user(lists[tested], tested, interactions.test)
    found = {metric: per_user[metric] for metric in METRICS}
    if interactions.test_exposed is not None:
        found |= shown_metrics_per_user(read_embeddings(folder, interactions), interactions)
    for metric, values in found.items():
        if abs(values.mean() - results["test"][metric]) > TOLERANCE:
            raise UserError(
                f"{folder.embeddings} gives a test {label(metric)} of {values.mean():.4f}, but "
                f"{folder.results} has {results['test'][metric]:.4f}: the run is damaged."
            )
    return found


def compare(
    lines: Sequence[Line], reference: Any, per_user: Callable[[Cell], PerUser]
) -> list[Comparison]:
    """Compare the lines of a reference value with the best of the others.

    Args:
        lines: the lines of a table.
        reference: the reference value.
        per_user: returns the per-user metrics of a run.

    Returns:
        One comparison per encoder and metric, if both sides have finished runs.
    """
    found: list[Comparison] = []
    for line in lines:
        others = [
            other
            for other in lines
            if other.encoder == line.encoder and other.value != reference and other.runs
        ]
        if line.value != reference or not line.runs or not others:
            continue
        for metric in metrics_of([line, *others]):
            best = max(others, key=lambda other: other.mean(metric))
            found.append(compare_lines(line, best, metric, per_user))
    return significance.adjust_p_values(found, P_VALUES)


def compare_pairs(lines: Sequence[Line], per_user: Callable[[Cell], PerUser]) -> list[Comparison]:
    """Compare every two lines of an encoder, the one with the higher mean first.

    Args:
        lines: the lines of a table.
        per_user: returns the per-user metrics of a run.

    Returns:
        The comparisons of finished lines by encoder, metric and rank. The pairs of an encoder and
        metric are a family, within which p values are adjusted.
    """
    found: list[Comparison] = []
    for encoder in dict.fromkeys(line.encoder for line in lines):
        finished = [line for line in lines if line.encoder == encoder and line.runs]
        for metric in metrics_of(finished):
            ranked = sorted(finished, key=lambda line: line.mean(metric), reverse=True)
            pairs = [compare_lines(*pair, metric, per_user) for pair in combinations(ranked, 2)]
            found += significance.adjust_p_values(pairs, P_VALUES)
    return found


def metrics_of(lines: Sequence[Line]) -> list[str]:
    """Return the metrics to compare: those within the shown items only if all lines have them."""
    return [*METRICS, *(SHOWN_METRICS if have_shown_metrics(lines) else ())]


def compare_lines(
    line: Line, other: Line, metric: str, per_user: Callable[[Cell], PerUser]
) -> Comparison:
    """Return the comparison of a line with another, with unadjusted p values."""
    ours, theirs = (values_by_seed(each, metric, per_user) for each in (line, other))
    over_users = significance.difference(
        *(np.mean(list(values.values()), axis=0) for values in (ours, theirs))
    )
    shared = [seed for seed in ours if seed in theirs]
    over_both = crossed_t(
        np.reshape([ours[seed] - theirs[seed] for seed in shared], (len(shared), over_users.users))
    )
    difference = line.mean(metric) - other.mean(metric)
    return Comparison(
        line.encoder,
        metric,
        line.label,
        other.label,
        gain=difference / other.mean(metric) if other.mean(metric) else float("nan"),
        difference=difference,
        users=over_users.users,
        seeds=len(shared),
        t_test=over_users.t_test,
        wilcoxon=over_users.wilcoxon,
        seeds_and_users=over_both.p_value,
    )


def values_by_seed(
    line: Line, metric: str, per_user: Callable[[Cell], PerUser]
) -> dict[int, NDArray[np.float64]]:
    """Return a metric per user, float64 [n], of each run of a line, by seed.

    All runs have the same users in the same order, since `per_user_metrics` refuses other data.
    """
    return {cell.config.seed: per_user(cell)[metric] for cell, _ in line.runs}


def markdown(comparisons: Sequence[Comparison], other: str) -> list[str]:
    """Return the comparisons as a Markdown table, with a heading for the column of the others."""
    head = ["encoder", "metric", "", other, "gain", "difference"]
    head += ["t-test", "Wilcoxon", "seeds and users"]
    rows = [
        [
            each.encoder,
            label(each.metric),
            each.value,
            each.other,
            f"{each.gain:+.2%}",
            f"{100 * each.difference:+.2f}",
            *(significance.format_p_value(getattr(each, test)) for test in P_VALUES),
        ]
        for each in comparisons
    ]
    return table(head, rows)
