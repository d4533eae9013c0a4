"""Quoting, byte by byte, against Python's csv module on tables known by construction."""

import csv
import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recns_tf.datasets.formats.quotes import NULL, BadQuote, QuoteCheck

FIELDS = st.text(alphabet='ab",\n\r \t', max_size=4)
TABLES = st.lists(st.lists(FIELDS, min_size=2, max_size=3), max_size=6)


def count(text, cut=1 << 20, **options):
    check = QuoteCheck(",", **options)
    marks = np.frombuffer(bytearray(text.encode()), np.uint8)
    for start in range(0, len(marks), cut):
        check.add(marks[start : start + cut])
    return check.finish()


@given(TABLES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_sound_tables_have_as_many_records_as_were_written(rows, end, all_quoted):
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    if not all_quoted:  # Python 3.11 leaves a lone carriage return bare
        rows = [[field.replace("\r", "") for field in row] for row in rows]
    csv.writer(text, lineterminator=end, quoting=quoting).writerows(rows)
    for cut in (1, 3, 1 << 20):
        assert count(text.getvalue(), cut) == len(rows)


@given(TABLES)
def test_escaped_quotes_are_followed(rows):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, doublequote=False, escapechar="\\").writerows(rows)
    assert count(text.getvalue(), escape="\\") == len(rows)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('a,b\n1,"x" y\n', 2, "text follows a closing quote"),
        ('a,b\n\n"x"y,2\n', 3, "text follows a closing quote"),
        ('a,b\r\n"x\r\ny"z,2\r\n', 3, "text follows a closing quote"),
        ('a,b\n1,"TV 42\n2,x\n3,y\n', 2, "a quote is opened and never closed"),
        ('a,b\n1,"\\"quoted\\" text"\n', 2, "text follows a closing quote"),
    ],
)
def test_a_wrong_quote_is_found_in_its_line(text, line, reason):
    for cut in (1, 2, 1 << 20):
        with pytest.raises(BadQuote, match=reason) as found:
            count(text, cut)
        assert found.value.line == line


def test_quotes_inside_bare_fields_are_text():
    assert count('a,b\n5" screen,x\n') == 2
    assert count('a,b\n"x,y\n', quoted=False) == 2


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_an_escaped_n_at_the_start_of_a_field_is_a_missing_value(cut):
    check = QuoteCheck("\t", quoted=False, escape="\\")
    marks = np.frombuffer(bytearray(b"\\N\ta\\N\t\\\\N\n"), np.uint8)
    for start in range(0, len(marks), cut):
        check.add(marks[start : start + cut])
    assert marks.tobytes().decode() == f"\\{NULL}\ta\\N\t\\\\N\n"


def test_every_short_text_is_judged_as_a_plain_reader_would():
    """All texts of 6 of these bytes: the same records as the csv module where it is strict."""
    for marks in itertools.product(b'a",\n', repeat=6):
        text = bytes(marks).decode()
        try:
            found = count(text, 2)
        except BadQuote:
            found = None
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
            assert found == len(rows), repr(text)
        except csv.Error:
            assert found is None, repr(text)
