"""Top-20 lists: our two engines beside a bare search of Faiss, which masks nothing.

Run: .venv/bin/python -m benchmarks.ranking [--shape=zhihu]

Embeddings are fitted to the train pairs, so that seen items crowd the first places, as they do once
a model is trained. `authors' way` is a search to a fixed depth of 500 whose seen items are dropped,
which loses items of users who have seen many; `brute force` sorts every score. All users of the
graph take part, at most LARGEST of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_train
from recns_tf.evaluation import ranking
from recns_tf.registry import RANKERS
from recns_tf.utils.quiet import silenced_stderr

DIM = 64
K = 20
LARGEST = 16_384
BLOCK = 256

Table = NDArray[np.float32]


def fitted(train: csr_array, rng: np.random.Generator) -> tuple[Table, Table]:
    """Return users and items whose products are near `train`: a randomised SVD of rank d."""
    cells = train.astype(np.float32)
    users = cells @ rng.normal(size=(train.shape[1], DIM)).astype(np.float32)
    for _ in range(2):
        users = cells @ (cells.T @ np.linalg.qr(users)[0])
    users = np.ascontiguousarray(np.linalg.qr(users)[0])
    return users, np.ascontiguousarray(cells.T @ users)


def bare_search(users: Table, items: Table) -> None:
    """Search with Faiss, masking nothing."""
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    index.search(users, K)


def brute_force(users: Table, items: Table, seen: csr_array) -> NDArray[np.int64]:
    """Return the lists of all users [n, K] from their whole rows of scores, with NumPy."""
    top = np.empty((len(users), K), np.int64)
    for first in range(0, len(users), BLOCK):
        scores = users[first : first + BLOCK] @ items.T
        rows, columns = seen[first : first + BLOCK].nonzero()
        scores[rows, columns] = -np.inf
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        top[first : first + BLOCK] = np.take_along_axis(best, order, axis=1)
    return top


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Return the times of every engine beside a bare search."""
    # The engine of that name imports it, and not on the clock.
    with silenced_stderr():
        import tensorflow  # noqa: F401

    train = random_train(shape)
    users, items = fitted(train, np.random.default_rng(0))
    everyone = np.arange(min(len(users), LARGEST))
    rank = partial(ranking.top_items, users, items, everyone, train, K)
    functions: dict[str, Callable[[], Any]] = {
        "bare search": partial(bare_search, users[everyone], items),
        **{name: partial(rank, ranker=name) for name in RANKERS},
        "authors' way": partial(rank, depth=500),
        "brute force": partial(brute_force, users[everyone], items, train[everyone]),
    }
    return measuring.report(
        "ranking",
        f"top {K} of all items for {len(everyone):,} users, d = {DIM}",
        shape,
        alternating.time_all(functions, rounds),
        "bare search",
    )


if __name__ == "__main__":
    measuring.run(measure)
