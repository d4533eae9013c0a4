"""What scores the items of a finished run: its embeddings, or the fit of a baseline."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.baselines import score_rows
from recns_tf.baselines.base import Fit
from recns_tf.baselines.fit import evaluate_part, refit
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.evaluation import ranking
from recns_tf.evaluation.scored_lists import Table, largest_norm, scored_items
from recns_tf.interactions import Interactions
from recns_tf.runs.files import ANEW
from recns_tf.runs.folder import RunFolder
from recns_tf.runs.recommendations import read_embeddings
from recns_tf.utils.damage import reading

Candidates = NDArray[np.integer] | slice
"""Items to choose from, integer [c]; slice(None) for all."""

Lists = tuple[NDArray[np.int64], NDArray[Any]]
"""Items and scores; see RunScorer.top."""


class RunScorer(Protocol):
    """Ranks the items of a run's dataset."""

    def top(
        self, users: NDArray[np.integer], candidates: Candidates, seen: csr_array, k: int
    ) -> Lists:
        """Return the k unseen candidates with the largest scores for each user, best first.

        Args:
            users: integer [n].
            candidates: the items to choose from, c of them.
            seen: boolean CSR array [n, c], the candidates to exclude for each of `users`.
            k: length of the lists.

        Returns:
            Places in `candidates`, int64 [n, k], and scores, [n, k]. NO_ITEM and -inf pad short
            lists, and equal scores are in the order of the candidates.
        """

    def evaluate(self, data: Interactions, part: str, ks: Sequence[int]) -> dict[str, Any]:
        """Return the metrics on a part of the run's dataset, "valid" or "test"."""


@dataclasses.dataclass(frozen=True)
class EmbeddingScorer:
    """Scores are inner products of embeddings; see scored_lists.

    Attributes:
        users, items: float32 [U, d] and [I, d].
        config: the run's settings of the ranking.
    """

    users: Table
    items: Table
    config: Config

    @cached_property
    def largest(self) -> float:
        """The largest norm of an item's embedding."""
        return largest_norm(self.items)

    def top(
        self, users: NDArray[np.integer], candidates: Candidates, seen: csr_array, k: int
    ) -> Lists:
        # A bound for all items is one for the candidates too.
        return scored_items(self.users[users], self.items[candidates], seen, k, self.largest)

    def evaluate(self, data: Interactions, part: str, ks: Sequence[int]) -> dict[str, Any]:
        config = self.config
        return ranking.evaluate_part(
            self.users,
            self.items,
            data,
            part,
            ks,
            ranker=config.ranker,
            depth=config.ranking_depth,
        )


class BaselineScorer(NamedTuple):
    """Scores are those of a baseline, which is fitted again.

    Attributes:
        fit: the fit that the run chose.
    """

    fit: Fit

    def top(
        self, users: NDArray[np.integer], candidates: Candidates, seen: csr_array, k: int
    ) -> Lists:
        return score_rows.scored_items(
            lambda rows: self.fit.scores(users[rows])[:, candidates],
            np.arange(len(users)),
            seen,
            k,
        )

    def evaluate(self, data: Interactions, part: str, ks: Sequence[int]) -> dict[str, Any]:
        metrics, _ = evaluate_part(self.fit, data, part, ks)
        return metrics


def scorer_of(folder: RunFolder, data: Interactions) -> tuple[RunScorer, dict[str, Any]]:
    """Return what scores the items of a finished run, and the content of its results.json.

    Args:
        folder: the run's folder.
        data: its dataset.

    Raises:
        UserError: the run is not finished, was trained on other data, or a file is missing,
            damaged or changed.
    """
    results = folder.read_results()
    if results is None:
        raise UserError(
            f"{folder.path} is not a finished run: run the same command again to finish it."
        )
    if results["data"]["checksum"] != data.checksum:
        raise UserError(f"{folder.path} was trained on other data than {data.name} is now.")
    if folder.lists.exists():
        return BaselineScorer(refit(results, data.train)), results
    with reading(folder.config, ANEW):
        config = Config.from_json(folder.read_config())
    return EmbeddingScorer(*read_embeddings(folder, data), config), results
