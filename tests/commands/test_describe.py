"""The commands describe and export."""

import json
import sys

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.analysis.dataset import describe, report
from recns_tf.config.config import Config
from recns_tf.interactions import make_interactions
from tests.commands.test_train import call
from tests.conftest import make_toy


@pytest.fixture(scope="module")
def leaky():
    """3 users, 4 items; user 0 has an exposed test positive, user 2 has no exposures."""
    return make_interactions(
        "leaky",
        train=[[0, 0], [0, 1], [1, 1], [2, 1]],
        valid=[[1, 2]],
        test=[[0, 2], [2, 3]],
        exposed=[[0, 2], [0, 3], [1, 0]],
        user_ids=np.arange(3),
        item_ids=np.arange(4),
        source={},
    )


def test_description_of_a_small_dataset(leaky):
    about = describe(leaky)
    assert about["table_1"] == {
        "users": 3, "items": 4, "edges": 7, "exposure": 3, "density": 7 / 12
    }  # fmt: skip
    assert about["splits"] == {"train": 4, "valid": 1, "test": 2}
    assert about["users_without"] == {
        "train positives": 0, "exposures": 1, "held-out positives": 0
    }  # fmt: skip
    assert about["tested_users"] == 2
    assert about["cold_start"] == {
        "valid": {"users": 0, "items": 1, "pairs": 1}, "test": {"users": 0, "items": 2, "pairs": 2}
    }  # fmt: skip
    assert about["exposed_held_out"] == {"valid": 0, "test": 1}
    # Train holds items 0 and 1 only: user 0 has both, users 1 and 2 reach item 0.
    coverage = about["region_coverage"]
    for khop in (3, 5, 7):
        assert coverage[f"khop {khop}"]["mean"] == pytest.approx((0 + 1 / 4 + 1 / 4) / 3)
    lines = report(about).splitlines()
    assert lines[1].split() == ["leaky", "3", "4", "7", "3", "0.58333"]
    assert "1 user (33.3%) without exposures" in lines
    assert "2 tested users (66.7%)" in lines
    assert "users without a train positive: 0 of valid, 0 of test" in lines
    assert "items without a train positive: 1 of valid (1 pair), 2 of test (2 pairs)" in lines
    assert "0 exposed pairs are positives of valid, 1 of test: they stay exposed" in lines


def command(name, *arguments):
    return call(sys.executable, "-m", "recns_tf", name, *arguments)


@pytest.mark.slow
def test_describe_writes_numbers_and_a_plot(tmp_path):
    done = command("describe", "synthetic-small", f"--data_dir={tmp_path}")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "1,000     2,000      40,000      46,000   0.02000" in done.stdout
    assert "Zhihu" in done.stdout
    folder = tmp_path / "synthetic-small"
    about = json.loads((folder / "description.json").read_text())
    assert about["table_1"]["edges"] == 40_000
    assert (folder / "description.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_exported_files_can_be_read_again(tmp_path):
    data = datasets.load(Config(dataset="synthetic-small"), tmp_path)
    where = f"--data_dir={tmp_path}"
    for form in ("pinsage", "lightgcn"):
        folder = tmp_path / "alibaba" / form
        done = command("export", "synthetic-small", folder, f"--format={form}", where)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        again = datasets.load(Config(dataset="alibaba", layout=form), tmp_path)
        assert again.checksum == data.checksum
    done = command("export", "synthetic-small", tmp_path / "t.csv.gz", where)
    assert done.returncode == 0
    done = command("prepare", "t", f"--input={tmp_path}/t.csv.gz", "--label=label",
                   "--split=given", "--split_column=split", "--user_core=0", where)  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = datasets.load(Config(dataset="t"), tmp_path)
    assert (again.positives.nnz, again.exposed.nnz) == (40_000, 46_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["describe"], "one word is needed, DATASET, not 0"),
        (["describe", "nowhere"], "unknown dataset 'nowhere': choose one of"),
        (
            ["regions"],
            "one word is needed, DATASET, not 0: for example 'python -m recns_tf regions ml-",
        ),
        (["regions", "nowhere"], "unknown dataset 'nowhere': choose one of"),
        (
            ["regions", "synthetic-small", "--khop=4"],
            "--khop=4: choose an odd number of steps",
        ),
        (
            ["regions", "synthetic-small", "--region_memory=-1"],
            "--region_memory=-1.0: choose a number from 0 to 1000000",
        ),
        (["export", "ml-100k"], "two words are needed, DATASET and PATH, not 1"),
        (["export", "ml-100k", "x", "--format=json"], "--format=json: choose one of lightgcn"),
        (["export", "synthetic-small", "HERE"], "HERE already exists: choose another name."),
        (
            ["export", "synthetic-small", "HERE/x.doc"],
            "HERE/x.doc: choose a name that ends in .csv",
        ),
    ],
)
def test_bad_input_is_a_one_line_error(tmp_path, arguments, sentence):
    arguments = [word.replace("HERE", str(tmp_path)) for word in arguments]
    done = command(*arguments, f"--data_dir={tmp_path}/data")
    assert done.returncode == 1
    assert done.stderr.startswith(f"recns_tf: {sentence.replace('HERE', str(tmp_path))}")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("x*"))


def test_smallest_datasets_can_be_described():
    for num_users, num_items in ((1, 3), (3, 1), (1, 1)):
        smallest = make_interactions(
            "s", train=[[0, 0]], valid=[], test=[], exposed=[],
            user_ids=np.arange(num_users), item_ids=np.arange(num_items), source={},
        )  # fmt: skip
        about = describe(smallest)
        json.loads(json.dumps(about, allow_nan=False))
        assert "none  AUC of popularity against exposed" in report(about)


def test_toy_dataset_can_be_described():
    """It has users without items, items without users, and ids that are strings."""
    assert report(describe(make_toy()))
