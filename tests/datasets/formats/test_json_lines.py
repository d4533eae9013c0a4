"""JSON lines: kinds of values, and a message with the line for everything else."""

import gzip

import pytest

from recns_tf.datasets.formats import json_lines
from recns_tf.datasets.formats.sources import Source
from recns_tf.datasets.formats.tables import column_names, line_of_row, read_batches
from recns_tf.errors import UserError


def read(path, *columns):
    return [[array.to_pylist() for array in batch] for batch in read_batches(path, columns)]


def written(tmp_path, *lines, name="log.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_values_keep_their_kind(tmp_path):
    path = written(
        tmp_path,
        '{"u": 1, "i": " a b ", "r": 4, "x": true, "big": 123456789012345678901}',
        "",
        '{"i": "é\\"", "r": 4.5, "x": null, "u": 9007199254740993, "deep": {"a": [1]}}',
    )
    ((users, items, ratings, truth, big),) = read(path, "u", "i", "r", "x", "big")
    assert users == [1, 9007199254740993]
    assert items == ["a b", 'é"']
    assert ratings == ["4", "4.5"]
    assert truth == [True, None]
    assert big == ["123456789012345678901", None]
    assert column_names(Source(path)) == ["u", "i", "r", "x", "big"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 3 is not a JSON object (Expecting property name"),
        ("[1, 2]", "line 3 is not a JSON object; each line must hold one."),
        ('{"u": 1} {"u": 2}', "line 3 is not a JSON object (Extra data"),
        ('{"u": 1}, {"u": 2}', "line 3 is not a JSON object (Extra data"),
        ("7", "line 3 is not a JSON object; each line must hold one."),
        ('{"u": {"id": 7}}', """line 3: column 'u' holds {"id": 7}, which is not text or a numb"""),
        ("[" * 100_000, "line 3 is not a JSON object (maximum recursion depth"),
    ],
)
def test_other_lines_are_refused(tmp_path, line, message):
    path = written(tmp_path, '{"u": 1}', "", line, '{"u": 2}')
    with pytest.raises(UserError) as error:
        read(path, "u")
    assert str(error.value).startswith(f"{path} {message}")


def test_an_array_of_objects_is_not_json_lines(tmp_path):
    path = written(tmp_path, "[", '{"u": 1},', '{"u": 2}', "]", name="log.json")
    with pytest.raises(UserError, match=r"log\.json line 1 is not a JSON object"):
        read(path, "u")


def test_missing_columns_and_bad_text_are_refused(tmp_path):
    path = written(tmp_path, '{"u": 1, "v": 2}')
    with pytest.raises(UserError, match=r"no column 'w'; its columns are 'u', 'v'\.$"):
        read(path, "u", "w")
    path.write_bytes(b'{"u": 1}\n{"u": "caf\xe9"}\n')
    with pytest.raises(UserError, match=r"line 2: not UTF-8 text; name its encoding, as in --enc"):
        read(path, "u")


def test_batches_and_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "BATCH_LINES", 2)
    path = tmp_path / "log.ndjson.gz"
    path.write_bytes(gzip.compress(b'{"u": 1}\n\n{"u": "x"}\n{"u": 3}\n'))
    assert read(path, "u") == [[[1]], [["x", "3"]]]
    assert line_of_row(path, 2) == f"{path} line 4"
