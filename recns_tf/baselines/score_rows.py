"""Exact full ranking for recommenders that score all items of a user at once.

The conventions are those of `ranking`: seen items are masked, and NO_ITEM pads short lists. Ties go
to the lower item, so that equal scores give the same lists on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.baselines.base import Scorer
from recns_tf.evaluation.metrics import NO_ITEM
from recns_tf.evaluation.part_metrics import part_metrics
from recns_tf.evaluation.scored_lists import blocks
from recns_tf.interactions import to_pairs, users_with


def top_items(
    scores: Scorer, users: NDArray[np.integer], seen: csr_array, k: int = 20
) -> NDArray[np.int64]:
    """Return the k unseen items with the largest scores for each user, best first.

    Args:
        scores: returns the scores of all items for given users.
        users: integer [n], the users to rank for.
        seen: boolean CSR array [U, I], the items to exclude.
        k: length of the lists.

    Returns:
        int64 [n, k]; NO_ITEM pads the lists of users with fewer than k unseen items.
    """
    top, _ = scored_items(scores, users, seen, k)
    return top


def scored_items(
    scores: Scorer, users: NDArray[np.integer], seen: csr_array, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the lists of `top_items`, and their scores, float64 [n, k], -inf after their end."""
    num_items = seen.shape[1]
    top = np.full((len(users), k), NO_ITEM, dtype=np.int64)
    values = np.full((len(users), k), -np.inf)
    for block in blocks(len(users), num_items):
        rows = scores(users[block])
        masked = to_pairs(csr_array(seen[users[block]]))
        rows[masked[:, 0], masked[:, 1]] = -np.inf
        best = top_of_rows(rows, min(k, num_items))
        values[block, : best.shape[1]] = np.take_along_axis(rows, best, axis=1)
        found = values[block, : best.shape[1]] > -np.inf
        top[block, : best.shape[1]] = np.where(found, best, NO_ITEM)
    return top, values


def top_of_rows(rows: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Return the columns of the k largest numbers of each row, largest first, int64 [n, k].

    Ties go to the lower column, also at the end of the list, where np.argpartition alone would
    choose arbitrarily.
    """
    last = np.partition(rows, -k, axis=1)[:, [-k]]
    larger, equal = rows > last, rows == last
    places_left = k - larger.sum(axis=1, keepdims=True)
    chosen = larger | (equal & (np.cumsum(equal, axis=1) <= places_left))
    columns = np.nonzero(chosen)[1].reshape(len(rows), k)
    order = np.argsort(-np.take_along_axis(rows, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def evaluate(
    scores: Scorer,
    held_out: csr_array,
    seen: csr_array,
    k: int | Sequence[int] = 20,
    *,
    train: csr_array | None = None,
) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """Return the metrics of `ranking.evaluate`, and the ranked lists.

    Args:
        scores: returns the scores of all items for given users.
        held_out: boolean CSR array [U, I], the relevant items.
        seen: boolean CSR array [U, I], the items to exclude: train for validation, train and
            valid for test.
        k, train: see `ranking.evaluate`.

    Returns:
        The metrics; and the lists, int64 [U, L] with L the largest K, with NO_ITEM in the rows of
        users without held-out items.
    """
    ks = [k] if isinstance(k, int) else k
    users = users_with(held_out)
    lists = np.full((held_out.shape[0], max(ks)), NO_ITEM, dtype=np.int64)
    lists[users] = top_items(scores, users, seen, max(ks))
    return part_metrics(lists[users], held_out, seen, ks, train), lists
