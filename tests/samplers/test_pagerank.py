import re

import numpy as np
import pytest

from recns_tf.interactions import to_pairs
from recns_tf.samplers import pagerank
from recns_tf.samplers.pagerank import Walks, cached_lists, ranked_lists
from tests.samplers import worlds

RNG = np.random.default_rng(8)
TRAIN = RNG.random((25, 40)) < 0.2
TRAIN[:, 7] = False
TRAIN[3] = False
WITH_USERS = np.flatnonzero(TRAIN.any(axis=0))
"""All items but 7 and perhaps some others; user 3 has no items."""


def step_matrix(train=TRAIN):
    """Return P, walk by walk."""
    steps = np.zeros((train.shape[1], train.shape[1]))
    for item in range(train.shape[1]):
        users = np.flatnonzero(train[:, item])
        for user in users:
            for other in np.flatnonzero(train[user]):
                steps[item, other] += 1 / len(users) / train[user].sum()
    return steps


def exact(restart, train=TRAIN):
    """Return the PageRank of walks of any length, by solving for it."""
    size = train.shape[1]
    return restart * np.linalg.inv(np.eye(size) - (1 - restart) * step_matrix(train))


def capped(restart, steps, *, first=0, rest=True):
    """Return the same for walks of at most some steps; with other arguments, wrong versions."""
    powers = [np.linalg.matrix_power(step_matrix(), n) for n in range(steps + 1)]
    total = sum(restart * (1 - restart) ** n * powers[n] for n in range(first, steps + 1))
    return total + rest * (1 - restart) ** (steps + 1) * powers[-1]


def found(restart):
    return Walks(worlds.csr_array(TRAIN), restart).pagerank(np.arange(40))


@pytest.mark.parametrize(("restart", "steps"), [(0.5, 4), (0.3, 9), (0.9, 1), (0.99, 1)])
def test_pagerank_is_that_of_the_powers(restart, steps):
    assert Walks(worlds.csr_array(TRAIN), restart).steps == steps
    values = found(restart)
    np.testing.assert_allclose(values, capped(restart, steps), atol=5e-7)
    np.testing.assert_allclose(values.sum(axis=1)[WITH_USERS], 1, rtol=1e-5)
    if restart < 0.9:
        for wrong in (
            capped(restart, steps, first=1),
            capped(restart, steps, rest=False),
            capped(restart, steps - 1),
            capped(restart, steps).T,
            capped(restart + 0.1, steps),
        ):
            assert np.abs(values - wrong).max() > 2e-6


def test_pagerank_is_nearly_exact():
    difference = np.abs(found(0.5) - exact(0.5))
    assert 0 < difference[WITH_USERS].max() < 0.01


@pytest.mark.parametrize(("first", "last"), [(1, 5), (3, 20), (6, 6), (35, 39)])
def test_the_whole_window_is_listed(first, last, monkeypatch):
    """With the exact PageRank; blocks of 3 leave one item for the last."""
    monkeypatch.setattr(pagerank, "LONGER", 1e-9)
    monkeypatch.setattr(pagerank, "BLOCK", 3)
    lists = ranked_lists(worlds.csr_array(TRAIN), first, last, last - first + 1, 0.4, 0)
    values = exact(0.4)
    for item in WITH_USERS:
        order = [other for other in np.argsort(-values[item]) if other != item]
        gaps = -np.diff(values[item][order])[max(first - 2, 0) : last]
        if gaps[0 if first > 1 else -1] > 1e-6 and gaps[-1] > 1e-6:
            assert set(lists[item]) == set(order[first - 1 : last]), item
    assert all(len(set(row)) == last - first + 1 for row in lists)


def test_a_part_of_the_window_is_drawn_uniformly():
    rows = worlds.csr_array(TRAIN)
    whole = ranked_lists(rows, 5, 14, 10, 0.5, 0)
    counts = np.zeros(40)
    for seed in range(100):
        some = ranked_lists(rows, 5, 14, 3, 0.5, seed)
        assert all(set(a) <= set(b) and len(set(a)) == 3 for a, b in zip(some, whole, strict=True))
        counts += np.bincount(some[0], minlength=40)
    assert (np.abs(counts[whole[0]] - 30) < 5 * np.sqrt(30 * 0.7)).all()
    np.testing.assert_array_equal(some, ranked_lists(rows, 5, 14, 3, 0.5, 99))
    for item, row in enumerate(some):
        drawn = np.random.default_rng([99, item]).permutation(sorted(whole[item]))[:3]
        np.testing.assert_array_equal(row, drawn, "the order of the window does not matter")


def test_neighbors_of_neighbors_come_first():
    """Two groups of users with items of their own, and one user with an item of each."""
    train = np.zeros((7, 12), bool)
    train[:3, :6], train[3:6, 6:], train[6, [0, 6]] = True, True, True
    assert len(to_pairs(worlds.csr_array(train))) == 38
    lists = ranked_lists(worlds.csr_array(train), 1, 5, 5, 0.5, 0)
    assert set(lists[1]) == {0, 2, 3, 4, 5} and set(lists[8]) == {6, 7, 9, 10, 11}
    assert set(ranked_lists(worlds.csr_array(train), 6, 6, 1, 0.5, 0)[1]) == {6}


def test_progress_is_that_of_all_items(monkeypatch):
    steps = []

    class Bar:
        def __init__(self, total, **_):
            steps.append(-total)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, count):
            steps.append(count)

    monkeypatch.setattr(pagerank, "tqdm", Bar)
    monkeypatch.setattr(pagerank, "BLOCK", 3)
    ranked_lists(worlds.csr_array(TRAIN), 1, 5, 5, 0.5, 0)
    assert sum(steps) == 0 and max(steps[1:]) <= 3 and steps[0] == -40


ASKED = {"first": 5, "last": 14, "length": 3, "restart": 0.5, "seed": 0}
OTHERS = [{"first": 6}, {"last": 15}, {"length": 4}, {"restart": 0.4}, {"seed": 1}]


def forbid(*_):
    raise AssertionError("the lists should be read from the cache")


def test_lists_are_computed_once(tmp_path, monkeypatch):
    rows = worlds.csr_array(TRAIN)
    first = cached_lists(tmp_path, rows, **ASKED)
    np.testing.assert_array_equal(first, ranked_lists(rows, **ASKED))
    monkeypatch.setattr(pagerank, "ranked_lists", forbid)
    again = cached_lists(tmp_path, rows, **ASKED)
    np.testing.assert_array_equal(again, first)
    assert isinstance(again, np.memmap) and again.dtype == np.int32
    (folder,) = tmp_path.iterdir()
    assert re.fullmatch("pagerank-[0-9a-f]{12}", folder.name)


@pytest.mark.parametrize("other", [*OTHERS, {"train": ~TRAIN}, {"format": 2}])
def test_other_lists_have_another_folder(tmp_path, monkeypatch, other):
    cached_lists(tmp_path, worlds.csr_array(TRAIN), **ASKED)
    monkeypatch.setattr(pagerank, "FORMAT", other.get("format", pagerank.FORMAT))
    rows = worlds.csr_array(other.get("train", TRAIN))
    asked = {name: other.get(name, value) for name, value in ASKED.items()}
    found = cached_lists(tmp_path, rows, **asked)
    np.testing.assert_array_equal(found, ranked_lists(rows, **asked))
    assert len(list(tmp_path.glob("pagerank-*"))) == 2


def test_without_a_folder_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(pagerank, "cached", forbid)
    rows = worlds.csr_array(TRAIN)
    np.testing.assert_array_equal(cached_lists(None, rows, **ASKED), ranked_lists(rows, **ASKED))


@pytest.mark.parametrize("file", ["lists.npy", "about.json"])
def test_damaged_lists_are_computed_anew(tmp_path, capsys, file):
    rows = worlds.csr_array(TRAIN)
    first = np.array(cached_lists(tmp_path, rows, **ASKED))
    (path,) = tmp_path.glob(f"pagerank-*/{file}")
    path.write_bytes(path.read_bytes()[:-3])
    np.testing.assert_array_equal(cached_lists(tmp_path, rows, **ASKED), first)
    said = capsys.readouterr().err
    assert re.fullmatch(
        r".*pagerank-\w+ is damaged.*: the table of PageRank is built anew\.\n", said
    )
    cached_lists(tmp_path, rows, **ASKED)
    assert not capsys.readouterr().err
