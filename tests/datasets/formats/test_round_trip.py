"""Writing Interactions in any format and reading them back preserves them and their ids."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recns_tf.commands.prepare import make
from recns_tf.config.config import Config
from recns_tf.datasets import prepared
from recns_tf.datasets.cache import PARTS
from recns_tf.datasets.formats.writers import WRITERS
from recns_tf.datasets.graph_folder import load_folder
from recns_tf.datasets.preparation import Preparation
from recns_tf.errors import UserError
from recns_tf.interactions import make_interactions

TABLES = [".csv", ".tsv", ".inter", ".parquet", ".csv.gz", ".inter.gz"]
MISSING = ("nan", "null", "none", "na", "n/a", "<na>")


def texts(forbidden):
    """Text ids in any script; readers strip spaces and reject words for missing values."""
    letters = st.characters(exclude_categories=("C", "Z"), exclude_characters=forbidden)
    words = st.text(letters, min_size=1, max_size=6)
    words = st.one_of(words, st.tuples(words, words).map(" ".join))
    return words.map(str.strip).filter(lambda word: word and word.lower() not in MISSING)


def ids(size, forbidden):
    numbers = st.lists(st.integers(0, 2**63 - 1), min_size=size, max_size=size, unique=True)
    # Include a word, since text ids that all look like integers are read back as integers.
    words = st.lists(texts(forbidden), min_size=size - 1, max_size=size - 1, unique=True)
    words = words.filter(lambda chosen: "no" not in chosen).map(lambda chosen: [*chosen, "no"])
    return st.one_of(numbers, words).map(lambda chosen: np.array(sorted(chosen)))


@st.composite
def interactions(draw, forbidden="", everyone=False):
    num_users, num_items = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    cells = draw(st.lists(st.sampled_from("tTvVeE..."), min_size=30, max_size=30).map(np.array))[
        : num_users * num_items
    ].reshape(num_users, num_items)
    cells[0, 0] = "t"
    if everyone:
        cells[:, 0] = np.where(cells[:, 0] == ".", "t", cells[:, 0])
        cells[0] = np.where(cells[0] == ".", "e", cells[0])
    pairs = {kind: np.argwhere(np.char.lower(cells) == kind) for kind in "tve"}
    test = np.argwhere(cells == "V")
    valid = np.argwhere(cells == "v")
    # E marks exposed pairs that are also held-out positives.
    both = np.argwhere(cells == "E")
    return make_interactions(
        "t",
        train=pairs["t"],
        valid=np.concatenate([valid, both[::2]]),
        test=np.concatenate([test, both[1::2]]),
        exposed=pairs["e"],
        user_ids=draw(ids(num_users, forbidden)),
        item_ids=draw(ids(num_items, forbidden)),
        source={},
    )


def assert_equal(one, two):
    for part in PARTS:
        assert (getattr(one, part) != getattr(two, part)).nnz == 0, part
    np.testing.assert_array_equal(one.user_ids, two.user_ids)
    np.testing.assert_array_equal(one.item_ids, two.item_ids)
    assert one.checksum == two.checksum


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["lightgcn", "pinsage"])
@settings(max_examples=60)
@given(data=st.data())
def test_graph_folders(layout, data):
    one = data.draw(interactions())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if layout == "pinsage" and not (one.valid.nnz and one.test.nnz):
            with pytest.raises(UserError, match=r"t has no (valid|test) positives"):
                WRITERS[layout](one, folder / "files")
            return
        WRITERS[layout](one, folder / "files")
        two = load_folder("t", folder / "files", layout, folder, Config())
    assert_equal(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("ending", TABLES)
@settings(max_examples=40)
@given(data=st.data())
def test_tables(ending, data):
    unquoted = ending.startswith((".tsv", ".inter"))
    one = data.draw(interactions(forbidden='"\t' if unquoted else "", everyone=True))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"log{ending}"
        WRITERS["table"](one, path)
        wanted = Preparation(
            name="t", input=str(path), label="label", split="given", split_column="split",
            user_core=0, ids="text",
        )  # fmt: skip
        two, account = make(wanted, Path(name) / "t")
        assert account.rows == sum(account[1:])
        again = prepared.load(Path(name) / "t", Config())
    assert_equal(one, two)
    assert_equal(one, again)


def test_id_that_a_format_cannot_represent_is_an_error(tmp_path):
    one = make_interactions(
        "t", train=[[0, 0]], valid=[], test=[], exposed=[],
        user_ids=np.array(["a\tb"]), item_ids=np.array([1]), source={},
    )  # fmt: skip
    with pytest.raises(UserError, match=r"t.tsv cannot be written: an id contains a tab"):
        WRITERS["table"](one, tmp_path / "t.tsv")
    assert list(tmp_path.iterdir()) == []
