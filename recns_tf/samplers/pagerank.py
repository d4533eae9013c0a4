"""Items by their rank in the personalized PageRank of each item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.utils.compiled import compiled
from recns_tf.utils.parallel import over_rows, row_cuts

BLOCK = 16
"""Items whose PageRank is computed together; more of them would not fit a processor's cache."""

LONGER = 1 / 32
"""Largest probability of a walk that is cut."""


class Walks:
    """Random walks with restart on a user-item graph.

    A step goes from an item to one of its users, and on to one of that user's items, each equally
    likely: P[v, j]. The personalized PageRank of item v is the distribution of where a walk from v
    is when it restarts, Σ_t r (1 - r)^t P^t[v, ·]. Here, a walk restarts after T steps at the
    latest, so that the weight of P^T is (1 - r)^T. T is the least number of steps that
    (1 - r)^(T + 1) ≤ LONGER of the walks would exceed.

    Args:
        train: boolean CSR array [U, I].
        restart: r, above 0 and below 1.
    """

    def __init__(self, train: csr_array, restart: float):
        self.of_users = graph_of(train)
        self.of_items = graph_of(train.T.tocsr())
        self.restart = np.float32(restart)
        self.steps = max(int(np.ceil(np.log(LONGER) / np.log1p(-restart))) - 1, 1)

    def pagerank(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the personalized PageRank for some items v, integers [n]: float32 [n, I]."""
        starts, users, share_of_user = self.of_items
        user_starts, columns, share_of_item = self.of_users
        now = np.zeros((len(starts) - 1, len(items)), np.float32)
        now[items, np.arange(len(items))] = 1
        total = self.restart * now
        at_users = np.empty((len(user_starts) - 1, len(items)), np.float32)
        for step in range(1, self.steps + 1):
            if step == 1:
                now[:] = 0
                first_step(starts, users, user_starts, columns, items, now)
            else:
                now *= share_of_user[:, None]
                add_neighbors(user_starts, columns, now, at_users)
                at_users *= share_of_item[:, None]
                add_neighbors(starts, users, at_users, now)
            weight = (1 - self.restart) ** step
            total += now * (weight if step == self.steps else weight * self.restart)
        return np.ascontiguousarray(total.T)


def graph_of(
    rows: csr_array,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Return where rows start, their columns, and 1 over the number of each row's columns."""
    degree = np.diff(rows.indptr).astype(np.float32)
    inverse = np.divide(1, degree, out=np.zeros_like(degree), where=degree > 0)
    return rows.indptr.astype(np.int64), rows.indices.astype(np.int32), inverse


@compiled()
def first_step(  # type: ignore[no-untyped-def]
    item_starts, users_of, user_starts, items_of, items, result
):
    """Add the distribution after one step from items[n] to column n of `result`."""
    for column in range(len(items)):
        first, last = item_starts[items[column]], item_starts[items[column] + 1]
        for place in range(first, last):
            start, stop = user_starts[users_of[place]], user_starts[users_of[place] + 1]
            share = np.float32(1 / ((last - first) * (stop - start)))
            for entry in range(start, stop):
                result[items_of[entry], column] += share


@compiled()
def add_neighbors(starts, columns, table, result):  # type: ignore[no-untyped-def]
    """Set each row of `result` to the sum of the rows of `table` that its columns name."""
    width = table.shape[1]
    for row in range(len(starts) - 1):
        for place in range(width):
            result[row, place] = 0
        for entry in range(starts[row], starts[row + 1]):
            for place in range(width):
                result[row, place] += table[columns[entry], place]


def ranked_lists(
    train: csr_array, first: int, last: int, length: int, restart: float, seed: int
) -> NDArray[np.int32]:
    """Return items whose rank for each item is from `first` to `last`.

    Rank 1 is the item with the largest personalized PageRank, the item itself left out. Items of
    equal value, such as those that no walk reaches, are ranked in an arbitrary order.

    Args:
        train: boolean CSR array [U, I].
        first, last: 1 to I - 1.
        length: L, at most last - first + 1; if it is less, L of the ranks are drawn uniformly.
        restart: of the walks.
        seed: of these draws.

    Returns:
        int32 [I, L], distinct in each row, in no particular order.
    """
    walks = Walks(train, restart)
    lists = np.empty((train.shape[1], length), np.int32)

    def fill(start: int, stop: int) -> None:
        for begin in range(start, stop, BLOCK):
            items = np.arange(begin, min(begin + BLOCK, stop))
            values = walks.pagerank(items)
            values[np.arange(len(items)), items] = np.inf
            for item, row in zip(items, values, strict=True):
                # The item itself has place 0.
                places = np.argpartition(-row, (first, last))[first : last + 1]
                rng = np.random.default_rng([seed, int(item)])
                lists[item] = rng.permutation(places)[:length]

    over_rows(fill, row_cuts(train.shape[1]))
    return lists
