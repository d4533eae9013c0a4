"""Faiss indexes of the items of a run, exact or approximate, for searches by inner product."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from recns_tf.evaluation.scored_lists import Table
from recns_tf.utils.new_files import refuse_existing
from recns_tf.utils.together import written_together

IDS_ENDING = ".ids.json"
"""What follows the name of an index in that of the file with its ids, if they are text."""

SAMPLE, SEED = 10_000, 0
"""Users whose lists measure an approximate index, and the seed that draws them."""


def exact(dim: int) -> faiss.Index:
    """Return an empty index that searches all items."""
    return faiss.IndexFlatIP(dim)


def hnsw(dim: int, links: int, ef_construction: int, ef_search: int) -> faiss.Index:
    """Return an empty index that searches a graph of items (Malkov and Yashunin 2020).

    Args:
        dim: d, the dimension of the embeddings.
        links: M, the number of links of an item in each layer of the graph.
        ef_construction, ef_search: how many items are kept during construction and search.
    """
    index = faiss.IndexHNSWFlat(dim, links, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = ef_construction
    index.hnsw.efSearch = ef_search
    return index


def with_ids(index: faiss.Index, table: Table, ids: NDArray[Any]) -> faiss.Index:
    """Add items to an empty index.

    Args:
        index: the index.
        table: embeddings of the items, float32 [I, d].
        ids: their ids, [I]; if they are not integers, searches return the items' numbers.

    Returns:
        An index that maps ids, an IndexIDMap2.
    """
    mapped = faiss.IndexIDMap2(index)
    numbers = ids if has_integers(ids) else np.arange(len(ids))
    mapped.add_with_ids(np.ascontiguousarray(table), numbers.astype(np.int64))
    return mapped


def has_integers(ids: NDArray[Any]) -> bool:
    """Return whether ids can be those of a Faiss index, int64 other than -1, which is no item."""
    if ids.dtype.kind not in "iu":
        return False
    return bool(ids.min(initial=0) >= 0 and ids.max(initial=0) <= np.iinfo(np.int64).max)


def recall(index: faiss.Index, table: Table, ids: NDArray[Any], users: Table, k: int) -> float:
    """Return the share of the exact lists that an index finds, for a sample of users.

    Args:
        index: an index of `with_ids`.
        table, ids: as there.
        users: embeddings of users, float32 [U, d]; at most SAMPLE of them are drawn.
        k: length of the lists.
    """
    drawn = np.arange(len(users))
    if len(users) > SAMPLE:
        drawn = np.random.default_rng(SEED).choice(len(users), SAMPLE, replace=False)
    sample = np.ascontiguousarray(users[drawn])
    _, wanted = with_ids(exact(table.shape[1]), table, ids).search(sample, k)
    _, found = index.search(sample, k)
    hits = [len(np.intersect1d(one, other)) for one, other in zip(wanted, found, strict=True)]
    return float(np.mean(hits) / k)


def write(index: faiss.Index, ids: NDArray[Any], path: Path, overwrite: bool) -> list[Path]:
    """Write an index, and beside it the ids by number if they are no integers.

    Both files appear together, or neither.

    Args:
        index: an index of `with_ids`.
        ids: as there.
        path: the file.
        overwrite: whether to replace an existing one.

    Returns:
        The files.

    Raises:
        UserError: there is a file already, and `overwrite` is False.
    """
    beside = path.with_name(path.name + IDS_ENDING)
    texts = [] if has_integers(ids) else [beside]
    for file in (path, beside):
        refuse_existing(file, overwrite)
    with written_together(path.parent, last=path.name) as new:
        for file in (path, beside):
            refuse_existing(file, overwrite)
        faiss.write_index(index, str(new / path.name))
        for file in texts:
            text = json.dumps(ids.tolist(), ensure_ascii=False)
            (new / file.name).write_text(f"{text}\n", encoding="utf-8")
    if not texts:
        # It would be that of an earlier index.
        beside.unlink(missing_ok=True)
    return [path, *texts]
