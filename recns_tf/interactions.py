"""The user-item graph as arrays: the one value that travels through the package (§2.1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Pairs = NDArray[np.int64]
"""User-item pairs, [n, 2]: a user index and an item index a row."""


def distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return whole numbers from 0 on in ascending order, each once.

    np.unique, which hashes since NumPy 2.3, takes 40 times as long for millions of keys.
    """
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) > 0]


def to_rows(pairs: Pairs, shape: tuple[int, int]) -> csr_array:
    """Return pairs [n, 2] as a boolean CSR array: sorted rows, no pair twice.

    Raises:
        ValueError: an index lies outside `shape`.
    """
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    if len(pairs) and (pairs.min() < 0 or np.any(pairs.max(axis=0) >= shape)):
        raise ValueError(f"a user-item pair lies outside the {shape[0]} x {shape[1]} graph")
    keys = distinct(pairs[:, 0] * shape[1] + pairs[:, 1])
    users, items = np.divmod(keys, shape[1])
    starts = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(users, minlength=shape[0]), out=starts[1:])
    return csr_array((np.ones(len(keys), dtype=bool), items.astype(np.int32), starts), shape=shape)


def to_pairs(rows: csr_array) -> Pairs:
    """Return the nonzeros of a CSR array as pairs [n, 2], in row order."""
    users = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return np.stack([users, rows.indices], axis=1).astype(np.int64)


def keys_of(rows: csr_array) -> NDArray[np.int64]:
    """Return user * num_items + item for every nonzero, ascending: one number a pair."""
    pairs = to_pairs(rows)
    return pairs[:, 0] * rows.shape[1] + pairs[:, 1]


def is_among(sought: NDArray[np.int64], keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each element of `sought`, of any shape, is among the ascending `keys`."""
    if not len(keys):
        return np.zeros(sought.shape, dtype=bool)
    nearest = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    return np.asarray(keys[nearest] == sought)


def degrees_of_items(rows: csr_array) -> NDArray[np.int64]:
    """Return how many users have each item: boolean CSR array [U, I] -> [I]."""
    return np.bincount(rows.indices, minlength=rows.shape[1])


def users_with(rows: csr_array) -> NDArray[np.int64]:
    """Return the users who have an item in `rows`, ascending: boolean CSR array [U, I] -> [n]."""
    return np.flatnonzero(np.diff(rows.indptr))


def subtract_pairs(rows: csr_array, other: csr_array) -> csr_array:
    """Return `rows` less every pair that `other` holds."""
    kept = ~is_among(keys_of(rows), keys_of(other))
    return to_rows(to_pairs(rows)[kept], rows.shape)


@dataclass(frozen=True, eq=False)
class Interactions:
    """A dataset: positives in three splits, exposures, and the ids of the original log.

    Users and items are numbered from 0; row u of each [num_users, num_items] boolean CSR
    array holds the items of user u in ascending order.

    Attributes:
        name: the dataset's name, as on the command line.
        train, valid, test: positives; no pair stands in two of them.
        exposed: items shown to a user and not chosen; no positive of train is among them.
            Positives of valid and test may be: taking them out would leak labels.
        user_ids, item_ids: [num_users] and [num_items], the log's own ids, for output.
        source: what the arrays were made from (checksum of the log, split settings).

    Raises:
        ValueError: shapes differ, a pair stands in two splits, an exposed pair is a train
            positive, or train is empty.
    """

    name: str
    train: csr_array
    valid: csr_array
    test: csr_array
    exposed: csr_array
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    source: dict[str, Any]

    def __post_init__(self) -> None:
        shape = (len(self.user_ids), len(self.item_ids))
        parts = {part: getattr(self, part) for part in ("train", "valid", "test", "exposed")}
        for part, rows in parts.items():
            if rows.shape != shape:
                raise ValueError(f"{part} is {rows.shape} where the ids make {shape}")
        if not self.train.nnz:
            raise ValueError(f"dataset {self.name} has no positive pair to train on")
        for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
            if is_among(keys_of(parts[other]), keys_of(parts[one])).any():
                raise ValueError(f"a pair stands in both {one} and {other}")
        if is_among(keys_of(self.exposed), keys_of(self.train)).any():
            raise ValueError("an exposed pair is a train positive")

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
        """The positives of valid and test, [num_users, num_items]."""
        return csr_array(self.valid + self.test)

    @property
    def positives(self) -> csr_array:
        """The positives of all splits, [num_users, num_items]."""
        return csr_array(self.train + self.held_out)

    def seen(self, part: str) -> csr_array:
        """Return what is known of users before `part` is, and no candidate when it is ranked for.

        Args:
            part: "valid", before which train is known, or "test", before which valid is, too.
        """
        return {"valid": self.train, "test": csr_array(self.train + self.valid)}[part]

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over every array: equal for equal data, whatever file it came from."""
        digest = hashlib.sha256()
        for rows in (self.train, self.valid, self.test, self.exposed):
            digest.update(np.ascontiguousarray(rows.indptr, dtype=np.int64).tobytes())
            digest.update(np.ascontiguousarray(rows.indices, dtype=np.int32).tobytes())
        for ids in (self.user_ids, self.item_ids):
            digest.update("\n".join(map(str, ids)).encode())
        return digest.hexdigest()

    def summary(self) -> str:
        """Return one line for the screen: sizes of the graph and of its splits."""
        return (
            f"{self.name}: {self.num_users:,} users, {self.num_items:,} items; "
            f"{self.train.nnz:,} train, {self.valid.nnz:,} valid, {self.test.nnz:,} test "
            f"positives; {self.exposed.nnz:,} exposed"
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
    """Build Interactions from pairs [n, 2] of indices, in any order and with repeats.

    Exposures that are train positives are dropped: a chosen item is no negative.

    Raises:
        ValueError: as Interactions, or an index lies outside the graph.
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
