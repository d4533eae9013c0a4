"""Lists of items by depth-first search, against recursion in Python."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.samplers import depth_first as depth_first_module
from recns_tf.samplers.depth_first import NO_ITEM, depth_first_lists, shuffle_rows


def random_graph(number):
    """Return a random array [U, I]; some have isolated items and users, some several components."""
    rng = np.random.default_rng(number)
    num_users, num_items = rng.integers(1, 15), rng.integers(1, 25)
    dense = rng.random((num_users, num_items)) < rng.choice([0.03, 0.1, 0.3])
    if number % 3 == 0:
        dense[: num_users // 2, num_items // 2 :] = False
        dense[num_users // 2 :, : num_items // 2] = False
    if number % 4 == 0:
        dense[:, rng.integers(num_items)] = False
    return csr_array(dense)


GRAPHS = [random_graph(number) for number in range(150)]
DENSE = csr_array(np.random.default_rng(5).random((20, 40)) < 0.2)


def orders(train, seed):
    """Return the neighbors of every user and of every item, in the order of the seed."""
    rng = np.random.default_rng(seed)
    pairs = [shuffle_rows(train, rng), shuffle_rows(train.T.tocsr(), rng)]
    return [np.split(nonzeros, starts[1:-1]) for starts, nonzeros in pairs]


def depth_first(start, items_of, users_of):
    """Return all items reached from `start`, in the order in which recursion enters them."""
    seen_users, found = set(), []

    def enter(item):
        for user in users_of[item].tolist():
            if user in seen_users:
                continue
            seen_users.add(user)
            for other in items_of[user].tolist():
                if other != start and other not in found:
                    found.append(other)
                    enter(other)

    enter(start)
    return found


def breadth_first(start, items_of, users_of):
    """Return the same items in breadth-first order of users."""
    found, queue = [], [start]
    while queue:
        for user in users_of[queue.pop(0)].tolist():
            fresh = [v for v in items_of[user].tolist() if v != start and v not in found]
            found += fresh
            queue += fresh
    return found


def all_at_once(start, items_of, users_of):
    """Return the same items in another order: all items of a user before any goes deeper."""
    found, seen_users = [], set()

    def enter(item):
        for user in users_of[item].tolist():
            if user not in seen_users:
                seen_users.add(user)
                fresh = [v for v in items_of[user].tolist() if v != start and v not in found]
                found.extend(fresh)
                for other in fresh:
                    enter(other)

    enter(start)
    return found


def listed(train, length, search, seed):
    """Return the expected result of depth_first_lists, given the search."""
    lists = np.full((train.shape[1], length), NO_ITEM, np.int32)
    neighbors = orders(train, seed)
    found = [search(start, *neighbors)[:length] for start in range(train.shape[1])]
    for start, items in enumerate(found):
        lists[start, : len(items)] = items
    return lists, np.array([len(items) for items in found], np.int32)


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 4, 30])
def test_lists_agree_with_a_recursive_search(length):
    wrong = {breadth_first: 0, all_at_once: 0}
    for number, train in enumerate(GRAPHS):
        lists, counts = depth_first_lists(train, length, number)
        expected, expected_counts = listed(train, length, depth_first, number)
        np.testing.assert_array_equal(lists, expected)
        np.testing.assert_array_equal(counts, expected_counts)
        assert lists.dtype == counts.dtype == np.int32
        for search in wrong:
            wrong[search] += not np.array_equal(lists, listed(train, length, search, number)[0])
    if length > 1:
        assert min(wrong.values()) > 20, "another order of search must show"


@pytest.mark.slow
@pytest.mark.parametrize("length", [3, 30])
def test_a_list_has_distinct_items_of_the_component_without_the_start(length):
    sizes = set()
    for number, train in enumerate(GRAPHS):
        lists, counts = depth_first_lists(train, length, number)
        near = (train.T @ train).toarray() > 0
        for start in range(train.shape[1]):
            component = {start}
            while (more := set(np.flatnonzero(near[list(component)].any(axis=0)))) - component:
                component |= more
            items = lists[start, : counts[start]].tolist()
            assert counts[start] == len(set(items)) == min(len(component) - 1, length)
            assert set(items) <= component - {start}
            assert (lists[start, counts[start] :] == NO_ITEM).all()
            sizes.add(len(items))
    assert {0, 1, 2, 3} <= sizes, "isolated items and small components must occur"


def test_a_shorter_list_is_the_beginning_of_a_longer_one():
    long, _ = depth_first_lists(DENSE, 39, 3)
    short, counts = depth_first_lists(DENSE, 7, 3)
    np.testing.assert_array_equal(short, long[:, :7])
    assert (counts == 7).all()


def test_path_is_followed_to_its_end():
    num_items = 3000
    users = np.repeat(np.arange(num_items - 1), 2)
    items = users + np.tile([0, 1], num_items - 1)
    path = csr_array((np.ones(len(users), bool), (users, items)))
    lists, counts = depth_first_lists(path, num_items, 0)
    assert (counts == num_items - 1).all()
    np.testing.assert_array_equal(lists[0, :-1], np.arange(1, num_items))
    np.testing.assert_array_equal(lists[-1, :-1], np.arange(num_items - 1)[::-1])


def test_lists_depend_on_the_seed_alone():
    one, again, other = (depth_first_lists(DENSE, 10, seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any(axis=1).mean() > 0.9


def test_all_searches_share_one_order_of_neighbors():
    items_of, users_of = orders(DENSE, 3)
    lists, _ = depth_first_lists(DENSE, 40, 3)
    for start in range(DENSE.shape[1]):
        others = [item for item in items_of[users_of[start][0]] if item != start]
        assert lists[start, 0] == others[0]


@pytest.mark.parametrize("cuts", [[0, 40], range(41), [0, 0, 1, 17, 17, 39, 40, 40]])
def test_lists_do_not_depend_on_how_rows_are_cut_for_threads(cuts, monkeypatch):
    usual = depth_first_lists(DENSE, 12, 1)
    monkeypatch.setattr(depth_first_module, "row_cuts", lambda _: np.array(cuts))
    np.testing.assert_array_equal(depth_first_lists(DENSE, 12, 1)[0], usual[0])
    monkeypatch.setattr(depth_first_module, "row_cuts", lambda _: np.array([0, 39]))
    assert (depth_first_lists(DENSE, 12, 1)[1] > 0).tolist() == [True] * 39 + [False]


def test_neighbors_are_shuffled_within_their_row():
    train = csr_array(np.ones((4000, 3), bool))
    starts, nonzeros = shuffle_rows(train, np.random.default_rng(0))
    np.testing.assert_array_equal(starts, train.indptr)
    rows = nonzeros.reshape(-1, 3)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile([0, 1, 2], (4000, 1)))
    _, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts - 4000 / 6).max() < 4 * (4000 * 5 / 36) ** 0.5
