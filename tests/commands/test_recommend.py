"""The command recommend: the same lists as the library, in every format, whole or not at all."""

import csv
import gzip
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import recns_tf as rt
from recns_tf.commands import recommend
from recns_tf.main import main
from recns_tf.serving.recommender import Recommender
from recns_tf.utils import folders
from tests.commands.worlds import make_worlds, refusal

COLUMNS = ["user", "item", "rank", "score"]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    return make_worlds(tmp_path_factory.mktemp("worlds"))


@pytest.fixture
def place(worlds, tmp_path, monkeypatch):
    """The working directory, with links to the runs and the data."""
    monkeypatch.chdir(tmp_path)
    for name in ("runs", "data"):
        os.symlink(worlds / name, tmp_path / name)
    return tmp_path


def rows_of(path):
    """Return the rows of a file as tuples, read with the standard library (Parquet: pyarrow)."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        assert table.column_names == COLUMNS
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        if ".jsonl" in path.name:
            records = [json.loads(line) for line in file]
            assert all(list(record) == COLUMNS for record in records)
            return [
                (*(record[name] for name in COLUMNS[:3]), float(np.float32(record["score"])))
                for record in records
            ]
        head, *rows = csv.reader(file)
        assert head == COLUMNS
        return [tuple(row) for row in rows]


def expected_rows(run, k, **options):
    frame = rt.load(f"runs/{run}", frames="dict").recommend(k=k, **options)
    return list(zip(*(frame[name].tolist() for name in COLUMNS), strict=True))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "csv.gz", "jsonl.gz"])
@pytest.mark.parametrize("run", ["text", "numbers", "crowded", "popular"])
def test_every_format_has_the_rows_of_the_library(place, run, ending, monkeypatch, capsys):
    # Several parts.
    monkeypatch.setattr("recns_tf.serving.lists.LISTED_AT_ONCE", 70)
    path = place / f"lists.{ending}"
    main(["recommend", f"runs/{run}", f"--output={path}", "--topk=7"])
    expected = expected_rows(run, 7)
    assert len(expected) > 20
    found = rows_of(path)
    scores = [float(np.float32(row[3])) for row in found]
    assert scores == [row[3] for row in expected]
    ids = [row[:3] for row in expected]
    if "csv" in ending:
        ids = [tuple(map(str, row)) for row in ids]
    assert [row[:3] for row in found] == ids, "also the types, in Parquet and JSON"
    users = 12 if run == "crowded" else 40
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{path}: {users} users, {len(expected)} rows, ")
    assert os.listdir(place).count(path.name) == 1 and len(os.listdir(place)) == 3


def test_types_in_parquet(place):
    main(["recommend", "runs/numbers", "--output=a.parquet"])
    schema = pq.read_schema("a.parquet")
    assert [schema.field(name).type for name in COLUMNS] == [
        *(pa.int64(), pa.int64(), pa.int64(), pa.float32()),
    ]


def test_users_with_short_lists_are_counted(place, capsys):
    # All items but the first, which no user chose.
    data = rt.load("runs/crowded").data
    (place / "some.txt").write_text("\n".join(map(str, data.item_ids[1:])))
    flags = ["--topk=3", "--candidates=some.txt"]
    main(["recommend", "runs/crowded", "--output=a.csv", *flags])
    left = data.num_items - 1 - np.diff(data.positives.indptr)
    few, none = int((left < 3).sum()), int((left == 0).sum())
    assert few > none > 0, "the world has such users"
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{few} users have fewer than 3 items left, {none} of them none."
    assert len(rows_of(place / "a.csv")) == np.minimum(left, 3).sum()


USERS = ["u7", "u30", "u2"]
FILES = {
    "lines.txt": b"\xef\xbb\xbfu7\r\n\n  u30\nu2",
    "any.ids": b"u7\nu30\nu2\n",
    "lines.txt.gz": gzip.compress(b"u7\nu30\nu2\n", mtime=0),
    "a.csv": b"x,user\n1,u7\n2,u30\n3,u2\n",
    "b.csv": b'user_id\nu7\n"u30"\nu2\n',
    "a.tsv": b"user_id\tx\nu7\t1\nu30\t1\nu2\t1\n",
    "a.jsonl": b'{"user": "u7"}\n{"user": "u30"}\n{"user": "u2"}\n',
}


@pytest.mark.parametrize("name", [*FILES, "a.parquet"])
def test_users_of_a_file(place, name, capsys):
    if name == "a.parquet":
        pq.write_table(pa.table({"user_id": USERS}), name)
    else:
        (place / name).write_bytes(FILES[name])
    main(["recommend", "runs/text", "--output=o.jsonl", "--topk=4", f"--users={name}"])
    assert rows_of(place / "o.jsonl") == expected_rows("text", 4, users=USERS)
    assert ": 3 users, 12 rows, " in capsys.readouterr().out


def test_candidates_and_seen_items(place, capsys):
    items = [10, 3, 24, 178, 10]
    pq.write_table(pa.table({"item": pa.array(items, pa.int32())}), "some.parquet")
    (place / "some.txt").write_text("\n".join(map(str, items)))
    for name in ("some.parquet", "some.txt"):
        for seen in (False, True):
            main(
                [
                    *("recommend", "runs/numbers", "--output=o.parquet", "--overwrite"),
                    *("--topk=3", f"--candidates={name}", f"--include_seen={seen}"),
                ]
            )
            expected = expected_rows("numbers", 3, candidates=items, include_seen=seen)
            assert rows_of(place / "o.parquet") == expected
            assert {row[1] for row in expected} <= set(items)
        assert f"{name}: 1 id is a repeat and left out." in capsys.readouterr().out


def test_negative_integers_are_matched_as_integers(place):
    (place / "users.txt").write_text("-7\n99999999999999993\n")
    main(["recommend", "runs/numbers", "--output=o.jsonl", "--topk=1", "--users=users.txt"])
    assert [row[0] for row in rows_of(place / "o.jsonl")] == [-7, 10**17 - 7]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", b"u7\nu99\nu98\n", "a.txt line 2: user 'u99' is not in the data of toy, like 1 "
         "more of the 3 ids."),
        ("a.txt", b"u7\n\nu 7\n", "a.txt line 3: user 'u 7' is not in the data of toy."),
        ("a.csv", b"user\nu7\n\"x,\ny\"\n", "a.csv line 4: user 'x,\\ny' is not in the data of"),
        ("a.jsonl", b'{"user": "u7"}\n{"user": 7}\n', "a.jsonl line 2: user '7' is not in the"),
        ("a.csv", b"user,b\nu7,1\n,2\n", "a.csv line 3: the user is missing."),
        ("a.csv", b"name,b\nu7,1\n", "a.csv: no column 'user' or 'user_id'; its columns are 'name"),
        ("a.parquet", b"PAR1", "a.parquet is not a valid Parquet file"),
        ("a.txt", b"u7\n\xff\n", "a.txt line 2 is not text in UTF-8."),
        ("a.txt.gz", gzip.compress(b"u7\n" * 99, mtime=0)[:-12], "a.txt.gz is truncated after"),
        ("a.txt", b"", "--users=a.txt has no ids: write one user id per line."),
        ("a.txt", b"\n \n", "--users=a.txt has no ids"),
        ("a.csv", b"", "a.csv is empty."),
        ("a.csv", b"user\n", "a.csv has no rows."),
        ("", b"", "--users=a.txt does not exist: name a file of user ids."),
    ],
)  # fmt: skip
def test_a_file_that_names_no_users_is_refused(place, name, content, sentence):
    if name:
        (place / name).write_bytes(content)
    line = ["recommend", "runs/text", "--output=o.csv", f"--users={name or 'a.txt'}"]
    assert refusal(*line).startswith(sentence)
    assert sorted(os.listdir(place)) == sorted(filter(None, ["data", "runs", name]))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--output=o.txt"], "--output=o.txt: choose a name that ends in .parquet, .csv, .jsonl, "
         ".csv.gz or .jsonl.gz."),
        ([], "--output is needed: a file that ends in .parquet, .csv"),
        (["--output=o.csv", "--topk=61"], "--topk=61: choose at most 60, the number of items."),
        (["--output=o.csv", "--topk=0"], "--topk=0: choose a whole number from 1 to 1000."),
        (["--output=o.csv", "--users=runs"], "--users=runs is a folder: name a file of user ids."),
        (["--output=there.csv"], "there.csv already exists: choose another name, or --overwrite "
         "to replace it."),
        (["--output=folder.csv", "--overwrite"], "folder.csv is a folder: choose the name of a"),
    ],
)  # fmt: skip
def test_illegal_flags_are_one_sentence(place, flags, sentence):
    (place / "there.csv").write_text("earlier")
    (place / "folder.csv").mkdir()
    before = sorted(os.listdir(place))
    assert refusal("recommend", "runs/text", *flags).startswith(sentence)
    assert sorted(os.listdir(place)) == before
    assert (place / "there.csv").read_text() == "earlier"


def test_runs_that_cannot_recommend_are_refused(place):
    (place / "empty").mkdir()
    for run in ("empty", "missing"):
        sentence = refusal("recommend", run, "--output=o.csv")
        assert sentence.startswith(f"{run} is not the folder of a run: choose a folder such as")
    sentence = refusal("recommend", "runs/popular", "--output=o.csv", "--data_dir=nowhere")
    assert sentence == (
        "runs/popular needs the data that it was trained on: nowhere/toy is not there."
    )
    (place / "few.txt").write_text("3\n10\n")
    sentence = refusal(
        *("recommend", "runs/numbers", "--output=o.csv", "--topk=3", "--candidates=few.txt")
    )
    assert sentence == "--topk=3: choose at most 2, the number of candidates."
    assert not (place / "o.csv").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("ending", ["parquet", "csv.gz", "jsonl"])
def test_a_failure_leaves_the_earlier_file(place, monkeypatch, error, ending, capsys):
    path = place / f"o.{ending}"
    path.write_text("earlier")
    monkeypatch.setattr("recns_tf.serving.lists.LISTED_AT_ONCE", 70)
    columns = Recommender.columns

    def fails(self, rows, *arguments):
        if len(rows) and rows[0] != "u0":
            assert len(os.listdir(place)) > 3, "a temporary file is there"
            raise error
        return columns(self, rows, *arguments)

    monkeypatch.setattr(Recommender, "columns", fails)
    with pytest.raises(SystemExit) as status:
        main(["recommend", "runs/text", f"--output={path}", "--topk=7", "--overwrite"])
    assert status.value.code == 130 or "is full: free some space" in status.value.code
    assert path.read_text() == "earlier"
    assert sorted(os.listdir(place)) == sorted(["data", "runs", path.name])
    if error is KeyboardInterrupt:
        assert "interrupted; nothing was written." in capsys.readouterr().err


def test_a_new_folder_appears_with_the_file_alone(place, monkeypatch):
    def fails(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Recommender, "columns", fails)
        refusal("recommend", "runs/text", "--output=a/b/o.csv")
    assert not (place / "a").exists()
    main(["recommend", "runs/text", "--output=a/b/o.csv"])
    assert os.listdir(place / "a" / "b") == ["o.csv"]


def test_two_commands_do_not_write_one_file(place):
    with folders.claim(place / "o.csv", ""):
        sentence = refusal("recommend", "runs/text", "--output=o.csv")
    assert sentence == "another process is writing o.csv."


def test_help_says_what_it_does(capsys):
    main(["recommend", "--help"])
    said = capsys.readouterr().out
    assert "recommend runs/ml-100k-lightgcn-recns --output=recommendations.parquet" in said
    assert recommend.COMMAND.interrupted == "nothing was written"
