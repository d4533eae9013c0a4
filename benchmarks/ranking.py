"""Top-20 lists of all users: our two engines beside a bare search of Faiss, which masks nothing.

Run: .venv/bin/python -m benchmarks.ranking [--users=16015 --items=44175 --edges=2630000]

The defaults are the size of Zhihu. Embeddings are random, then fitted to the train pairs, so that
seen items crowd the first places, as they do once a model is trained. Ratios are between medians
of alternating rounds in one run; the machine's own speed drops out of them.
"""

from __future__ import annotations

from functools import partial

import faiss
import numpy as np
from absl import app, flags
from numpy.typing import NDArray
from scipy.sparse import csr_array

from benchmarks import alternating
from benchmarks.graphs import ZHIHU, random_train
from recns_tf import ranking
from recns_tf.catalog import RANKERS

USERS = flags.DEFINE_integer("users", ZHIHU[0], "number of users", lower_bound=1)
ITEMS = flags.DEFINE_integer("items", ZHIHU[1], "number of items", lower_bound=20)
EDGES = flags.DEFINE_integer("edges", ZHIHU[2], "train pairs, about")
DIM = flags.DEFINE_integer("dim", 64, "embedding dimension", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "rounds timed, after one that is not", lower_bound=1)

Tables = tuple[NDArray[np.float32], NDArray[np.float32]]


def random(num_rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return normal embeddings, [num_rows, d]."""
    return rng.normal(size=(num_rows, DIM.value)).astype(np.float32)


def fitted(train: csr_array, rng: np.random.Generator) -> Tables:
    """Return users and items whose products are near `train`: a randomised SVD of rank d."""
    cells = train.astype(np.float32)
    users = cells @ random(train.shape[1], rng)
    for _ in range(2):
        users = cells @ (cells.T @ np.linalg.qr(users)[0])
    users = np.ascontiguousarray(np.linalg.qr(users)[0])
    return users, np.ascontiguousarray(cells.T @ users)


def main(_: list[str]) -> None:
    """Time every engine in both worlds and print medians and ratios."""
    train = random_train(USERS.value, ITEMS.value, EDGES.value)
    rng = np.random.default_rng(0)
    worlds = {
        "random": (random(USERS.value, rng), random(ITEMS.value, rng)),
        "fitted": fitted(train, rng),
    }
    everyone = np.arange(USERS.value)
    print(f"{USERS.value:,} users, {ITEMS.value:,} items, {train.nnz:,} seen, d = {DIM.value}")
    for world, tables in worlds.items():

        def bare(tables: Tables = tables) -> None:
            index = faiss.IndexFlatIP(DIM.value)
            index.add(tables[1])
            index.search(tables[0], 20)

        exact = {
            ranker: partial(ranking.top_items, *tables, everyone, train, ranker=ranker)
            for ranker in RANKERS
        }
        timings = alternating.time_all({"bare": bare, **exact}, ROUNDS.value)
        print(f"{world} embeddings")
        print(alternating.table(alternating.rows(timings, "bare"), "bare"))


if __name__ == "__main__":
    app.run(main)
