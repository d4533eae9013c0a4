"""A finished run as an object that recommends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.config.config import DEFAULTS, Config
from recns_tf.datasets.data_frames import PYARROW, to_frame
from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import NO_ITEM
from recns_tf.evaluation.scored_lists import Table, scored_items
from recns_tf.interactions import Interactions
from recns_tf.runs.copies import copy_run
from recns_tf.runs.folder import RunFolder
from recns_tf.serving.ids import Ids
from recns_tf.serving.lists import Columns, in_parts, require_k, unit_rows
from recns_tf.serving.scorers import EmbeddingScorer, scorer_of
from recns_tf.utils import folders
from recns_tf.utils.quiet import silenced_stderr

if TYPE_CHECKING:
    from recns_tf.training.sampled_rec import SampledRec


class Recommender:
    """A finished run and its data: lists of items, similar items and users, metrics.

    `train` and `load` return it. Users and items are named by their original ids. Results are
    frames of the library that the data came in: pandas, Polars or PyArrow, or a dict of arrays.

    Args:
        run: the run's folder.
        data: the run's dataset.
        frames: the library of the results, see `load`; None takes that of the data,
            PyArrow if they came from files.
        stored_ids: whether ids are those that the run stores, integers or text, rather than those
            of the frame that the data came in.

    Attributes:
        data: the run's dataset.
        results: the content of results.json.

    Raises:
        UserError: the run is not finished, or a file is missing, damaged or changed.

    Example:
        >>> model = load("runs/ml-100k-lightgcn-recns")
        >>> frame = model.recommend([196, 186], k=3)
        >>> frame.column_names
        ['user', 'item', 'rank', 'score']
    """

    def __init__(
        self,
        run: RunFolder,
        data: Interactions,
        frames: str | None = None,
        stored_ids: bool = False,
    ):
        self.run = run
        self.data = data
        self.stored_ids = stored_ids
        self.frames = frames or data.source.get("frame", PYARROW)
        self.scorer, self.results = scorer_of(run, data)

    @cached_property
    def users(self) -> Ids:
        """The ids of the users."""
        return Ids(self.data, "user", self.stored_ids)

    @cached_property
    def items(self) -> Ids:
        """The ids of the items."""
        return Ids(self.data, "item", self.stored_ids)

    def __repr__(self) -> str:
        return f"<Recommender {self.run.path}; {self.data.summary()}>"

    def recommend(
        self, users: Any = None, k: int = 10, *, candidates: Any = None, include_seen: bool = False
    ) -> Any:
        """Return the k items with the largest scores for each user.

        Items that the user chose in any part of the data, test included, are left out.

        Args:
            users: ids of users, or one id; None for all.
            k: length of the lists.
            candidates: ids of the items to choose from; None for all.
            include_seen: whether to keep the items that the user chose.

        Returns:
            A frame with the columns user, item, rank (from 1) and score (float32). Equal scores are
            in the order of `data.item_ids`. A user with fewer than k unseen candidates has a
            shorter list.

        Raises:
            UserError: a user or an item is unknown, or there are fewer than k candidates.
        """
        return self.to_frame(
            self.recommendations(users, k, candidates=candidates, include_seen=include_seen)
        )

    def recommendations(
        self, users: Any = None, k: int = 10, *, candidates: Any = None, include_seen: bool = False
    ) -> Iterator[Columns]:
        """Yield what `recommend` returns in parts, as columns, with memory for one part alone."""
        chosen = self.users.numbers(users)
        items = self.items.numbers(candidates, in_order=True)
        require_k(
            k, len(items), "number of candidates" if candidates is not None else "number of items"
        )
        seen = self.data.positives
        if include_seen:
            seen = csr_array(seen.shape, dtype=bool)

        def parts() -> Iterator[Columns]:
            for some in in_parts(chosen, k):
                masked = csr_array(seen[some])
                if candidates is not None:
                    masked = csr_array(masked[:, items])
                every = slice(None) if candidates is None else items
                top, scores = self.scorer.top(some, every, masked, k)
                yield self.columns(self.users.labels[some], items, top, scores, "user", "item")

        return parts()

    def similar_items(self, items: Any = None, k: int = 10) -> Any:
        """Return the k items whose embeddings have the largest cosine with that of each item.

        Args:
            items: ids of items, or one id; None for all.
            k: length of the lists.

        Returns:
            A frame with the columns item, similar_item, rank (from 1) and score (float32).

        Raises:
            UserError: an item is unknown, there are no k others, or the run is of a baseline, which
                has no embeddings.
        """
        return self.to_frame(self.similar("item", items, k))

    def similar_users(self, users: Any = None, k: int = 10) -> Any:
        """Return the k users whose embeddings have the largest cosine with that of each user.

        See `similar_items`; the columns are user, similar_user, rank and score.
        """
        return self.to_frame(self.similar("user", users, k))

    def similar(self, kind: str, ids: Any = None, k: int = 10) -> Iterator[Columns]:
        """Yield in parts what `similar_items` or `similar_users` returns, as columns.

        Args:
            kind: "user" or "item".
            ids: ids, or one id; None for all.
            k: length of the lists.
        """
        known = {"user": self.users, "item": self.items}[kind]
        chosen = known.numbers(ids)
        table = unit_rows(self.embeddings[kind == "item"])
        require_k(k, len(table) - 1, f"number of other {kind}s")
        everything = np.arange(len(table))

        def parts() -> Iterator[Columns]:
            for some in in_parts(chosen, k):
                itself = csr_array(
                    (np.ones(len(some), dtype=bool), some, np.arange(len(some) + 1)),
                    shape=(len(some), len(table)),
                )
                top, scores = scored_items(table[some], table, itself, k)
                names = (kind, f"similar_{kind}")
                yield self.columns(known.labels[some], everything, top, scores, *names)

        return parts()

    @property
    def embeddings(self) -> tuple[Table, Table]:
        """The embeddings of users and items, float32 [U, d] and [I, d], by number."""
        if not isinstance(self.scorer, EmbeddingScorer):
            raise UserError(
                f"{self.run.path} is of the baseline {self.results['encoder']}, which has no "
                "embeddings: choose the run of an encoder."
            )
        return self.scorer.users, self.scorer.items

    def evaluate(self, part: str = "test", k: int | Sequence[int] | None = None) -> dict[str, Any]:
        """Return the metrics on a part of the data, as in results.json.

        Args:
            part: "valid", which ranks all items but those of train, or "test", which also leaves
                out those of valid.
            k: K of the metrics, one or several; None for those of the run.

        Raises:
            UserError: the part is neither, or a K is not legal.
        """
        if part not in ("valid", "test"):
            raise UserError(f"part={part!r}: choose valid or test.")
        ks = [k] if isinstance(k, int) else k
        topk = str(self.results["config"].get("topk", DEFAULTS["topk"]))
        settings = Config(topk=topk if ks is None else ",".join(map(str, ks)))
        return self.scorer.evaluate(self.data, part, settings.ks)

    def history(self, users: Any = None) -> Any:
        """Return the items that users chose, in any part of the data.

        Args:
            users: ids of users, or one id; None for all.

        Returns:
            A frame with the columns user, item and part (train, valid or test).

        Raises:
            UserError: a user is unknown.
        """
        chosen = self.users.numbers(users)
        columns: dict[str, list[NDArray[Any]]] = {"user": [], "item": [], "part": []}
        for part in ("train", "valid", "test"):
            rows = csr_array(getattr(self.data, part)[chosen])
            columns["user"].append(self.users.labels[np.repeat(chosen, np.diff(rows.indptr))])
            columns["item"].append(self.items.labels[rows.indices])
            columns["part"].append(np.full(rows.nnz, part))
        return self.to_frame([{name: np.concatenate(each) for name, each in columns.items()}])

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the run and its data to a folder that `load` reads, wherever it is moved.

        Args:
            path: the folder, which appears whole or not at all.
            overwrite: whether to replace the folder of an earlier run.

        Raises:
            UserError: the folder exists, or is written by another process.
        """
        target = Path(path)
        with folders.claim(target, f"another process is writing {target}."):
            if target.exists() and not (overwrite and (target / "config.json").exists()):
                advice = "choose another name, or overwrite=True to replace an earlier run"
                raise UserError(f"{target} already exists: {advice}.")
            with folders.replace(target) as new:
                copy_run(self.run, new, self.data)

    def keras_model(self, *, allow_custom: bool = False) -> SampledRec:
        """Return the Keras model with the weights of the best epoch; see training.load.load."""
        with silenced_stderr():
            from recns_tf.training.load import load as load_model
        model, _ = load_model(self.run.path, interactions=self.data, allow_custom=allow_custom)
        return model

    def columns(
        self,
        rows: NDArray[Any],
        candidates: NDArray[np.integer],
        top: NDArray[np.int64],
        scores: NDArray[Any],
        name: str,
        other: str,
    ) -> Columns:
        """Return lists as columns.

        Args:
            rows: the id of each list, [n].
            candidates: integer [c], numbers of users or items.
            top: int64 [n, k], places in `candidates`; NO_ITEM pads the lists.
            scores: [n, k].
            name, other: names of the columns of `rows` and of the ids in the lists.
        """
        found = top != NO_ITEM
        labels = self.users.labels if other.endswith("user") else self.items.labels
        return {
            name: np.repeat(rows, found.sum(axis=1)),
            other: labels[candidates[top[found]]],
            "rank": np.nonzero(found)[1] + 1,
            "score": scores[found].astype(np.float32),
        }

    def to_frame(self, parts: Any) -> Any:
        """Return parts of equal columns as one frame."""
        listed = list(parts)
        return to_frame(
            {name: np.concatenate([part[name] for part in listed]) for name in listed[0]},
            self.frames,
        )
