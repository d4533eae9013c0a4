"""Interactions: a dataset as a user-item graph (§2.1), the common input of all packages."""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.utils.text import count

Pairs = NDArray[np.int64]
"""User-item pairs, int64 [n, 2]: each row is a user index and an item index."""


def distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the distinct values of non-negative integers [n] in ascending order.

    np.unique uses a hash table since NumPy 2.3, which takes 40 times as long for millions of keys.
    """
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) > 0]


def to_rows(pairs: Pairs, shape: tuple[int, int]) -> csr_array:
    """Convert pairs int64 [n, 2] to a boolean CSR array with sorted rows, without repeats.

    Raises:
        ValueError: an index is outside `shape`.
    """
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    if len(pairs) and (pairs.min() < 0 or np.any(pairs.max(axis=0) >= shape)):
        raise ValueError(f"a user-item pair is outside the {shape[0]} x {shape[1]} graph")
    keys = distinct(pairs[:, 0] * shape[1] + pairs[:, 1])
    users, items = np.divmod(keys, shape[1])
    starts = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(users, minlength=shape[0]), out=starts[1:])
    return csr_array((np.ones(len(keys), dtype=bool), items.astype(np.int32), starts), shape=shape)


def to_pairs(rows: csr_array) -> Pairs:
    """Return the nonzeros of a CSR array as pairs, int64 [n, 2], in row order."""
    users = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return np.stack([users, rows.indices], axis=1).astype(np.int64)


def keys_of(rows: csr_array) -> NDArray[np.int64]:
    """Return one key per nonzero, user * num_items + item: int64 [n], ascending."""
    pairs = to_pairs(rows)
    return pairs[:, 0] * rows.shape[1] + pairs[:, 1]


def is_among(sought: NDArray[np.int64], keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each element of `sought` is in `keys`.

    Args:
        sought: integers of any shape.
        keys: integers [n] in ascending order.

    Returns:
        A boolean array with the shape of `sought`.
    """
    if not len(keys):
        return np.zeros(sought.shape, dtype=bool)
    nearest = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    return np.asarray(keys[nearest] == sought)


def degrees_of_items(rows: csr_array) -> NDArray[np.int64]:
    """Return the number of users of each item: boolean CSR array [U, I] -> int64 [I]."""
    return np.bincount(rows.indices, minlength=rows.shape[1])


def users_with(rows: csr_array) -> NDArray[np.int64]:
    """Return the users with an item, ascending: boolean CSR array [U, I] -> int64 [n]."""
    return np.flatnonzero(np.diff(rows.indptr))


def subtract_pairs(rows: csr_array, other: csr_array) -> csr_array:
    """Return the pairs of `rows` that are not in `other`: boolean CSR arrays of equal shape."""
    kept = ~is_among(keys_of(rows), keys_of(other))
    return to_rows(to_pairs(rows)[kept], rows.shape)


@dataclass(frozen=True, eq=False)
class Interactions:
    """A dataset: positives in three splits, exposures, and the ids of the original log.

    Users and items are numbered from 0. Row u of each boolean CSR array [num_users, num_items]
    holds the items of user u in ascending order. `make_interactions` builds it from pairs.

    Attributes:
        name: the dataset's name, as on the command line.
        train, valid, test: positives, boolean CSR arrays [num_users, num_items]. No pair is in
            two of them.
        exposed: items that were shown but not chosen, boolean CSR array [num_users, num_items].
            Contains no train positive. It may contain positives of valid and test, because
            removing them would leak labels.
        test_exposed: exposed items held out of training for `evaluation.shown_metrics`, boolean CSR
            array [num_users, num_items], or None. No pair is in `exposed` or train as well.
        user_ids, item_ids: ids of the original log, [num_users] and [num_items], integers or
            strings.
        source: what the arrays were made from (checksum of the log, split settings).
        id_objects: by "user" and "item", the ids of a frame if they are objects that no file can
            hold, [num_users] and [num_items]; `user_ids` and `item_ids` are then their text.

    Raises:
        ValueError: shapes differ, a pair is in two splits or exposed in training and test, an
            exposed pair is a train positive, or train is empty.

    Example:
        >>> from recns_tf import datasets
        >>> from recns_tf.config.config import Config
        >>> data = datasets.load(Config(dataset="synthetic-small"))
        >>> data.train.shape
        (1000, 2000)
        >>> items = data.train[[0]].indices  # the train items of user 0
    """

    name: str
    train: csr_array
    valid: csr_array
    test: csr_array
    exposed: csr_array
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    source: dict[str, Any]
    id_objects: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    test_exposed: csr_array | None = None

    def __post_init__(self) -> None:
        shape = (len(self.user_ids), len(self.item_ids))
        parts = self.parts
        for part, rows in parts.items():
            if rows.shape != shape:
                raise ValueError(f"{part} has shape {rows.shape}, but the ids give {shape}")
        if not self.train.nnz:
            raise ValueError(f"dataset {self.name} has no positive pair to train on")
        for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
            if is_among(keys_of(parts[other]), keys_of(parts[one])).any():
                raise ValueError(f"a pair is in both {one} and {other}")
        for part in ("exposed", "test_exposed"):
            if part in parts and is_among(keys_of(parts[part]), keys_of(self.train)).any():
                raise ValueError("an exposed pair is a train positive")
        if (
            "test_exposed" in parts
            and is_among(keys_of(parts["test_exposed"]), keys_of(self.exposed)).any()
        ):
            raise ValueError("a pair is exposed both in training and in test")

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        name: str = "frame",
        split_seed: int = 0,
        test_exposed_share: float = 0.0,
        quiet: bool = False,
        **settings: Any,
    ) -> Interactions:
        """Return the dataset in a data frame with one event per row.

        Args:
            frame: a frame of pandas, Polars or PyArrow, another object with Arrow's C interface,
                or a dict of arrays [n]. Ids may have any hashable type.
            name: name of the dataset, and of its runs.
            split_seed: seed of a random split, and of the draw of held-out exposures.
            test_exposed_share: share of each user's exposures that is held out of training; see
                `datasets.held_out_exposures`.
            quiet: whether not to print what happened to the rows.
            **settings: settings of the command `prepare` with their names, defaults and checks:
                `user` and `item` ("user_id" and "item_id"), the columns of ids; `label`,
                `positive` and `exposed`; `timestamp` and `time_format`; `split`, `split_column`,
                `valid` and `test`; `missing`, `user_core`, `item_core` and `conflicts`.

        Raises:
            UserError: a setting, a column or a value is invalid, or no positive is left.

        Example:
            >>> clicks = {"user": ["ann", "ann", "bob"], "item": [7, 8, 8]}
            >>> data = Interactions.from_frame(clicks, user="user", item="item", quiet=True)
            >>> data.summary()
            'frame: 2 users, 2 items; 3 train, 0 valid, 0 test positives; 0 exposed'
        """
        # By name, because that module builds on this one.
        from_frame = pkgutil.resolve_name("recns_tf.datasets.frames:from_frame")
        made: Interactions = from_frame(
            frame,
            name=name,
            split_seed=split_seed,
            test_exposed_share=test_exposed_share,
            quiet=quiet,
            **settings,
        )
        return made

    @property
    def parts(self) -> dict[str, csr_array]:
        """All pairs by the name of their attribute; without `test_exposed` if that is None."""
        names = ("train", "valid", "test", "exposed", "test_exposed")
        found = {name: getattr(self, name) for name in names}
        return {name: rows for name, rows in found.items() if rows is not None}

    @property
    def num_users(self) -> int:
        """Number of users, U."""
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        """Number of items, I."""
        return len(self.item_ids)

    @property
    def held_out(self) -> csr_array:
        """The positives of valid and test, boolean CSR array [num_users, num_items]."""
        return csr_array(self.valid + self.test)

    @property
    def positives(self) -> csr_array:
        """The positives of all splits, boolean CSR array [num_users, num_items]."""
        return csr_array(self.train + self.held_out)

    def seen(self, part: str) -> csr_array:
        """Return the positives to exclude from the rankings that `part` evaluates.

        Args:
            part: "valid", which excludes train, or "test", which excludes train and valid.

        Returns:
            A boolean CSR array [num_users, num_items].

        Raises:
            KeyError: `part` is neither.
        """
        return {"valid": self.train, "test": csr_array(self.train + self.valid)}[part]

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of all arrays in hexadecimal: equal for equal data, whatever its file format."""
        digest = hashlib.sha256()
        for rows in self.parts.values():
            digest.update(np.ascontiguousarray(rows.indptr, dtype=np.int64).tobytes())
            digest.update(np.ascontiguousarray(rows.indices, dtype=np.int32).tobytes())
        for ids in (self.user_ids, self.item_ids):
            digest.update("\n".join(map(str, ids)).encode())
        return digest.hexdigest()

    def summary(self) -> str:
        """Return one line with the sizes of the graph and of its splits."""
        return (
            f"{self.name}: {count(self.num_users, 'user')}, {count(self.num_items, 'item')}; "
            f"{self.train.nnz:,} train, {self.valid.nnz:,} valid, {self.test.nnz:,} test "
            f"positives; {self.exposed.nnz:,} exposed"
            + (f", {self.test_exposed.nnz:,} in test" if self.test_exposed is not None else "")
        )


def make_interactions(
    name: str,
    *,
    train: Pairs,
    valid: Pairs,
    test: Pairs,
    exposed: Pairs,
    user_ids: NDArray[Any],
    item_ids: NDArray[Any],
    source: dict[str, Any],
) -> Interactions:
    """Build Interactions from pairs of indices, in any order and possibly repeated.

    Exposures that are train positives are dropped, because a chosen item is not a negative.

    Args:
        name: name of the dataset.
        train, valid, test: positives, int64 [n, 2] of user and item indices.
        exposed: items that were shown but not chosen, int64 [n, 2].
        user_ids, item_ids: ids by index, [num_users] and [num_items], integers or strings.
        source: what the pairs were made from; must be serializable as JSON.

    Raises:
        ValueError: an index is outside the graph, a pair is in two splits, or train is empty.

    Example:
        >>> data = make_interactions(
        ...     "shop",
        ...     train=np.array([[0, 0], [0, 1], [1, 2]]),
        ...     valid=np.array([[1, 0]]),
        ...     test=np.array([[0, 2]]),
        ...     exposed=np.array([[1, 1]]),
        ...     user_ids=np.array(["ann", "bob"]),
        ...     item_ids=np.array([70, 80, 90]),
        ...     source={},
        ... )
        >>> data.summary()
        'shop: 2 users, 3 items; 3 train, 1 valid, 1 test positives; 1 exposed'
    """
    shape = (len(user_ids), len(item_ids))
    positives = to_rows(train, shape)
    return Interactions(
        name=name,
        train=positives,
        valid=to_rows(valid, shape),
        test=to_rows(test, shape),
        exposed=subtract_pairs(to_rows(exposed, shape), positives),
        user_ids=user_ids,
        item_ids=item_ids,
        source=source,
    )
