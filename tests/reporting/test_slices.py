import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf.errors import UserError
from recns_tf.evaluation import ranking
from recns_tf.reporting import slices
from recns_tf.runs import recommendations
from recns_tf.runs.folder import RunFolder
from tests.reporting import worlds


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 8))
def test_groups_are_ranges_and_equal_numbers_share_a_group(values, count):
    values = np.array(values, dtype=np.int64)
    names, group = slices.quantile_groups(values, count)
    assert len(names) <= count and set(group) == set(range(len(names)))
    for number, name in enumerate(names):
        inside = values[group == number]
        low, _, high = name.partition("–")
        assert (int(low), int(high or low)) == (inside.min(), inside.max())
        assert (values[group < number] < inside.min()).all()


def test_distinct_numbers_form_groups_of_equal_size():
    values = np.random.default_rng(0).permutation(50)
    names, group = slices.quantile_groups(values, 5)
    assert names == ["0–9", "10–19", "20–29", "30–39", "40–49"]
    assert np.bincount(group).tolist() == [10] * 5


@pytest.fixture
def run(tmp_path):
    data = worlds.load(tmp_path / "data")
    return RunFolder(worlds.write_run(tmp_path / "run", data)), data


def test_lists_equal_those_of_the_evaluation(run):
    folder, data = run
    user, item = (np.load(folder.embeddings / f"{name}.npy") for name in ("user", "item"))
    seen = data.train + data.valid
    users = np.flatnonzero(np.diff(data.test.indptr))
    expected = ranking.top_items(user, item, users, seen)
    np.testing.assert_array_equal(recommendations.lists_of(folder, data)[users], expected)


def test_recall_by_group_equals_loops(run):
    folder, data = run
    lists = recommendations.lists_of(folder, data)
    train, test = data.train.toarray(), data.test.toarray()
    users = [u for u in range(data.num_users) if test[u].any()]
    hits = {u: [v for v in lists[u] if v >= 0 and test[u, v]] for u in users}

    by_user = slices.recall_by_user_degree(lists, data, 4)
    by_item = slices.recall_by_item_popularity(lists, data, 4)
    for found, pairs in (
        (by_user, [(train[u].sum(), len(hits[u]) / test[u].sum()) for u in users]),
        (
            by_item,
            [(train[:, v].sum(), v in hits[u]) for u in users for v in np.nonzero(test[u])[0]],
        ),
    ):
        assert sum(found.sizes) == len(pairs) and len(found.names) == 4
        for name, size, recall in zip(*found, strict=True):
            low, high = (name.split("–") * 2)[:2]
            inside = [value for degree, value in pairs if int(low) <= degree <= int(high)]
            assert len(inside) == size
            assert recall == pytest.approx(np.mean(inside))
    overall = ranking.evaluate(
        *(np.load(folder.embeddings / f"{name}.npy") for name in ("user", "item")),
        data.test,
        data.train + data.valid,
    )
    assert np.average(by_user.shares, weights=by_user.sizes) == pytest.approx(overall["recall@20"])


def test_stored_lists_take_precedence_over_embeddings(run):
    folder, data = run
    lists = recommendations.lists_of(folder, data)
    stored = folder.lists
    stored.parent.mkdir()
    np.save(stored, lists[:, ::-1])
    np.testing.assert_array_equal(recommendations.lists_of(folder, data), lists[:, ::-1])
    np.save(stored, lists[:-1])
    with pytest.raises(UserError, match=r"test\.npy is not of this data"):
        recommendations.lists_of(folder, data)


def test_damaged_or_foreign_embeddings_are_errors(run):
    folder, data = run
    item = folder.embeddings / "item.npy"
    table = np.load(item)
    for wrong in (table[:-1], table[:, :-1], table[0], np.float32(3)):
        np.save(item, wrong)
        with pytest.raises(UserError, match="embeddings is not of this data"):
            recommendations.lists_of(folder, data)
    item.write_bytes(b"\x93NUMPY")
    with pytest.raises(UserError, match=r"item\.npy is damaged"):
        recommendations.lists_of(folder, data)
    item.unlink()
    with pytest.raises(UserError, match=r"item\.npy is missing"):
        recommendations.lists_of(folder, data)


def test_list_share_equals_loops(run):
    folder, data = run
    lists = recommendations.lists_of(folder, data)
    # Remove the train users of two items.
    train = data.train.toarray()
    train[:, [int(lists[0, 0]), 5]] = False
    data = dataclasses.replace(data, train=csr_array(train))
    degrees = train.sum(axis=0)
    found = slices.list_share_by_popularity(lists, data, 4)
    assert found.names[0] == "0" and found.sizes[0] == (degrees == 0).sum() >= 2
    listed = [v for row in lists for v in row if v >= 0]
    for name, size, share in zip(*found, strict=True):
        low, high = (int(end) for end in (name.split("–") * 2)[:2])
        inside = {v for v in range(data.num_items) if low <= degrees[v] <= high}
        assert len(inside) == size
        assert share == pytest.approx(sum(v in inside for v in listed) / len(listed))
    assert sum(found.shares) == pytest.approx(1) and 0 < found.shares[0] < 1
    empty = np.full_like(lists, ranking.NO_ITEM)
    assert sum(slices.list_share_by_popularity(empty, data, 4).shares) == 0
