import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recns_tf.datasets.preprocessing.split import TEST, TRAIN, VALID, split_per_user


@given(st.lists(st.integers(0, 5), max_size=120), st.integers(0, 1000))
def test_valid_and_test_get_a_tenth_and_each_user_keeps_a_train_item(users, seed):
    users = np.array(users, dtype=np.int64)
    parts = split_per_user(users, np.random.default_rng(seed).random(len(users)))
    for user in set(users.tolist()):
        mine = parts[users == user]
        tenth = int(len(mine) / 10 + 0.5)
        assert (mine == TEST).sum() == tenth
        assert (mine == VALID).sum() == tenth
        assert (mine == TRAIN).sum() == len(mine) - 2 * tenth >= 1


def test_last_pairs_go_to_test_and_those_before_to_valid():
    users = np.zeros(10, dtype=np.int64)
    order = np.array([5, 1, 9, 0, 3, 8, 2, 7, 4, 6])
    parts = split_per_user(users, order)
    assert parts[order == 9] == TEST
    assert parts[order == 8] == VALID
    assert (parts[order < 8] == TRAIN).all()


def test_large_shares_leave_one_train_item():
    parts = split_per_user(np.zeros(3, dtype=np.int64), np.arange(3), valid=0.5, test=0.5)
    assert sorted(parts.tolist()) == [TRAIN, TEST, TEST]


def test_random_split_is_uniform_over_items():
    users = np.repeat(np.arange(20_000), 10)
    parts = split_per_user(users, np.random.default_rng(0).random(len(users)))
    share = (parts.reshape(-1, 10) == TEST).mean(axis=0)
    assert np.abs(share - 0.1).max() < 0.01
