"""Top-20 lists of both engines, relative to a bare Faiss search without masks.

Run: .venv/bin/python -m benchmarks.ranking [--shape=zhihu]

Embeddings are fitted to the train pairs, so that seen items have the highest scores, as in a
trained model. `authors' way` searches to a fixed depth of 500 and drops seen items, which gives
short lists to users who have seen many. `brute force` sorts all scores. At most LARGEST users are
ranked.
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


def fit_embeddings(train: csr_array, rng: np.random.Generator) -> tuple[Table, Table]:
    """Return user and item embeddings whose products approximate `train`, by a randomized SVD."""
    cells = train.astype(np.float32)
    users = cells @ rng.normal(size=(train.shape[1], DIM)).astype(np.float32)
    for _ in range(2):
        users = cells @ (cells.T @ np.linalg.qr(users)[0])
    users = np.ascontiguousarray(np.linalg.qr(users)[0])
    return users, np.ascontiguousarray(cells.T @ users)


def bare_search(users: Table, items: Table) -> None:
    """Search with Faiss, without masks."""
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    index.search(users, K)


def brute_force(users: Table, items: Table, seen: csr_array) -> NDArray[np.int64]:
    """Return the lists of all users, int64 [n, K], from full rows of scores, with NumPy."""
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
    """Measure every engine, relative to a bare search."""
    # Import TensorFlow before its engine does, so that the import is not timed.
    with silenced_stderr():
        import tensorflow  # noqa: F401

    train = random_train(shape)
    users, items = fit_embeddings(train, np.random.default_rng(0))
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
