import csv

import numpy as np

from recns_tf.datasets.cold_start import ColdStart, cold_start, sentences, write_cold_start
from recns_tf.interactions import make_interactions


def make_cold():
    """Users 2, 3 and 4 have no train positive, user 4 none at all; nor have items 2, 3, 4 and 5."""
    return make_interactions(
        "cold",
        train=[[0, 0], [1, 1]],
        valid=[[0, 2], [1, 2], [2, 0], [2, 2]],
        test=[[0, 3], [0, 4], [2, 1], [3, 4]],
        exposed=[[0, 5]],
        user_ids=np.arange(5),
        item_ids=np.array([f"i,{n}" for n in range(6)]),
        source={},
    )


def test_cold_users_items_and_pairs_are_counted_by_part():
    found = cold_start(make_cold())
    assert found == {"valid": ColdStart(1, 1, 3), "test": ColdStart(2, 2, 3)}
    assert sentences(found) == (
        "users without a train positive: 1 of valid, 2 of test",
        "items without a train positive: 1 of valid (3 pairs), 2 of test (3 pairs)",
    )


def test_cold_users_and_items_are_listed(tmp_path):
    path = tmp_path / "cold.csv"
    assert write_cold_start(make_cold(), path)
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["kind", "id", "valid", "test"]
    assert rows == [
        ["user", "2", "2", "1"], ["user", "3", "0", "1"],
        ["item", "i,2", "3", "0"], ["item", "i,3", "0", "1"], ["item", "i,4", "0", "2"],
    ]  # fmt: skip


def test_without_cold_users_and_items_there_is_no_file(tmp_path):
    warm = make_interactions(
        "warm", train=[[0, 0]], valid=[], test=[], exposed=[],
        user_ids=np.arange(2), item_ids=np.arange(2), source={},
    )  # fmt: skip
    assert not write_cold_start(warm, tmp_path / "cold.csv")
    assert list(tmp_path.iterdir()) == []
