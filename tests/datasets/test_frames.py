"""A dataset from a frame is the one that `prepare` makes from a file, with ids as they were."""

import doctest
import uuid
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from recns_tf import datasets, interactions
from recns_tf.config.config import Config
from recns_tf.datasets.data_frames import to_frame
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.main import main
from recns_tf.serving.ids import labels_of


def clicks(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    start = datetime(2024, 1, 1)
    return {
        "user": [f"u{n}" for n in rng.integers(0, 25, rows)],
        "item": rng.integers(0, 40, rows).tolist(),
        "clicked": rng.integers(0, 2, rows).tolist(),
        "time": [start + timedelta(seconds=int(s)) for s in rng.integers(0, 10**7, rows)],
    }


NAMES = {"user": "user", "item": "item"}
SETTINGS = {**NAMES, "label": "clicked", "timestamp": "time", "split": "temporal", "quiet": True}


class ArrowOnly:
    """A frame of an unknown library with Arrow's C interface."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


KINDS = {
    "dict": dict,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "an arrow stream": lambda columns: ArrowOnly(pa.table(columns)),
    "a reader of batches": lambda columns: pa.table(columns).to_reader(max_chunksize=30),
    "a dict of arrays": lambda columns: {key: np.array(each) for key, each in columns.items()},
    "categories": lambda columns: pd.DataFrame(columns).astype({"user": "category"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_frame_gives_what_prepare_makes_of_the_file(kind, tmp_path, capsys):
    columns = clicks()
    data = Interactions.from_frame(KINDS[kind](columns), **SETTINGS)
    pd.DataFrame(columns).to_csv(tmp_path / "clicks.csv", index=False)
    main(["prepare", "shop", f"--input={tmp_path}/clicks.csv", f"--data_dir={tmp_path}",
          "--user=user", "--item=item", "--label=clicked", "--timestamp=time",
          "--split=temporal"])  # fmt: skip
    expected = datasets.load(Config(dataset="shop"), tmp_path)
    assert data.checksum == expected.checksum
    assert data.valid.nnz and data.exposed.nnz
    assert capsys.readouterr().out.startswith("400 rows read")


def test_the_account_of_the_rows_is_printed_unless_quiet(capsys):
    columns = {"user": ["a", "a", "b"], "item": [1, 1, 2]}
    Interactions.from_frame(columns, **NAMES)
    out = capsys.readouterr().out
    assert "1 rows that repeat a positive pair" in out or "1 row that repeats" in out
    assert "cold_start.csv" not in out, "there is no such file"
    Interactions.from_frame(columns, **NAMES, quiet=True)
    assert capsys.readouterr().out == ""


class Point:
    """A hashable type that no file can hold."""

    def __init__(self, place):
        self.place = place

    def __eq__(self, other):
        return self.place == other.place

    def __hash__(self):
        return hash(self.place)

    def __repr__(self):
        return f"P{self.place}"


@pytest.mark.parametrize(
    "make",
    [
        lambda n: uuid.UUID(int=n),
        lambda n: (n, "a"),
        lambda n: float(n) + 0.5,
        lambda n: datetime(2024, 1, 1) + timedelta(days=n),
        lambda n: b"%d" % n,
        lambda n: n if n % 2 else str(n),
        lambda n: -n,
        lambda n: 2**63 + n,
        Point,
        np.float32,
    ],
)
@pytest.mark.parametrize("kind", ["dict", "pandas"])
def test_ids_of_any_hashable_type_come_back(make, kind):
    numbers = [5, 3, 5, 4, 3, 9]
    columns = {"user": [make(n) for n in numbers], "item": list("abcadd")}
    data = Interactions.from_frame(KINDS[kind](columns), **NAMES, quiet=True)
    labels = labels_of(data, "user").tolist()
    assert set(labels) == {make(n) for n in numbers}
    for user, item in zip(columns["user"], columns["item"], strict=True):
        row, column = labels.index(user), data.item_ids.tolist().index(item)
        assert data.positives[row, column]
    assert data.positives.nnz == 6


def test_the_order_of_the_rows_does_not_matter():
    columns = clicks()
    order = np.random.default_rng(1).permutation(len(columns["user"]))
    moved = {key: [each[n] for n in order] for key, each in columns.items()}
    one, other = (Interactions.from_frame(c, **SETTINGS) for c in (columns, moved))
    assert one.checksum == other.checksum


@pytest.mark.parametrize("missing", [None, float("nan")])
@pytest.mark.parametrize("kind", ["dict", "pandas", "polars"])
def test_a_missing_id_is_refused_or_dropped(missing, kind):
    columns = {"user": ["a", "b", "c"], "item": [1.0, missing, 2.0]}
    frame = KINDS[kind](columns)
    with pytest.raises(UserError, match="row 1 of the frame, counted from 0: item is missing"):
        Interactions.from_frame(frame, **NAMES, quiet=True)
    data = Interactions.from_frame(frame, **NAMES, missing="drop", quiet=True)
    assert data.train.nnz == 2
    assert data.user_ids.tolist() == ["a", "c"], "the id of a dropped row is no user"


def test_text_that_means_missing_in_files_is_an_id_here():
    data = Interactions.from_frame({"user": ["NA", ""], "item": ["null", "x"]}, **NAMES, quiet=True)
    assert data.user_ids.tolist() == ["", "NA"] and data.item_ids.tolist() == ["null", "x"]


def test_ids_of_rows_that_do_not_count_are_left_out():
    columns = {"user": ["a", "b"], "item": [1, 2], "stars": [5, 3]}
    data = Interactions.from_frame(
        columns, **NAMES, label="stars", positive=">=4", exposed="<=2", quiet=True
    )
    assert data.user_ids.tolist() == ["a"] and data.item_ids.tolist() == [1]


def test_split_seed_and_shares_are_used():
    columns = {key: clicks()[key] for key in ("user", "item")}
    one, other = (
        Interactions.from_frame(columns, **NAMES, split_seed=seed, valid=0, test=0.3, quiet=True)
        for seed in (0, 1)
    )
    assert one.checksum != other.checksum
    assert not one.valid.nnz and one.test.nnz > 0.2 * one.train.nnz
    assert one.source["split_seed"] == 0 and other.source["split_seed"] == 1


@pytest.mark.parametrize(
    ("frame", "settings", "sentence"),
    [
        ({}, {}, "the frame has no column 'user'; its columns are "),
        ({"user": [], "item": []}, {}, "the frame has no rows"),
        ({"user": [1], "item": [1, 2]}, {}, r"have different lengths, \[1, 2\]"),
        ({"user": [[1]], "item": [1]}, {}, "'user' has ids that cannot be hashed"),
        ({"user": [1], "item": [1]}, {"itm": "item"}, r"no argument 'itm'.*Did you mean 'item'"),
        ({"user": [1], "item": [1]}, {"separator": ";"}, "no argument 'separator'"),
        ({"user": [1], "item": [1]}, {"positive": "many"}, "--positive=many: choose"),
        (
            {"user": [1], "item": [1]},
            {"split": "temporal"},
            "--split=temporal requires --timestamp",
        ),
        ({"user": [1], "item": [1]}, {"name": "a/b"}, "name='a/b': choose the name of one folder"),
        ({"user": [1], "item": [1]}, {"name": ""}, "name='': choose the name of one folder"),
        ({"user": [1], "item": [1], "y": [[1]]}, {"label": "y"}, "column 'y' has type list"),
        (
            {"user": [1], "item": [1], "y": ["a"]},
            {"label": "y"},
            "row 0 of the frame, .*'a' is not",
        ),
        ({"user": [1, 2], "item": [1, 2], "y": [1, "a"]}, {"label": "y"}, "'y' mixes types"),
        ({"user": [1], "item": [1], "y": [0]}, {"label": "y"}, "no positive is left"),
        ([1, 2], {}, "list is not a data frame in memory"),
        ("clicks.csv", {}, "str is not a data frame in memory"),
        (pl.LazyFrame({"user": [1]}), {}, "LazyFrame is not a data frame in memory"),
    ],
)
def test_bad_input_is_one_sentence(frame, settings, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        Interactions.from_frame(frame, **NAMES | settings, quiet=True)
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)


def test_a_column_that_occurs_twice_is_refused():
    table = pa.table([[1], [2], [3]], names=["user", "user", "item"])
    with pytest.raises(UserError, match="'user' 2 times"):
        Interactions.from_frame(table, **NAMES)


def test_frames_of_each_library():
    columns = {"user": np.array(["a", "b"]), "rank": np.array([1, 2])}
    assert isinstance(to_frame(columns, "pandas"), pd.DataFrame)
    assert isinstance(to_frame(columns, "polars"), pl.DataFrame)
    assert isinstance(to_frame(columns, "pyarrow"), pa.Table)
    assert to_frame(columns, "dict").keys() == columns.keys()
    with pytest.raises(UserError, match="frames=spark: choose one of pandas, polars"):
        to_frame(columns, "spark")


def test_a_library_that_is_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(UserError, match="pandas is not installed"):
        to_frame({"user": np.array(["a"])}, "pandas")


def test_ids_that_a_table_cannot_hold_are_one_sentence():
    mixed = np.array([1, "a"], dtype=object)
    with pytest.raises(UserError, match="a table of pyarrow cannot hold these ids"):
        to_frame({"user": mixed}, "pyarrow")
    assert to_frame({"user": mixed}, "dict")["user"].tolist() == [1, "a"]


def test_docstring_example():
    result = doctest.testmod(interactions, extraglobs={"np": np})
    assert result.attempted and not result.failed
