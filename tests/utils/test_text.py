"""Counts and sizes in messages."""

import pytest

from recns_tf.utils.text import bytes_text


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
