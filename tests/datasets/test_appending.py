"""Rows that are added to a prepared dataset, against preparing all files at once."""

import json
import shutil

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.commands.prepare import make
from recns_tf.config.config import Config
from recns_tf.datasets import cache, prepared
from recns_tf.datasets.appending import append
from recns_tf.datasets.preparation import Preparation
from recns_tf.errors import UserError

DAYS = 3
COLUMNS = {"user": "who", "item": "what", "label": "seen", "timestamp": "at"}


def write_days(folder, user=str, item=str, seed=0):
    """Write a log of three days, whose users and items grow; return its files."""
    rng = np.random.default_rng(seed)
    paths = []
    for day in range(DAYS):
        lines = ["who,what,seen,at"]
        for row in range(150):
            chosen = rng.integers(3 + 5 * (day + 1)), rng.integers(10 + 6 * (day + 1))
            seen = ["0", "1", "2"][rng.integers(3)]
            lines.append(f"{user(chosen[0])},{item(chosen[1])},{seen},{1_000 * day + row}")
        paths.append(folder / f"day{day}.csv")
        paths[-1].write_text("\n".join(lines) + "\n")
    return [str(path) for path in paths]


def content_of(directory):
    """Return the arrays of the log of a prepared dataset, and its rows by what happened to them."""
    arrays = np.load(directory / "log.npz")
    counts = json.loads((directory / "prepared.json").read_text())["account"]
    return {name: arrays[name] for name in arrays}, counts


def assert_same(one, other):
    arrays, counts = content_of(one)
    expected, wanted = content_of(other)
    assert arrays.keys() == expected.keys() and counts == wanted
    for name, values in arrays.items():
        assert values.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("split", ["random", "temporal", "global-temporal", "leave-one-out"])
@pytest.mark.parametrize(
    "ids",
    [(int, int), ("u{}".format, int), ("u{}".format, "tv é{}".format)],
    ids=["int", "mixed", "text"],
)
def test_appended_days_are_the_same_as_all_prepared_at_once(tmp_path, split, ids):
    days = write_days(tmp_path, *ids)
    settings = COLUMNS | {"split": split, "positive": "==1", "exposed": "==0", "item_core": 2}
    make(Preparation(name="whole", input=",".join(days), **settings), tmp_path / "whole")
    make(Preparation(name="shop", input=days[0], **settings), tmp_path / "shop")
    first = datasets.load(Config(dataset="shop"), tmp_path)
    for day in days[1:]:
        append(tmp_path / "shop", day)
    assert_same(tmp_path / "shop", tmp_path / "whole")
    (found, expected) = (
        datasets.load(Config(dataset=name), tmp_path) for name in ("shop", "whole")
    )
    assert found.checksum == expected.checksum != first.checksum
    # A run on the first day still finds its data.
    assert cache.find(tmp_path / "shop", first.checksum) is not None


def test_several_files_and_a_given_split(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        rows = [
            f"{rng.integers(9)},{rng.integers(20)},{('train', 'valid', 'test')[rng.integers(3)]}"
            for _ in range(80)
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["user_id,item_id,part", *rows]) + "\n")
    files = [str(tmp_path / f"{name}.csv") for name in "abc"]
    settings = {"split_column": "part"}
    make(Preparation(name="whole", input=",".join(files), **settings), tmp_path / "whole")
    make(Preparation(name="shop", input=files[0], **settings), tmp_path / "shop")
    append(tmp_path / "shop", ",".join(files[1:]))
    assert_same(tmp_path / "shop", tmp_path / "whole")


def test_text_ids_stay_text_if_the_further_ones_look_like_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("user_id,item_id\nann,1\nbob,2\n")
    (tmp_path / "b.csv").write_text("user_id,item_id\n7,3\n10,1\n")
    make(Preparation(name="shop", input=str(tmp_path / "a.csv")), tmp_path / "shop")
    append(tmp_path / "shop", str(tmp_path / "b.csv"))
    data = datasets.load(Config(dataset="shop"), tmp_path)
    assert data.user_ids.tolist() == ["10", "7", "ann", "bob"]
    assert data.item_ids.tolist() == [1, 2, 3]


def test_what_cannot_be_appended_leaves_the_dataset_as_it_is(tmp_path):
    days = write_days(tmp_path, int, int)
    make(Preparation(name="shop", input=days[0], **COLUMNS), tmp_path / "shop")
    before = {path.name: path.read_bytes() for path in (tmp_path / "shop").iterdir()}
    (tmp_path / "text.csv").write_text("who,what,seen,at\nann,1,1,5\n")
    (tmp_path / "other.csv").write_text("user,item\n1,1\n")
    shutil.copy(days[0], tmp_path / "copy.csv")
    for name, sentence in (
        ("text.csv", "the user ids of shop are integers, and 'ann' is none; prepare all files"),
        ("other.csv", "other.csv line 1: no column 'who'"),
        ("copy.csv", r"copy.csv has the content of .*day0.csv, which shop holds already\."),
        ("none.csv", "none.csv"),
    ):
        with pytest.raises(UserError, match=sentence):
            append(tmp_path / "shop", str(tmp_path / name))
    with pytest.raises(UserError, match="nothing is not a prepared dataset; prepare it with --in"):
        append(tmp_path / "nothing", days[1])
    after = {path.name: path.read_bytes() for path in (tmp_path / "shop").iterdir()}
    assert after == before and not (tmp_path / "nothing").exists()


def test_data_that_were_split_beforehand_are_refused(tmp_path):
    (tmp_path / "train.csv").write_text("user_id,item_id\n1,1\n1,2\n2,1\n")
    (tmp_path / "test.csv").write_text("user_id,item_id\n2,2\n")
    names = {f"{part}_input": str(tmp_path / f"{part}.csv") for part in ("train", "test")}
    make(Preparation(name="shop", valid=0, **names), tmp_path / "shop")
    with pytest.raises(UserError, match="shop was made of files that are split already; prepare"):
        append(tmp_path / "shop", str(tmp_path / "test.csv"))


def test_a_damaged_description_is_refused(tmp_path):
    days = write_days(tmp_path, int, int)
    make(Preparation(name="shop", input=days[0], **COLUMNS), tmp_path / "shop")
    path = tmp_path / "shop" / prepared.ABOUT
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"settings": {"user": "x"}}))
    with pytest.raises(UserError, match=r"prepared\.json"):
        append(tmp_path / "shop", days[1])


def test_a_fault_while_it_is_written_leaves_the_dataset_as_it_is(tmp_path, monkeypatch):
    days = write_days(tmp_path, int, int)
    make(Preparation(name="shop", input=days[0], **COLUMNS), tmp_path / "shop")
    before = content_of(tmp_path / "shop")

    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepared, "write_json", full)
    with pytest.raises(UserError, match="shop is full: free some space"):
        append(tmp_path / "shop", days[1])
    after = content_of(tmp_path / "shop")
    assert after[1] == before[1]
    np.testing.assert_equal(after[0], before[0])
