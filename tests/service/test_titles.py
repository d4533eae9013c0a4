"""Titles of items from tables, and what is wrong with a table."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recns_tf.datasets.formats.text import BY_NAME
from recns_tf.errors import UserError
from recns_tf.service.titles import LONGEST_TITLE, own_titles, read_titles, require_known


def read(path, item="item", title="title", layout=BY_NAME):
    return read_titles(path, item, title, layout)


def test_titles_of_every_format(tmp_path):
    expected = {"3": "One, two", "10": "Zwölf"}
    (tmp_path / "a.csv").write_text('title,item\n"One, two",3\nZwölf,10\n,17\n')
    (tmp_path / "a.tsv").write_text("item\ttitle\n3\tOne, two\n3\tOne, two\n10\tZwölf\n")
    table = {"item": [3, 10, 17], "title": ["One, two", "Zwölf", None]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    for path in sorted(tmp_path.iterdir()):
        assert read(path) == expected, path


def test_ml_100k_has_titles_of_its_own(tmp_path):
    rest = "|01-Jan-1995||http://x|" + "|".join("0" * 19)
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    assert own_titles("ml-100k", tmp_path) == {}
    (folder / "u.item").write_text(
        f"1|Toy Story (1995){rest}\n2|Misérables, Les{rest}\n", "latin-1"
    )
    assert own_titles("ml-100k", tmp_path) == {"1": "Toy Story (1995)", "2": "Misérables, Les"}
    assert own_titles("toy", tmp_path) == {}


def test_long_titles_are_cut(tmp_path):
    (tmp_path / "a.csv").write_text(f"item,title\n3,{'x' * 10_000}\n")
    assert read(tmp_path / "a.csv") == {"3": "x" * LONGEST_TITLE}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"item,title\n3,a\n4,b\n3,c\n", "a.csv line 4: item 3 already has the title 'a'."),
        (b"id,title\n3,a\n", "a.csv line 1: no column 'item'"),
        (b"item,title\n3,a\n4,\xff\n", "a.csv line 3"),
        (b"item,title\n", "a.csv has no rows."),
        (b"", "a.csv is empty."),
    ],
)
def test_bad_tables_are_one_sentence(tmp_path, content, sentence):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UserError) as error:
        read(tmp_path / "a.csv")
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_a_table_of_other_items_is_refused(tmp_path):
    require_known({"3": "a"}, tmp_path, "item", np.array([3, 4]))
    with pytest.raises(
        UserError, match=r"no id in its column 'item' is that of an item, such as 4"
    ):
        require_known({"3": "a"}, tmp_path, "item", np.array([4]))
