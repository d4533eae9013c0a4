"""Delimited text: quotes, escapes, separators, and the number of records."""

import csv
import io
import itertools

import pyarrow.csv
import pytest

from recns_tf.datasets.formats import delimited
from recns_tf.datasets.formats.sources import Source
from recns_tf.datasets.formats.tables import line_of_row, read_batches
from recns_tf.datasets.formats.text import Layout
from recns_tf.errors import UserError

TWO = Layout(names=("a", "b"))


def read(tmp_path, content, layout=TWO, columns=("a", "b"), name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = [
        [array.to_pylist() for array in batch] for batch in read_batches(path, columns, layout)
    ]
    return [row for batch in found for row in zip(*batch, strict=True)]


@pytest.mark.slow
def test_every_short_text_is_read_as_python_reads_it_or_refused(tmp_path):
    """All texts of 5 of these bytes with two fields per record."""
    refused = 0
    for marks in itertools.product('a",\n', repeat=5):
        text = "".join(marks)
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
            valid = bool(rows) and all(len(row) == 2 for row in rows)
        except csv.Error:
            valid = False
        if valid:
            expected = [tuple(field.strip() for field in row) for row in rows]
            assert read(tmp_path, text) == expected, repr(text)
        else:
            refused += 1
            with pytest.raises(UserError):
                read(tmp_path, text)
    assert refused > 500


@pytest.mark.parametrize("column", ["a", "b"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('1,"x" y\n2,z\n', "line 1: text follows a closing quote; if the file writes a quote in "),
        ('1,"TV \\"42\\""\n2,z\n', "line 1: text follows a closing quote; if the file writes"),
        ('1,x\n2,"open\n3,z\n', "line 2: a quote is opened and never closed; if the file writes"),
    ],
)
def test_wrong_quotes_are_refused_in_columns_that_are_not_read(tmp_path, column, text, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, text, columns=(column,))
    assert str(error.value).startswith(f"{tmp_path}/t.csv {message}")
    assert str(error.value).endswith("--quoting=none reads quotes as ordinary characters.")


def test_escaped_quotes_and_separators(tmp_path):
    spark = '"TV 42\\"","a, b"\nlamp,"c\\\\"\n'
    assert read(tmp_path, spark, TWO._replace(escape="\\")) == [('TV 42"', "a, b"), ("lamp", "c\\")]
    mysql = "x\\\ty\t1\n\\N\tN\nz\\\nw\t2\n"
    found = read(tmp_path, mysql, TWO._replace(escape="\\"), name="t.tsv")
    assert found == [("x\ty", "1"), ("\x1a", "N"), ("z\nw", "2")]


def test_quotes_are_characters_where_quoting_is_none(tmp_path):
    layout = TWO._replace(quoting="none")
    assert read(tmp_path, '"x,5" screen\n"y",z\n', layout) == [('"x', '5" screen'), ('"y"', "z")]
    assert read(tmp_path, '"x\t1\n', name="t.tsv") == [('"x', "1")]
    quoted = TWO._replace(quoting="double")
    assert read(tmp_path, '"x\ty"\t1\n', quoted, name="t.tsv") == [("x\ty", "1")]


@pytest.mark.parametrize("separator", ["::", " | ", ";", "\x01", "%%%"])
def test_separators(tmp_path, separator):
    layout = TWO._replace(separator=separator)
    assert read(tmp_path, f'1{separator}"x\n2{separator}y:|\n'.replace('"', ""), layout) == [
        ("1", "x"),
        ("2", "y:|"),
    ]


def test_a_separator_of_the_header_is_suggested(tmp_path):
    with pytest.raises(UserError, match="its fields seem to be separated by --separator='::'"):
        read(tmp_path, "a::b\n1::2\n", Layout())


def test_encodings(tmp_path):
    text = "Ünal,café\n"
    for encoding in ("latin-1", "utf-16", "cp1252"):
        layout = TWO._replace(encoding=encoding)
        assert read(tmp_path, text.encode(encoding), layout) == [("Ünal", "café")]
    with pytest.raises(UserError, match="line 1: not UTF-8 text; name its encoding, as in --encod"):
        read(tmp_path, text.encode("latin-1"))
    with pytest.raises(UserError, match="line 2: not CP1252 text; name its encoding"):
        read(tmp_path, b"a,b\nc,\x81\n", TWO._replace(encoding="cp1252"))


def test_records_that_the_parser_swallows_are_noticed(tmp_path, monkeypatch):
    """A parser that loses a row, or invents one, is not believed."""
    real = pyarrow.csv.open_csv

    def losing(*args, **kwargs):
        table = real(*args, **kwargs)
        return (batch.slice(1) for batch in table)

    monkeypatch.setattr(delimited.pa.csv, "open_csv", losing)
    with pytest.raises(UserError, match=r"has 3 records, but the parser returned 2: please report"):
        read(tmp_path, "1,x\n2,y\n3,z\n")
    with pytest.raises(UserError, match=r"has 3 records, but the parser returned 2: please report"):
        read(tmp_path, "a,b\n2,y\n3,z\n", Layout())


def test_lines_of_rows_count_line_breaks_in_fields_and_empty_lines(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n\n1,"x\ny"\n\n2,z\n')
    assert [line_of_row(path, row) for row in range(2)] == [f"{path} line 4", f"{path} line 6"]
    assert delimited.line_of_record(Source(path), 1, TWO) == 4
