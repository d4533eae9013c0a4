import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf.ops import compiled_kernels, item_sets, kernels, random
from recns_tf.ops.bitmap import Bitmap
from recns_tf.ops.item_sets import ComplementItems, Fallback, ListedItems, Pool
from tests.goodness_of_fit import chi_square
from tests.ops.test_random import POSITIVES, draw


def bitmap(inside, spare_words=0):
    """Return the Bitmap of a boolean array [num_users, num_items]."""
    num_users, num_items = inside.shape
    num_words = -(-num_items // 64) + spare_words
    words = np.zeros((num_users, num_words), dtype=np.uint64)
    for u, item in np.argwhere(inside):
        words[u, item // 64] |= np.uint64(1 << (int(item) % 64))
    return Bitmap(words, num_items)


def pool(inside):
    """Return the Pool of a boolean array [num_users, num_items]."""
    counts = inside.sum(axis=1).astype(np.int32)
    items = np.zeros((len(inside), max(1, counts.max())), dtype=np.int32)
    for u, row in enumerate(inside):
        items[u, : counts[u]] = np.flatnonzero(row)
    sets = Pool(*inside.shape, items.shape[1])
    sets.assign(items, counts)
    return sets


def check(sets, inside):
    """Assert that ranks enumerate the items of each row in order, eagerly and in a graph."""
    num_users, num_items = inside.shape
    users = tf.range(num_users)
    ranks = tf.tile(tf.range(num_items + 300)[None, :], [num_users, 1])
    np.testing.assert_array_equal(sets.count(users), inside.sum(axis=1))
    np.testing.assert_array_equal(tf.function(sets.count)(users), inside.sum(axis=1))
    for item in (sets.item, tf.function(sets.item)):
        items = item(users, ranks).numpy()
        assert items.dtype == np.int32
        assert ((items >= 0) & (items < num_items)).all()
        for u, row in enumerate(inside):
            np.testing.assert_array_equal(items[u, : row.sum()], np.flatnonzero(row))
    every = tf.tile(tf.range(num_items)[None, ::-1], [num_users, 1])
    for contains in (tf.function(sets.contains), sets.contains):
        np.testing.assert_array_equal(contains(users, every), inside[:, ::-1])
    some = np.random.default_rng(num_items).integers(num_items, size=num_items // 2 + 2)
    backwards = np.repeat(np.arange(num_users)[::-1], 2)
    for implementation in (kernels.NUMBA, kernels.TENSORFLOW):
        with kernels.using(implementation):
            for membership in (tf.function(sets.membership), sets.membership):
                found = membership(tf.constant(backwards, tf.int32), tf.constant(some, tf.int32))
                np.testing.assert_array_equal(found, inside[backwards][:, some])


@st.composite
def sets_of_any_density(draw):
    """Boolean [num_users, num_items]: rows from empty to full, with runs or random bits."""
    num_items = draw(st.sampled_from([1, 2, 63, 64, 65, 127, 255, 256, 257, 320, 513, 1100]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = []
    for kind in draw(st.lists(st.sampled_from("efnrsl"), min_size=1, max_size=6)):
        row = np.zeros(num_items, dtype=bool)
        if kind == "f":
            row[:] = True
        elif kind == "n":
            row = rng.random(num_items) < rng.choice([0.01, 0.1, 0.5, 0.9, 0.99])
        elif kind == "r":
            row = np.repeat(rng.random(num_items // 32 + 1) < 0.4, 32)[:num_items]
        elif kind == "s":
            row[rng.integers(num_items)] = True
        elif kind == "l":
            row[63::64] = True
        rows.append(row)
    return np.array(rows)


@pytest.mark.slow
@given(sets_of_any_density(), st.sampled_from([0, 1, 4]))
@settings(max_examples=40)
def test_bitmap_holds_the_items_of_its_set_bits(inside, spare_words):
    check(bitmap(inside, spare_words), inside)


@pytest.mark.slow
@given(sets_of_any_density())
@settings(max_examples=20)
def test_pool_holds_the_assigned_items(inside):
    check(pool(inside), inside)


@pytest.mark.slow
@pytest.mark.parametrize("position", range(64))
def test_every_bit_position_of_a_word_is_found(position):
    inside = np.zeros((2, 512), dtype=bool)
    inside[0, [64 + position, 320 + position]] = True
    inside[1] = ~inside[0]
    check(bitmap(inside), inside)


def test_bitmap_rank_out_of_range_gives_a_valid_item():
    sets = bitmap(np.zeros((3, 70), dtype=bool))
    ranks = tf.constant([[-(2**31), -1, 0, 1, 69, 2**31 - 1]] * 3)
    items = sets.item(tf.range(3), ranks).numpy()
    assert ((items >= 0) & (items < 70)).all()
    full = bitmap(np.ones((3, 70), dtype=bool)).item(tf.range(3), ranks).numpy()
    assert ((full >= 0) & (full < 70)).all()


@pytest.mark.slow
@pytest.mark.parametrize("form", [bitmap, pool])
@pytest.mark.parametrize("function", [random.with_replacement, random.without_replacement])
def test_all_forms_draw_the_same_items(form, function):
    rng = np.random.default_rng(0)
    inside = rng.random((50, 700)) < rng.random((50, 1)) ** 2
    inside[[7, 49]] = False
    users = tf.constant(rng.integers(0, 50, 400), tf.int32)
    listed, other = ListedItems(csr_array(inside)), form(inside)
    of_listed = tf.function(lambda seed: function(listed, users, 20, seed))
    of_other = tf.function(lambda seed: function(other, users, 20, seed))
    filled = inside.any(axis=1)[users.numpy()]
    for n in range(5):
        seed = random.root(n)
        np.testing.assert_array_equal(of_listed(seed)[filled], of_other(seed)[filled])


@pytest.mark.slow
@pytest.mark.parametrize("form", [bitmap, pool])
def test_draws_from_every_form_are_uniform(form):
    inside = np.zeros((2, 300), dtype=bool)
    inside[1, [0, 63, 64, 191, 256, 299]] = True
    sets = form(inside)
    items = np.sort(draw(random.without_replacement, sets, 1, 3, 40_000), axis=1)
    subsets = list(itertools.combinations(np.flatnonzero(inside[1]).tolist(), 3))
    counts = [(items == subset).all(axis=1).sum() for subset in subsets]
    assert sum(counts) == len(items)
    assert chi_square(counts, np.ones(20)) > 1e-3
    items = draw(random.with_replacement, sets, 1, 4, 10_000)
    assert chi_square(np.bincount(items.ravel(), minlength=300), inside[1]) > 1e-3


def test_pool_can_be_reassigned_in_slices(monkeypatch):
    monkeypatch.setattr(item_sets, "ROWS_PER_SLICE", 3)
    sets = Pool(10, 50, 4)
    users = tf.range(10)
    ranks = tf.tile(tf.range(4)[None, :], [10, 1])
    item = tf.function(sets.item)
    rng = np.random.default_rng(0)
    for _ in range(3):
        items = rng.integers(0, 100, (10, 4)).astype(np.int32)
        counts = rng.integers(0, 5, 10).astype(np.int32)
        sets.assign(items, counts)
        np.testing.assert_array_equal(item(users, ranks), items)
        np.testing.assert_array_equal(sets.count(users), counts)
    assert not sets.items.trainable
    assert not sets.counts.trainable


@pytest.mark.parametrize("form", [bitmap, pool])
def test_every_form_works_in_an_input_pipeline(form):
    inside = np.eye(5, 80, dtype=bool)
    sets = form(inside)
    users = tf.data.Dataset.range(5).map(lambda u: tf.cast(u, tf.int32)[None])
    items = users.map(lambda u: sets.item(u, [[0]]), num_parallel_calls=2)
    assert [int(item[0, 0]) for item in items] == [0, 1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize("form", [bitmap, pool])
def test_fallback_combines_two_forms(form):
    first = np.zeros((3, 130), dtype=bool)
    first[1, [3, 64, 129]] = True
    sets = Fallback(form(first), ComplementItems(csr_array(first)))
    expected = np.where(first.any(axis=1)[:, None], first, ~first)
    users = tf.range(3)
    np.testing.assert_array_equal(sets.count(users), [130, 3, 130])
    items = sets.item(users, tf.tile(tf.range(130)[None], [3, 1])).numpy()
    for u in range(3):
        np.testing.assert_array_equal(items[u, : expected[u].sum()], np.flatnonzero(expected[u]))


@pytest.mark.slow
@given(st.integers(1, 6), st.integers(1, 9), st.data())
@settings(max_examples=60)
def test_ranks_enumerate_each_item_of_a_set_once(num_users, num_items, data):
    cells = data.draw(
        st.lists(st.booleans(), min_size=num_users * num_items, max_size=num_users * num_items)
    )
    inside = np.array(cells).reshape(num_users, num_items)
    users = tf.range(num_users)
    ranks = tf.tile(tf.range(num_items)[None, :], [num_users, 1])
    for sets in (ListedItems(csr_array(inside)), ComplementItems(csr_array(~inside))):
        counts = sets.count(users).numpy()
        items = sets.item(users, ranks).numpy()
        np.testing.assert_array_equal(counts, inside.sum(axis=1))
        assert ((items >= 0) & (items < num_items)).all()
        for u in range(num_users):
            np.testing.assert_array_equal(items[u, : counts[u]], np.flatnonzero(inside[u]))


def test_mutant_left_search_returns_positives(monkeypatch):
    """Searching from the left must break the exclusion that the uniformity test checks."""

    def search_left(starts, items, users, ranks):
        found = np.empty(ranks.shape, np.int32)
        for row, user in enumerate(users):
            missing = items[starts[user] : starts[user + 1]]
            below = missing - np.arange(len(missing))
            found[row] = ranks[row] + np.searchsorted(below, ranks[row], "left")
        return found

    monkeypatch.setattr(compiled_kernels, "unlisted", search_left)
    items = draw(random.with_replacement, ComplementItems(csr_array(POSITIVES)), 2, 4, 1000)
    assert POSITIVES[2][items].any()


def test_only_empty_sets_use_the_fallback():
    first = np.zeros((2, 6), dtype=bool)
    first[1, 2] = True
    sets = Fallback(ListedItems(csr_array(first)), ComplementItems(csr_array(first)))
    assert set(draw(random.with_replacement, sets, 0, 8, 200).ravel()) == set(range(6))
    assert set(draw(random.with_replacement, sets, 1, 8, 200).ravel()) == {2}
    np.testing.assert_array_equal(sets.count(tf.constant([0, 1])), [6, 1])


def test_empty_set_without_fallback_gives_a_valid_item():
    sets = ListedItems(csr_array(np.zeros((1, 4), dtype=bool)))
    items = draw(random.without_replacement, sets, 0, 3, 5)
    assert ((items >= 0) & (items < 4)).all()
