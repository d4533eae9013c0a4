"""Rank embeddings in several modes, and test whether the differences are significant."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.comparison.embedding_files import Embeddings
from recns_tf.evaluation import ranking, significance
from recns_tf.evaluation.display import MAIN, format_metric, label, recorded_metrics, split_key
from recns_tf.evaluation.part_metrics import part_metrics
from recns_tf.interactions import Interactions, users_with
from recns_tf.utils.markdown import table

GIVEN = "given"
"""Name of the user-supplied embeddings in tables."""


class RankingMode(NamedTuple):
    """A ranking mode.

    Attributes:
        depth: search depth, as in `ranking.top_items`; 0 is exact.
        masked: the positives excluded from the lists, "train" or "train and valid".
    """

    depth: int
    masked: str

    @property
    def search(self) -> str:
        """The depth as text."""
        return f"first {self.depth}" if self.depth else "exact"


class Ranked(NamedTuple):
    """Test metrics of embeddings in one ranking mode.

    Attributes:
        embeddings: name of the embeddings.
        mode: the ranking mode.
        metrics: the metrics of each user with test positives, float64 [n], by name.
        short: number of lists that are shorter than those of an exact search.
        test: all metrics over users and lists; see `part_metrics`.
    """

    embeddings: str
    mode: RankingMode
    metrics: dict[str, NDArray[np.float64]]
    short: int
    test: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The embeddings and the ranking mode as text."""
        return f"{self.embeddings}, {self.mode.search}, without {self.mode.masked}"


class MetricDifference(NamedTuple):
    """The difference of two rankings in one metric.

    Attributes:
        first, second: names of the two rankings.
        metric: Recall, NDCG or HR at a K, by name.
        difference: first minus second over users; p values are adjusted by Holm over these
            metrics at all K.
    """

    first: str
    second: str
    metric: str
    difference: significance.Difference


def ranking_modes(interactions: Interactions, depths: Sequence[int]) -> Iterator[RankingMode]:
    """Yield the exact and each truncated mode, with train and valid masked, then train alone.

    Without valid positives only train is masked.
    """
    masks = ["train and valid", "train"] if interactions.valid.nnz else ["train"]
    for masked in masks:
        for depth in (0, *depths):
            yield RankingMode(depth, masked)


def rank(
    name: str,
    embeddings: Embeddings,
    interactions: Interactions,
    depths: Sequence[int],
    ranker: str = "faiss",
    ks: Sequence[int] = (20,),
) -> list[Ranked]:
    """Rank embeddings on the test set in every mode.

    Args:
        name: name of the embeddings.
        embeddings: tables to rank by inner product.
        interactions: the dataset.
        depths: depths of the truncated searches.
        ranker: search engine, one of registry.RANKERS.
        ks: values of K; lists have as many places as the largest.

    Returns:
        One result per mode, in the order of `ranking_modes`.
    """
    users = users_with(interactions.test)
    seen = {"train": interactions.seen("valid"), "train and valid": interactions.seen("test")}
    found = []
    lengths: dict[str, NDArray[np.int64]] = {}
    for mode in ranking_modes(interactions, depths):
        top = ranking.top_items(
            *embeddings, users, seen[mode.masked], max(ks), ranker=ranker, depth=mode.depth
        )
        length = (top != ranking.NO_ITEM).sum(axis=1)
        exact = lengths.setdefault(mode.masked, length)
        metrics = ranking.metrics_per_user(top, users, interactions.test, ks)
        test = part_metrics(
            top, interactions.test, seen[mode.masked], ks, interactions.train, depth=mode.depth
        )
        found.append(Ranked(name, mode, metrics, int((length < exact).sum()), test))
    return found


def metric_differences(given: Sequence[Ranked], run: Sequence[Ranked]) -> list[MetricDifference]:
    """Return the differences to test.

    These are, in every mode, the run minus the given embeddings; and, for both, each truncated
    search that shortens lists minus the exact search with the same mask.

    Args:
        given: the given embeddings in every mode.
        run: a run in the same modes, or an empty list.
    """
    pairs = [(ours, theirs) for ours, theirs in zip(run, given, strict=bool(run))]
    for ranked in (given, run):
        exact = {each.mode.masked: each for each in ranked if not each.mode.depth}
        pairs += [(each, exact[each.mode.masked]) for each in ranked if each.short]
    return [each for first, second in pairs for each in compare(first, second)]


def compare(first: Ranked, second: Ranked) -> list[MetricDifference]:
    """Return the differences of two rankings in Recall, NDCG and HR, with adjusted p values."""
    names = [name for name in first.metrics if (split := split_key(name)) and split[0] in MAIN]
    found = significance.adjust_p_values(
        [significance.difference(first.metrics[name], second.metrics[name]) for name in names]
    )
    return [
        MetricDifference(first.name, second.name, metric, each)
        for metric, each in zip(names, found, strict=True)
    ]


def by_degree(
    degrees: NDArray[np.integer], values: NDArray[np.float64], most: int = 10
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means of a metric over groups of users with similar train degrees.

    Args:
        degrees: integer [n], degree per user.
        values: float64 [n], metric per user.
        most: maximum number of groups, which have about equal numbers of users.

    Returns:
        The mean degree and the mean value of each group, float64 [groups], ascending in degree.
    """
    edges = np.unique(np.quantile(degrees, np.linspace(0, 1, most + 1)))
    edges[-1] += 1
    groups = [
        (degrees >= low) & (degrees < high)
        for low, high in pairwise(edges if len(edges) > 1 else [edges[0] - 1, edges[0]])
    ]
    filled = [group for group in groups if group.any()]
    return (
        np.array([degrees[group].mean() for group in filled]),
        np.array([values[group].mean() for group in filled]),
    )


def markdown(ranked: Sequence[Ranked], found: Iterable[MetricDifference]) -> str:
    """Return Markdown tables of all modes and of the differences."""
    mode_rows = []
    names = recorded_metrics(each.test for each in ranked)
    for each in ranked:
        means = [format_metric(name, each.test[name]) for name in names]
        mode_rows.append(
            [each.embeddings, each.mode.search, each.mode.masked, *means, f"{each.short:,}"]
        )
    difference_rows = []
    for first, second, metric, difference in found:
        difference_rows.append(
            [
                *(first, second, label(metric), f"{difference.mean:+.4f}"),
                f"{difference.low:+.4f} to {difference.high:+.4f}",
                significance.format_p_value(difference.t_test),
                significance.format_p_value(difference.wilcoxon),
            ]
        )
    head = ["embeddings", "search", "masked", *map(label, names), "lists cut short"]
    lines = [*table(head, mode_rows), ""]
    head = ["first", "second", "metric", "first − second", "95 % interval", "t-test", "Wilcoxon"]
    return "\n".join([*lines, *table(head, difference_rows)])


def to_csv(interactions: Interactions, ranked: Sequence[Ranked]) -> str:
    """Return CSV text with one row per user with test positives: id, degrees, and every metric."""
    users = users_with(interactions.test)
    columns: Mapping[str, Any] = {
        "user_id": interactions.user_ids[users],
        "train_positives": np.diff(interactions.train.indptr)[users],
        "test_positives": np.diff(interactions.test.indptr)[users],
    } | {
        f"{each.name}: {metric}": values
        for each in ranked
        for metric, values in each.metrics.items()
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))
    return text.getvalue()


def to_json(ranked: Sequence[Ranked], found: Sequence[MetricDifference]) -> dict[str, Any]:
    """Return all modes and differences as JSON values."""
    return {
        "ways": [
            {
                "embeddings": each.embeddings,
                "depth": each.mode.depth,
                "masked": each.mode.masked,
                "test": dict(each.test),
                "lists_cut_short": each.short,
            }
            for each in ranked
        ],
        "differences": [
            {"first": each.first, "second": each.second, "metric": each.metric}
            | each.difference._asdict()
            for each in found
        ],
    }
