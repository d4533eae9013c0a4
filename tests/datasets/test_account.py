"""The account of a log: counts agree with their nouns."""

from recns_tf.datasets.account import account
from recns_tf.datasets.preprocessing.log import RowCounts
from recns_tf.datasets.preprocessing.rules import Rules
from tests.conftest import make_toy


def lines_of(number):
    counts = RowCounts(*[number] * len(RowCounts._fields))
    lines = account(make_toy(), counts, Rules()).splitlines()
    return [line.split(f" {number} ", 1)[1] for line in lines[: len(counts)]]


def test_one_row_is_in_the_singular_and_two_are_in_the_plural():
    one, two = lines_of(1), lines_of(2)
    assert [line.split(" ")[0] for line in one[:6]] == ["row"] * 5 + ["pair"]
    assert one[3:5] == ["row that repeats a positive pair", "row that repeats an exposed pair"]
    assert two[3:5] == ["rows that repeat a positive pair", "rows that repeat an exposed pair"]
    assert one[6].startswith("exposed pair that is also a positive: positives take precedence")
    assert two[6].startswith("exposed pairs that are also positives: positives take precedence")
    assert (one[-1], two[-1]) == ("exposed pair", "exposed pairs") and len(one) == len(two) == 12
