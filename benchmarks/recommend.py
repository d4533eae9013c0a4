"""Lists for the users of a run in every format, relative to a bare Faiss search without masks.

Run: .venv/bin/python -m benchmarks.recommend [--shape=zhihu]

`search` is the float32 search without seen items, and `lists with scores` what the library returns,
ordered by scores in float64. The other rows also write the lists, as the command recommend does.
Embeddings are those of benchmarks.ranking. At most LARGEST users are listed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.ranking import DIM, LARGEST, K, bare_search, fit_embeddings
from benchmarks.runs import write_run
from recns_tf.api import load
from recns_tf.evaluation.scored_lists import SPARE, scored_items
from recns_tf.evaluation.search import search_numpy
from recns_tf.serving.list_files import list_writer
from recns_tf.serving.recommender import Recommender
from recns_tf.utils.files import atomic

FORMATS = {"Parquet": "lists.parquet", "CSV": "lists.csv", "JSON lines": "lists.jsonl"}


def write_lists(model: Recommender, count: int, path: Path) -> None:
    """Write the lists of the first `count` users."""
    with atomic(path) as temporary, list_writer(temporary) as write:
        for part in model.recommendations(model.users.labels[:count], K):
            write(part)


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Measure searches and written lists, relative to a bare search."""
    data = random_interactions(shape)
    users, items = fit_embeddings(data.train, np.random.default_rng(0))
    count = min(len(users), LARGEST)
    queries, seen = users[:count], data.train[:count]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_run(place / "run", data, users, items)
        model = load(place / "run", stored_ids=True)
        functions: dict[str, Callable[[], Any]] = {
            "bare search": partial(bare_search, queries, items),
            "search": partial(search_numpy, queries, items, seen, K + SPARE),
            "lists with scores": partial(scored_items, queries, items, seen, K),
        }
        for format_name, file in FORMATS.items():
            written = partial(write_lists, model, count, place / file)
            functions[f"recommend, {format_name}"] = written
        timings = alternating.time_all(functions, rounds)
    about = f"top {K} of all items for {count:,} users, d = {DIM}"
    return measuring.report("recommend", about, shape, timings, "bare search")


if __name__ == "__main__":
    measuring.run(measure)
