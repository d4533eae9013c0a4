"""A finished run that answers questions about users, items and histories, several at once.

Lists are those of `serving.recommender.Recommender`, to the last item and score, unless the search
is approximate.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from recns_tf.api import load
from recns_tf.config.search import NONE, SearchSettings
from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import NO_ITEM
from recns_tf.evaluation.scored_lists import Table, scored_items
from recns_tf.serving.ids import Ids
from recns_tf.serving.lists import unit_rows
from recns_tf.utils.quiet import silenced_stderr

if TYPE_CHECKING:
    from recns_tf.serving.approximate import ApproximateSearch
    from recns_tf.training.load import Restored

Id = int | str
"""The id of a user or an item, in the form in which runs store it."""

EXACT = SearchSettings()
USERS, HISTORIES = "users", "histories"
SIMILAR_USERS, SIMILAR_ITEMS = "similar users", "similar items"
KINDS = (USERS, HISTORIES, SIMILAR_USERS, SIMILAR_ITEMS)


class Query(NamedTuple):
    """What one list is wanted for.

    Attributes:
        kind: one of KINDS.
        numbers: the number of the user or the item, or those of the items of a history.
        k: length of the list.
        include_seen: whether the list may contain the items of the user or the history.
    """

    kind: str
    numbers: tuple[int, ...]
    k: int
    include_seen: bool = False


class Scored(NamedTuple):
    """An entry of a list: the id of an item or a user, and its score."""

    id: Id
    score: float


class Engine:
    """Answers queries from the embeddings of a finished run, or from the fit of a baseline.

    Args:
        run: the run's folder.
        data_dir: folder of the datasets.
        histories: whether to answer for people who are not in the data, from the items that they
            chose, and show what the sampler draws. This needs TensorFlow, and thus some seconds
            and memory.
        search: how to search the items for users and histories; an approximate search builds its
            index here.

    Raises:
        UserError: the run is not finished, its data are missing, or a file is damaged.

    Example:
        >>> engine = Engine(Path("runs/ml-100k-lightgcn-recns"))
        >>> (best,) = engine.answer([engine.user_query(196, k=5)])
    """

    def __init__(
        self,
        run: Path,
        data_dir: str | Path = "data",
        histories: bool = True,
        search: SearchSettings = EXACT,
    ):
        self.run = run
        self.model = load(run, data_dir=data_dir, stored_ids=True)
        self.data = self.model.data
        self.seen = self.data.positives
        self.users: Ids = self.model.users
        self.items: Ids = self.model.items
        self.approximate: ApproximateSearch | None = None
        if search.approximate != NONE:
            # Faiss is not loaded for nothing.
            from recns_tf.serving.approximate import ApproximateSearch

            self.approximate = ApproximateSearch(self.model.embeddings[1], search)
        self.restored: Restored | None = None
        self.new_users: Any = None
        self.unrestored = "start the service with --histories."
        self.refusal = f"histories are not answered: {self.unrestored}"
        if histories:
            try:
                self.restored = self.restore()
                self.new_users = self.restored.model.encoder.new_users()
            except UserError as error:
                self.unrestored = self.refusal = str(error)

    def restore(self) -> Restored:
        """Return the run as it was trained, which imports TensorFlow."""
        with silenced_stderr():
            from recns_tf.training.load import restore
        return restore(self.run, interactions=self.data)

    def number(self, ids: Ids, value: Id) -> int:
        """Return the number of a user or an item.

        Raises:
            UnknownId: it is not in the data.
        """
        try:
            (number,) = ids.numbers([value])
        except UserError as error:
            raise UnknownId(str(error)) from error
        return int(number)

    def user_query(self, user: Id, k: int, include_seen: bool = False) -> Query:
        """Return the query for the list of a user."""
        return Query(USERS, (self.number(self.users, user),), k, include_seen)

    def history_query(self, history: Sequence[Id], k: int, include_seen: bool = False) -> Query:
        """Return the query for the list of somebody who is not in the data, from items chosen.

        Raises:
            UnknownId: an item is not in the data.
            UserError: the run cannot answer histories.
        """
        self.require_embeddings()
        if self.new_users is None:
            raise UserError(self.refusal)
        chosen = sorted({self.number(self.items, item) for item in history})
        return Query(HISTORIES, tuple(chosen), k, include_seen)

    def similar_query(self, ids: Ids, value: Id, k: int) -> Query:
        """Return the query for the items, or users, that are similar to one of them."""
        self.require_embeddings()
        kind = SIMILAR_USERS if ids is self.users else SIMILAR_ITEMS
        return Query(kind, (self.number(ids, value),), k)

    def require_embeddings(self) -> None:
        """Raise UserError if the run is of a baseline, which has no embeddings."""
        _ = self.model.embeddings

    def most(self, kind: str) -> int:
        """Return the length of the longest list of a kind."""
        if kind == SIMILAR_USERS:
            return self.data.num_users - 1
        return self.data.num_items - (kind == SIMILAR_ITEMS)

    def answer(self, queries: Sequence[Query]) -> list[list[Scored]]:
        """Return the list of each query.

        All queries of one kind are searched together, which takes less time than one by one.
        """
        answers: list[list[Scored]] = [[] for _ in queries]
        for kind in KINDS:
            places = [place for place, query in enumerate(queries) if query.kind == kind]
            if not places:
                continue
            chosen = [queries[place] for place in places]
            top, scores = self.search(kind, chosen, max(query.k for query in chosen))
            labels = self.users.labels if kind == SIMILAR_USERS else self.items.labels
            for row, place in enumerate(places):
                k = queries[place].k
                full = top[row, :k] != NO_ITEM
                ids = labels[top[row, :k][full]].tolist()
                values = scores[row, :k][full].astype(np.float32).tolist()
                answers[place] = [*map(Scored, ids, values)]
        return answers

    def search(
        self, kind: str, queries: Sequence[Query], k: int
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return numbers int64 [n, k] and scores [n, k] for n queries of one kind."""
        if kind == USERS:
            users = np.array([query.numbers[0] for query in queries], dtype=np.int64)
            rows = self.masked(queries, csr_array(self.seen[users]))
            if self.approximate is not None:
                return self.approximate(self.model.embeddings[0][users], rows, k)
            return self.model.scorer.top(users, slice(None), rows, k)
        if kind == HISTORIES:
            numbers = [query.numbers for query in queries]
            rows = self.masked(queries, rows_of(numbers, self.data.num_items))
            vectors = self.embed_histories(numbers)
            if self.approximate is not None:
                return self.approximate(vectors, rows, k)
            return scored_items(vectors, self.model.embeddings[1], rows, k)
        table = self.units[kind == SIMILAR_ITEMS]
        numbers = [query.numbers for query in queries]
        return scored_items(table[np.ravel(numbers)], table, rows_of(numbers, len(table)), k)

    def masked(self, queries: Sequence[Query], rows: csr_array) -> csr_array:
        """Return the items to leave out: those in `rows`, unless a query includes them."""
        none = csr_array((1, rows.shape[1]), dtype=bool)
        if not any(query.include_seen for query in queries):
            return rows
        kept = [none if query.include_seen else rows[[row]] for row, query in enumerate(queries)]
        return csr_array(vstack(kept, format="csr"))

    @cached_property
    def units(self) -> tuple[Table, Table]:
        """The embeddings of users and items, scaled to length 1."""
        users, items = self.model.embeddings
        return unit_rows(users), unit_rows(items)

    def embed_histories(self, histories: Sequence[tuple[int, ...]]) -> Table:
        """Return embeddings of people who are not in the data: float32 [n, d].

        Args:
            histories: the numbers of the items that each of them chose; see `history_query`.
        """
        with silenced_stderr():
            import tensorflow as tf
        values = np.array([item for history in histories for item in history], dtype=np.int32)
        lengths = np.array([len(history) for history in histories], dtype=np.int64)
        ragged = tf.RaggedTensor.from_row_lengths(values, lengths)
        return np.asarray(self.new_users(ragged), dtype=np.float32)

    def embeddings_of(self, ids: Ids, values: Sequence[Id]) -> Table:
        """Return the embeddings of users or items: float32 [n, d].

        Raises:
            UserError: the run has no embeddings.
            UnknownId: one of them is not in the data.
        """
        table = self.model.embeddings[ids is self.items]
        return table[[self.number(ids, value) for value in values]]


class UnknownId(UserError):
    """An id that is not in the data."""


def rows_of(lists: Sequence[tuple[int, ...]], width: int) -> csr_array:
    """Return a boolean CSR array [n, width] with the given columns, ascending, in each row."""
    starts = np.cumsum([0, *(len(each) for each in lists)])
    columns = np.array([number for each in lists for number in each], dtype=np.int32)
    return csr_array((np.ones(len(columns), bool), columns, starts), shape=(len(lists), width))
