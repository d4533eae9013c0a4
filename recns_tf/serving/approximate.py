"""Approximate lists: a Faiss index proposes items, and their scores are then computed exactly."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.config.search import HNSW, SearchSettings
from recns_tf.evaluation.kernels import keep_unseen
from recns_tf.evaluation.metrics import NO_ITEM
from recns_tf.evaluation.scored_lists import Table, best_first, scored_items, scores_of
from recns_tf.serving import faiss_index


def empty_index(settings: SearchSettings, dim: int) -> faiss.Index:
    """Return an empty index for embeddings of a dimension."""
    if settings.approximate == HNSW:
        return faiss_index.hnsw(
            dim, settings.hnsw_links, settings.hnsw_construction, settings.hnsw_search
        )
    return faiss_index.exact(dim)


class ApproximateSearch:
    """Searches the items of a run with an index.

    Args:
        items: their embeddings, float32 [I, d].
        settings: of the index.

    Example:
        >>> search = ApproximateSearch(items, SearchSettings(approximate="hnsw"))
        >>> top, scores = search(users, seen, k=10)
    """

    def __init__(self, items: Table, settings: SearchSettings):
        self.items = np.ascontiguousarray(items)
        self.index = empty_index(settings, items.shape[1])
        self.index.add(self.items)

    def __call__(
        self, queries: Table, seen: csr_array, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return k unseen items with large scores for each query, and their scores.

        The index is asked for k items beyond the seen ones, so that enough are left. Where it finds
        fewer, the list is the exact one.

        Args:
            queries, seen, k: see `scored_items`.

        Returns:
            int64 [n, k] and float32 [n, k], as `scored_items`; items may be missing from a list,
            but all scores are exact.
        """
        rows = np.arange(len(queries))
        counts = np.diff(seen.indptr)
        depth = min(k + int(counts.max(initial=0)), len(self.items))
        _, found = self.index.search(np.ascontiguousarray(queries), depth)
        top = np.full((len(queries), k), NO_ITEM, dtype=np.int64)
        keep_unseen(
            seen.indptr.astype(np.int64), seen.indices, rows, found, top, np.empty_like(rows)
        )
        top, scores = best_first(top, scores_of(queries, self.items, top), k)
        short = np.flatnonzero(
            (top == NO_ITEM).sum(axis=1) > np.maximum(k + counts - len(self.items), 0)
        )
        if len(short):
            top[short], scores[short] = scored_items(
                queries[short], self.items, csr_array(seen[short]), k
            )
        return top, scores
