"""Lists whose order is that of scores in float64, rounded to float32, then of item numbers."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf.evaluation import scored_lists
from recns_tf.evaluation.scored_lists import NO_ITEM, scored_items


def sorted_in_full(queries, items, seen, k):
    """Sort all items of each query with Python's numbers."""
    top = np.full((len(queries), k), NO_ITEM)
    values = np.full((len(queries), k), -np.inf, np.float32)
    for row, query in enumerate(queries.tolist()):
        scored = []
        for item, vector in enumerate(items.tolist()):
            if not seen[row, item]:
                score = np.float32(sum(a * b for a, b in zip(query, vector, strict=True)))
                scored.append((-score, item))
        for place, (score, item) in enumerate(sorted(scored)[:k]):
            top[row, place], values[row, place] = item, -score
    return top, values


def world(seed, num_users, num_items, kind, dim=5):
    """Random embeddings; those of kind "ties" are few different rows, of "near" almost equal."""
    rng = np.random.default_rng(seed)
    users = rng.normal(size=(num_users, dim))
    items = rng.normal(size=(num_items, dim))
    if kind == "ties":
        items = items[rng.integers(0, min(3, num_items), num_items)]
        users[0] = 0
    if kind == "near":
        items = items[:1] * (1 + 1e-8 * rng.integers(0, 50, (num_items, 1)))
    seen = rng.random((num_users, num_items)) < 0.3
    return users.astype(np.float32), items.astype(np.float32), seen


@given(
    st.integers(0, 999),
    st.integers(1, 12),
    st.integers(1, 60),
    st.sampled_from(["random", "ties", "near"]),
    st.integers(1, 25),
)
@settings(max_examples=60)
@pytest.mark.slow
def test_lists_match_a_full_sort(seed, num_users, num_items, kind, k):
    users, items, seen = world(seed, num_users, num_items, kind)
    top, scores = scored_items(users, items, csr_array(seen), k)
    expected, values = sorted_in_full(users, items, seen, k)
    np.testing.assert_array_equal(top, expected)
    np.testing.assert_array_equal(scores, values)
    assert scores.dtype == np.float32


def test_blocks_change_nothing(monkeypatch):
    users, items, seen = world(3, 40, 200, "ties")
    whole = scored_items(users, items, csr_array(seen), 7)
    monkeypatch.setattr(scored_lists, "BLOCK_BYTES", 8_000)
    for one, other in zip(scored_items(users, items, csr_array(seen), 7), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_item_that_float32_would_hide_is_found():
    """The scores differ by less than the rounding error of sums in float32."""
    rng = np.random.default_rng(0)
    query = rng.normal(size=(1, 64)).astype(np.float32)
    base = rng.normal(size=64).astype(np.float32)
    items = np.tile(base, (300, 1))
    for row in range(300):
        place = row % 64
        items[row, place] = np.nextafter(items[row, place], np.float32(np.inf))
    seen = np.zeros((1, 300), dtype=bool)
    top, scores = scored_items(query, items, csr_array(seen), 5)
    expected, values = sorted_in_full(query, items, seen, 5)
    np.testing.assert_array_equal(top, expected)
    np.testing.assert_array_equal(scores, values)


def test_few_users_need_all_scores_in_float64(monkeypatch):
    """The fast path is the usual one: otherwise it would be pointless."""
    calls = []
    exact = scored_lists.search_exactly
    monkeypatch.setattr(
        scored_lists, "search_exactly", lambda q, *rest: calls.append(len(q)) or exact(q, *rest)
    )
    users, items, seen = world(1, 200, 2_000, "random", dim=16)
    scored_items(users, items, csr_array(seen), 20)
    assert sum(calls) < 10
    scored_items(
        *(each[:0] if each is users else each for each in (users, items)), csr_array(seen[:0]), 20
    )


def test_docstring_example():
    result = doctest.testmod(scored_lists, extraglobs={"csr_array": csr_array})
    assert result.attempted and not result.failed
