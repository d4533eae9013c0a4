"""Lists from an index: exact scores, no seen items, and full lists."""

import faiss
import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.config.search import SearchSettings
from recns_tf.evaluation.metrics import NO_ITEM
from recns_tf.evaluation.scored_lists import scored_items
from recns_tf.serving.approximate import ApproximateSearch


def tables(num_users=30, num_items=400, dim=16, seen_share=0.1):
    rng = np.random.default_rng(3)
    users, items = (
        rng.normal(size=(rows, dim)).astype(np.float32) for rows in (num_users, num_items)
    )
    seen = rng.random((num_users, num_items)) < seen_share
    seen[0] = True
    seen[0, [4, 9]] = False
    seen[1] = False
    return users, items, csr_array(seen)


@pytest.mark.parametrize("k", [1, 7, 400])
def test_an_index_of_all_items_gives_the_exact_lists(k):
    users, items, seen = tables()
    top, scores = ApproximateSearch(items, SearchSettings())(users, seen, k)
    expected, exact = scored_items(users, items, seen, k)
    np.testing.assert_array_equal(top, expected)
    np.testing.assert_array_equal(scores, exact)


def test_a_graph_leaves_out_seen_items_and_its_scores_are_exact():
    users, items, seen = tables()
    settings = SearchSettings(approximate="hnsw", hnsw_links=8, hnsw_search=20)
    search = ApproximateSearch(items, settings)
    assert isinstance(search.index, faiss.IndexHNSWFlat) and search.index.hnsw.efSearch == 20
    top, scores = search(users, seen, 10)
    expected, _ = scored_items(users, items, seen, 10)
    hits = sum(len(np.intersect1d(*both)) for both in zip(top[1:], expected[1:], strict=True))
    assert hits > 9 * 29
    marked = seen.toarray()
    for row, (found, values) in enumerate(zip(top, scores, strict=True)):
        known = found != NO_ITEM
        assert known.sum() == (2 if row == 0 else 10)
        assert not marked[row, found[known]].any()
        wanted = (users[row].astype(float) @ items[found[known]].astype(float).T).astype(np.float32)
        np.testing.assert_array_equal(values[known], wanted)
        assert np.all(np.diff(values[known]) <= 0) and np.all(np.isneginf(values[~known]))


def test_lists_that_the_index_cannot_fill_are_searched_exactly():
    users, items, seen = tables()

    class Poor:
        """An index that finds nothing but its first item."""

        def search(self, queries, depth):
            found = np.full((len(queries), depth), -1, np.int64)
            found[:, 0] = 0
            return np.zeros(found.shape, np.float32), found

    search = ApproximateSearch(items, SearchSettings())
    search.index = Poor()
    top, scores = search(users, seen, 5)
    expected, exact = scored_items(users, items, seen, 5)
    np.testing.assert_array_equal(top, expected)
    np.testing.assert_array_equal(scores, exact)
