"""Counts and sizes in messages."""

import pytest

from recns_tf.utils.text import bytes_text, count


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0.0 MB"),
        (160_000, "0.2 MB"),
        (1_560_000, "1.6 MB"),
        (20_400_000, "20 MB"),
        (999_000_000, "999 MB"),
        (1_000_000_000, "1.0 GB"),
        (1_234_560_000_000, "1,234.6 GB"),
    ],
)
def test_sizes_have_a_unit_that_suits_them(number, text):
    assert bytes_text(number) == text


def test_counts_agree_with_their_nouns():
    assert [count(n, "row") for n in (0, 1, 2, 1234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]
    assert [count(n, "user has", "users have") for n in (1, 2)] == ["1 user has", "2 users have"]
