"""Embeddings ranked in several ways, and whether the differences are chance."""

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
from recns_tf.evaluation.metrics import METRICS
from recns_tf.interactions import Interactions, users_with
from recns_tf.utils.markdown import table

GIVEN = "given"
"""What the embeddings that are compared are called in tables."""


class RankingMode(NamedTuple):
    """A way of ranking.

    Attributes:
        depth: of the search, as of `ranking.top_items`.
        masked: which positives are no candidates, "train" or "train and valid".
    """

    depth: int
    masked: str

    @property
    def search(self) -> str:
        """The depth in words."""
        return f"first {self.depth}" if self.depth else "exact"


class Ranked(NamedTuple):
    """What embeddings reach in one way of ranking.

    Attributes:
        embeddings: their name.
        way: the way.
        metrics: each of METRICS a user with test positives, float64 [n].
        short: how many lists are shorter than those of an exact search.
    """

    embeddings: str
    mode: RankingMode
    metrics: dict[str, NDArray[np.float64]]
    short: int

    @property
    def name(self) -> str:
        """The embeddings and the way in words."""
        return f"{self.embeddings}, {self.mode.search}, without {self.mode.masked}"

    def means(self) -> dict[str, float]:
        """Return the means over users."""
        return {name: float(values.mean()) for name, values in self.metrics.items()}


class MetricDifference(NamedTuple):
    """A difference of two, in one metric.

    Attributes:
        first, second: the two, in words.
        metric: of METRICS.
        difference: of first less second over users; its p values are adjusted for all metrics
            of the two by Holm.
    """

    first: str
    second: str
    metric: str
    difference: significance.Difference


def ranking_modes(interactions: Interactions, depths: Sequence[int]) -> Iterator[RankingMode]:
    """Yield the exact way and that of each depth; with valid masked, where there is a valid."""
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
) -> list[Ranked]:
    """Return what embeddings reach on test in every way of ranking.

    Args:
        name: of the embeddings.
        embeddings: ranked by inner product.
        interactions: the dataset.
        depths: of the truncated searches.
        ranker: engine, one of catalog.RANKERS.
    """
    users = users_with(interactions.test)
    seen = {"train": interactions.seen("valid"), "train and valid": interactions.seen("test")}
    found = []
    lengths: dict[str, NDArray[np.int64]] = {}
    for mode in ranking_modes(interactions, depths):
        top = ranking.top_items(
            *embeddings, users, seen[mode.masked], ranker=ranker, depth=mode.depth
        )
        length = (top != ranking.NO_ITEM).sum(axis=1)
        exact = lengths.setdefault(mode.masked, length)
        metrics = ranking.metrics_per_user(top, users, interactions.test)
        found.append(Ranked(name, mode, metrics, int((length < exact).sum())))
    return found


def metric_differences(given: Sequence[Ranked], run: Sequence[Ranked]) -> list[MetricDifference]:
    """Return the differences worth a test.

    They are, in every way of ranking, the run less the given embeddings; and, for either, each
    truncated search less the exact one that masks the same, if it cuts lists short.

    Args:
        given: the given embeddings in every way.
        run: a run in the same ways, or nothing.
    """
    pairs = [(ours, theirs) for ours, theirs in zip(run, given, strict=bool(run))]
    for ranked in (given, run):
        exact = {each.mode.masked: each for each in ranked if not each.mode.depth}
        pairs += [(each, exact[each.mode.masked]) for each in ranked if each.short]
    return [gap for first, second in pairs for gap in compare(first, second)]


def compare(first: Ranked, second: Ranked) -> list[MetricDifference]:
    """Return the difference of two in every metric, p values adjusted for the metrics."""
    found = significance.adjusted(
        [significance.difference(first.metrics[name], second.metrics[name]) for name in METRICS]
    )
    return [
        MetricDifference(first.name, second.name, metric, each)
        for metric, each in zip(METRICS, found, strict=True)
    ]


def by_degree(
    degrees: NDArray[np.integer], values: NDArray[np.float64], most: int = 10
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means of a metric over users of like train degrees.

    Args:
        degrees: [n], of each user.
        values: float64 [n], of each user.
        most: groups at most; each holds about as many users.

    Returns:
        The mean degree and the mean value of each group, ascending in degree.
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


def markdown(ranked: Iterable[Ranked], found: Iterable[MetricDifference]) -> str:
    """Return the table of all ways and that of the differences."""
    reached = []
    for each in ranked:
        means = [f"{value:.4f}" for value in each.means().values()]
        reached.append(
            [each.embeddings, each.mode.search, each.mode.masked, *means, f"{each.short:,}"]
        )
    tested = []
    for gap in found:
        one = gap.difference
        interval = f"{one.low:+.4f} to {one.high:+.4f}"
        cells = [gap.first, gap.second, METRICS[gap.metric], f"{one.mean:+.4f}", interval]
        tested.append(
            [
                *cells,
                significance.format_p_value(one.t_test),
                significance.format_p_value(one.wilcoxon),
            ]
        )
    heads = ["embeddings", "search", "masked", *METRICS.values(), "lists cut short"]
    lines = [*table(heads, reached), ""]
    heads = ["first", "second", "metric", "first less second", "95 %", "t-test", "Wilcoxon"]
    return "\n".join([*lines, *table(heads, tested)])


def to_csv(interactions: Interactions, ranked: Sequence[Ranked]) -> str:
    """Return a table with a line a user with test positives: id, degrees, and every metric."""
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
    """Return the same as JSON values."""
    return {
        "ways": [
            {
                "embeddings": each.embeddings,
                "depth": each.mode.depth,
                "masked": each.mode.masked,
                "test": each.means() | {"users": len(next(iter(each.metrics.values())))},
                "lists_cut_short": each.short,
            }
            for each in ranked
        ],
        "differences": [
            {"first": gap.first, "second": gap.second, "metric": gap.metric}
            | gap.difference._asdict()
            for gap in found
        ],
    }
