import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recns_tf.interactions import make_interactions, subtract_pairs, to_pairs, to_rows
from tests.conftest import make_toy

SHAPE = (5, 7)
pair_lists = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=40)


def array(pairs):
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def build(**parts):
    empty = array([])
    arguments = {"train": empty, "valid": empty, "test": empty, "exposed": empty} | {
        name: array(pairs) for name, pairs in parts.items()
    }
    return make_interactions(
        "t", **arguments, user_ids=np.arange(5), item_ids=np.arange(7), source={}
    )


@given(pair_lists)
def test_rows_contain_each_pair_once_in_order(pairs):
    rows = to_rows(array(pairs), SHAPE)
    assert [tuple(pair) for pair in to_pairs(rows).tolist()] == sorted(set(pairs))
    for user in range(SHAPE[0]):
        items = rows.indices[rows.indptr[user] : rows.indptr[user + 1]]
        assert (np.diff(items) > 0).all()


@given(pair_lists, pair_lists)
def test_subtract_pairs_is_set_difference(one, two):
    left = subtract_pairs(to_rows(array(one), SHAPE), to_rows(array(two), SHAPE))
    assert {tuple(pair) for pair in to_pairs(left).tolist()} == set(one) - set(two)


@pytest.mark.parametrize("pair", [(-1, 0), (0, -1), (5, 0), (0, 7)])
def test_pair_outside_the_graph_is_refused(pair):
    with pytest.raises(ValueError, match="outside the 5 x 7 graph"):
        to_rows(array([pair]), SHAPE)


def test_exposures_exclude_train_positives_but_not_held_out_ones():
    data = build(
        train=[(0, 1)], valid=[(0, 2)], test=[(0, 3)], exposed=[(0, 1), (0, 2), (0, 3), (0, 4)]
    )
    assert to_pairs(data.exposed).tolist() == [[0, 2], [0, 3], [0, 4]]


def test_overlapping_splits_are_refused():
    with pytest.raises(ValueError, match="both train and test"):
        build(train=[(0, 1)], test=[(0, 1)])
    with pytest.raises(ValueError, match="both valid and test"):
        build(train=[(0, 1)], test=[(0, 2)], valid=[(0, 2)])


def test_empty_train_split_is_refused():
    with pytest.raises(ValueError, match="no positive pair"):
        build(test=[(0, 1)])


def test_checksum_depends_on_the_data():
    assert make_toy(seed=1).checksum == make_toy(seed=1).checksum
    assert make_toy(seed=1).checksum != make_toy(seed=2).checksum
    moved = build(train=[(0, 1)], test=[(0, 2)])
    assert moved.checksum != build(train=[(0, 2)], test=[(0, 1)]).checksum


def test_summary_gives_the_sizes(toy):
    assert f"{toy.train.nnz:,} train" in toy.summary()
    assert "40 users, 60 items" in toy.summary()


def test_one_user_and_one_item_are_named_in_the_singular():
    pair = np.array([[0, 0]])
    nothing = np.zeros((0, 2), np.int64)
    ids = np.array([7])
    data = make_interactions(
        "one", train=pair, valid=nothing, test=nothing, exposed=nothing, user_ids=ids,
        item_ids=ids, source={},
    )  # fmt: skip
    assert data.summary().startswith("one: 1 user, 1 item; 1 train")
