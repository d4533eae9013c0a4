"""Logs that are already split: one or more files for each part."""

import gzip

import numpy as np
import pytest

from recns_tf.commands.prepare import make
from recns_tf.config.config import Config
from recns_tf.datasets import prepared
from recns_tf.datasets.preparation import Preparation
from recns_tf.errors import UserError
from recns_tf.interactions import to_pairs


def write(tmp_path, **files):
    return {
        f"{part}_input": str(write_file(tmp_path / f"{part}{ending}", text))
        for part, (ending, text) in files.items()
    }


def write_file(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def pairs_of(data, part):
    users, items = to_pairs(getattr(data, part)).T
    return set(zip(data.user_ids[users].tolist(), data.item_ids[items].tolist(), strict=True))


def prepare(tmp_path, inputs, **settings):
    return make(Preparation(name="t", **inputs, **settings), tmp_path / "data" / "t")


def test_lists_of_items_per_user(tmp_path):
    inputs = write(
        tmp_path,
        train=(".txt", "0 1 2 3 4\n1 2 3 900000000000\n7\n"),
        test=(".txt.gz", "0 5\n\n1 4\n"),
    )
    data, counts = prepare(tmp_path, inputs)
    assert pairs_of(data, "train") == {
        (0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 900000000000)
    }  # fmt: skip
    assert pairs_of(data, "test") == {(0, 5), (1, 4)} and not data.valid.nnz
    assert data.num_items == 6, "large numbers are ids, not sizes"
    assert counts.rows == 9 == sum(counts[1:])
    assert pairs_of(prepared.load(tmp_path / "data" / "t", Config()), "test") == {(0, 5), (1, 4)}


def test_tables_with_labels_and_exposures(tmp_path):
    text = "u,v,label\na,x,1\na,y,0\nb,x,1\nb,z,0\n"
    inputs = write(
        tmp_path,
        train=(".csv", text),
        valid=(".csv", "u,v,label\na,z,1\na,w,0\n"),
        test=(".jsonl", '{"u": "b", "v": "y", "label": 1}\n{"u": "b", "v": "x", "label": 1}\n'),
    )
    data, counts = prepare(tmp_path, inputs, user="u", item="v", label="label")
    assert pairs_of(data, "train") == {("a", "x"), ("b", "x")}
    assert pairs_of(data, "valid") == {("a", "z")}
    assert pairs_of(data, "test") == {("b", "y")}
    assert pairs_of(data, "exposed") == {("a", "y"), ("b", "z")}
    assert counts.repeated_positives == 1, "a pair of train is not tested"
    assert counts.late_exposures == 1, "an exposure of valid was not known in training"


def test_a_share_of_train_validates_if_no_file_does(tmp_path, capsys):
    train = "".join(f"{user}\t{item}\t5\n" for user in range(20) for item in range(10))
    test = "".join(f"{user}\t{item}\t5\n" for user in range(20) for item in range(10, 12))
    inputs = write(tmp_path, train=(".rating", train), test=(".rating", test))
    layout = {"separator": "\\t", "columns": "u,i,r", "user": "u", "item": "i"}
    data, _ = prepare(tmp_path, inputs, valid=0.2, **layout)
    assert np.diff(data.valid.indptr).tolist() == [2] * 20
    assert len(pairs_of(data, "train") | pairs_of(data, "valid")) == 200
    assert len({item for _, item in pairs_of(data, "valid")}) > 5, "drawn at random"
    assert pairs_of(data, "test") == {(user, item) for user in range(20) for item in (10, 11)}
    assert "without --valid_input, a share of 0.2 of each user's" in capsys.readouterr().out
    again, _ = prepare(tmp_path, inputs, valid=0.2, **layout)
    assert again.checksum == data.checksum
    none, _ = prepare(tmp_path, inputs, valid=0.0, **layout)
    assert none.train.nnz == 200 and not none.valid.nnz


def test_a_column_of_parts_defines_the_split_without_a_further_flag(tmp_path):
    path = write_file(tmp_path / "log.csv", "u,i,part\n1,1,train\n1,2,test\n2,1,train\n2,2,train\n")
    data, _ = prepare(tmp_path, {"input": str(path)}, user="u", item="i", split_column="part")
    assert pairs_of(data, "test") == {(1, 2)} and data.train.nnz == 3


@pytest.mark.parametrize(
    ("train", "settings", "message"),
    [
        ("0 1\n0 2\n", {}, r"train\.txt line 2: user 0 already has line 1"),
        ("0 1\n1 x\n", {}, r"train\.txt line 2: 'x' is not a non-negative integer"),
        ("0 1\n1 2\n", {"label": "r"}, r"has lines `user item item …` without a column 'r'"),
        ("0 1 2\n", {"separator": " "}, r"line 1: no column 'user_id'; its columns are '0'"),
    ],
)  # fmt: skip
def test_malformed_lists_are_refused(tmp_path, train, settings, message):
    inputs = write(tmp_path, train=(".txt", train), test=(".txt", "0 5\n"))
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, inputs, **settings)
    assert not (tmp_path / "data").exists()
