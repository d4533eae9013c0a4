"""Items by their rank in the personalized PageRank of each item."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from tqdm import tqdm

from recns_tf.utils.array_cache import Kind, Stored, cached, checksum
from recns_tf.utils.parallel import over_rows, row_cuts

BLOCK = 32
"""Items whose PageRank is computed together; more of them would not fit a processor's cache."""

LONGER = 1 / 32
"""Largest probability of a walk that is cut."""

LISTS = Kind("pagerank", "the table of PageRank", {"lists": {"lists"}})
FORMAT = 1
"""Version of `ranked_lists`. Increase it with every change, so that older caches are not read."""


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
        self.restart = np.float32(restart)
        self.to_users = shares(train)
        self.to_items = (1 - self.restart) * shares(train.T.tocsr())
        self.steps = max(int(np.ceil(np.log(LONGER) / np.log1p(-restart))) - 1, 1)

    def pagerank(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the personalized PageRank for some items v, integers [n]: float32 [n, I].

        T times, x becomes (1 - r) Pᵀx + r e_v, from x = e_v.
        """
        columns = np.arange(len(items))
        ones = np.ones(len(items), np.float32)
        shape = (self.to_users.shape[1], len(items))
        # Few items are within one step, so that the first step is one of sparse matrices.
        start = csr_array((ones, (items, columns)), shape=shape)
        now = (self.to_items @ (self.to_users @ start)).toarray()
        now[items, columns] += self.restart
        for _ in range(1, self.steps):
            now = self.to_items @ (self.to_users @ now)
            now[items, columns] += self.restart
        return np.ascontiguousarray(now.T)


def shares(rows: csr_array) -> csr_array:
    """Return a boolean CSR array with columns that sum to 1, where they are not empty, float32."""
    counts = np.bincount(rows.indices, minlength=rows.shape[1])
    inverse = (1 / np.maximum(counts, 1)).astype(np.float32)
    return csr_array((inverse[rows.indices], rows.indices, rows.indptr), shape=rows.shape)


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
    num_items = train.shape[1]
    walks = Walks(train, restart)
    lists = np.empty((num_items, length), np.int32)
    turn = threading.Lock()

    with tqdm(total=num_items, desc="PageRank", unit="item", leave=False, disable=None) as bar:

        def fill(start: int, stop: int) -> None:
            for begin in range(start, stop, BLOCK):
                items = np.arange(begin, min(begin + BLOCK, stop))
                values = walks.pagerank(items)
                values[np.arange(len(items)), items] = np.inf
                for item, row in zip(items, values, strict=True):
                    # The item itself has place 0.
                    places = np.argpartition(-row, (first, last))[first : last + 1]
                    # Their order differs between processors.
                    places.sort()
                    rng = np.random.default_rng([seed, int(item)])
                    lists[item] = rng.permutation(places)[:length]
                with turn:
                    bar.update(len(items))

        over_rows(fill, row_cuts(num_items))
    return lists


def cached_lists(
    directory: Path | None,
    train: csr_array,
    first: int,
    last: int,
    length: int,
    restart: float,
    seed: int,
) -> NDArray[np.int32]:
    """Return `ranked_lists`, read from a folder if they are stored there.

    Args:
        directory: folder of the cache, data/NAME; None disables it.
        train, first, last, length, restart, seed: see `ranked_lists`.
    """
    build = partial(ranked_lists, train, first, last, length, restart, seed)
    if directory is None:
        return build()
    key = {
        "format": FORMAT,
        "train": checksum(train),
        "first": first,
        "last": last,
        "length": length,
        "restart": restart,
        "seed": seed,
    }
    entry = cached(directory, LISTS, key, lambda: Stored("lists", {"lists": build()}))
    return entry.arrays["lists"]
