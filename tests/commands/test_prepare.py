"""Preparing a log from the command line, and training on it."""

import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.commands.prepare import make
from recns_tf.config.config import Config
from recns_tf.datasets.preparation import Preparation
from recns_tf.errors import UserError
from recns_tf.interactions import to_pairs
from tests.commands.test_train import ROOT, call, main
from tests.conftest import SHARED

KUAIRAND = SHARED / "data" / "kuairand" / "interactions.csv.gz"


def prepare(tmp_path, *arguments):
    folder = f"--data_dir={tmp_path}/data"
    return call(sys.executable, "-m", "recns_tf", "prepare", *arguments, folder)


@pytest.fixture
def log(tmp_path):
    """A log of 30 users with 22 rows each, including repeats and conflicts, and of a rare user."""
    rng = np.random.default_rng(0)
    lines = ["who,what,clicked,at"]
    for user in range(30):
        for item in rng.permutation(25)[:20]:
            lines.append(f"u{user},{item},{int(item % 2)},2024-01-{item + 1:02}")
        lines.append(f"u{user},{item},1,2024-01-30")
        lines.append(f"u{user},{item},0,2024-01-31")
    lines += ["rare,1,1,2024-01-01", "rare,2,0,2024-01-02"]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


COLUMNS = ("--user=who", "--item=what", "--label=clicked")


@pytest.mark.slow
def test_prepared_log_can_be_trained_on(tmp_path, log):
    done = prepare(tmp_path, "shop", f"--input={log}", *COLUMNS)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "python -m recns_tf shop lightgcn" in done.stdout
    trained = main(
        "shop", "lightgcn", f"--data_dir={tmp_path}/data", f"--runs_dir={tmp_path}/runs",
        "--epochs=1", "--dim=8", "--batch_size=64", "--num_negatives=3", "--num_candidates=4",
        "--split_seed=1",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    results = json.loads((tmp_path / "runs" / "shop-lightgcn-recns" / "results.json").read_text())
    assert results["data"]["source"]["split_seed"] == 1
    users = np.load(tmp_path / "runs" / "shop-lightgcn-recns" / "embeddings" / "user_ids.npy")
    assert "u7" in users


def test_printed_counts_add_up(tmp_path, log):
    done = prepare(tmp_path, "shop", f"--input={log}", *COLUMNS, "--timestamp=at",
                   "--split=temporal", "--user_core=2", "--item_core=3")  # fmt: skip
    counts = re.findall(r"^(read|less|kept) +([\d,]+) ", done.stdout, flags=re.MULTILINE)
    numbers = [(kind, int(count.replace(",", ""))) for kind, count in counts]
    assert numbers[0] == ("read", 662)
    assert sum(count for _, count in numbers[1:]) == 662
    assert len([kind for kind, _ in numbers if kind == "kept"]) == 4
    about = json.loads((tmp_path / "data" / "shop" / "prepared.json").read_text())
    account = dict(about["account"])
    assert account.pop("split_seed") == 0
    assert account.pop("cold_start").keys() == {"valid", "test"}
    assert account.pop("rows") == sum(account.values()) == 662
    assert account["late_exposures"] > 0 and account["below_core"] > 0


def test_split_seed_changes_the_split_but_not_the_positives(tmp_path, log):
    prepare(tmp_path, "shop", f"--input={log}", *COLUMNS)
    one, two, again = (
        datasets.load(Config(dataset="shop", split_seed=seed), tmp_path / "data")
        for seed in (0, 1, 0)
    )
    assert one.checksum == again.checksum != two.checksum
    parts = [data.train + data.valid + data.test for data in (one, two)]
    assert (parts[0] != parts[1]).nnz == 0 and (one.test != two.test).nnz > 0


def test_conflicts_any_removes_held_out_positives_from_the_exposures(tmp_path):
    path = tmp_path / "log.csv"
    rows = [f"{user},{item},{label}" for user in range(5) for item in range(10) for label in "01"]
    path.write_text("\n".join(["user_id,item_id,label", *rows]))
    kept, account = make(Preparation(name="a", input=str(path), label="label"), tmp_path / "a")
    assert account.conflicts == kept.train.nnz == 40 and kept.exposed.nnz == 10
    wanted = Preparation(name="b", input=str(path), label="label", conflicts="any")
    none, account = make(wanted, tmp_path / "b")
    assert account.conflicts == 50 and none.exposed.nnz == 0
    assert account.rows == 100 == sum(account[1:])


def test_temporal_split_drops_exposures_of_the_held_out_period(tmp_path):
    path = tmp_path / "log.csv"
    likes = [f"1,{item},1,{item}" for item in range(10)]
    shows = [f"1,{20 + when},0,{when}" for when in range(12)]
    path.write_text("\n".join(["user_id,item_id,label,t", *likes, *shows, "2,5,1,3", "2,25,0,99"]))
    wanted = Preparation(name="a", input=str(path), label="label", timestamp="t", split="temporal")
    data, account = make(wanted, tmp_path / "a")
    exposed = {(data.user_ids[u], data.item_ids[v]) for u, v in to_pairs(data.exposed)}
    # User 1's items 8 and 9 are held out, at times 8 and 9; user 2 has nothing held out.
    assert exposed == {(1, 20 + when) for when in range(8)} | {(2, 25)}
    assert account.late_exposures == 4


def make_shop(tmp_path, **settings):
    """Prepare a log in which user 3 and item 9 occur in the last two of 13 steps only.

    Returns the dataset and its account.
    """
    path = tmp_path / "log.csv"
    early = [(user, item) for item in range(4) for user in (0, 1, 2)][:11]
    likes = [*early, (3, 9), (3, 1)]
    rows = [f"{user},{item},1,{time}" for time, (user, item) in enumerate(likes)]
    rows += ["0,8,0,9.5", "0,7,0,8.5"]
    path.write_text("\n".join(["user_id,item_id,label,t", *rows]))
    wanted = Preparation(name="a", input=str(path), label="label", **settings)
    return make(wanted, tmp_path / "a")


def test_global_split_reports_cold_users_and_items(tmp_path, capsys):
    data, account = make_shop(
        tmp_path, timestamp="t", split="global-temporal", valid=0.15, test=0.15
    )
    assert (account.train, account.valid, account.test) == (9, 2, 2)
    assert account.late_exposures == 1 and to_pairs(data.exposed).tolist() == [[0, 4]]
    assert (data.num_users, data.num_items) == (4, 7), "the cold are kept"
    about = json.loads((tmp_path / "a" / "prepared.json").read_text())
    # Item 3 is liked in steps 9 and 10, which are valid; user 3 and item 9 in steps 11 and 12.
    assert about["account"]["cold_start"] == {
        "valid": {"users": 0, "items": 1, "pairs": 2}, "test": {"users": 1, "items": 1, "pairs": 1}
    }  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert "note  users without a train positive: 0 of valid, 1 of test" in lines
    assert "note  items without a train positive: 1 of valid (2 pairs), 1 of test (1 pair)" in lines


@pytest.mark.parametrize("timestamp", ["t", ""])
def test_leave_one_out_reports_whether_the_last_are_drawn_at_random(tmp_path, timestamp, capsys):
    data, _ = make_shop(tmp_path, timestamp=timestamp, split="leave-one-out")
    assert np.diff(data.test.indptr).tolist() == [1, 1, 1, 1]
    assert np.diff(data.valid.indptr).tolist() == [1, 1, 1, 0], "user 3 has two positives"
    text = capsys.readouterr().out
    note = "note  without --timestamp, the held-out positives are drawn at random"
    assert (note in text) == (not timestamp)
    assert "users without a train positive" not in text, "each user has a train positive"
    if timestamp:
        assert data.item_ids[data.test.indices].tolist() == [3, 3, 2, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one word is needed, NAME, not 0"),
        (["shop"], "--input is required: the file of the log; or"),
        (["shop", "--input=LOG", "--user=nobody"], "LOG line 1: no column 'nobody'; its columns"),
        (["shop", "--input=LOG", *COLUMNS, "--positive=4"], "--positive=4: choose a comparison"),
        (["shop", "--input=LOG", *COLUMNS, "--exposed=x"], "--exposed=x: choose rest, none, or"),
        (["shop", "--input=LOG", *COLUMNS, "--ids=any"], "--ids=any: choose one of auto, text."),
        (["shop", "--input=LOG", *COLUMNS, '--separator=a"'], '--separator=a": choose ASCII char'),
        (["shop", "--input=LOG", *COLUMNS, "--escape=ab"], "--escape=ab: choose one ASCII char"),
        (["shop", "--input=LOG", *COLUMNS, "--encoding=x"], "--encoding=x: choose a text encoding"),
        (["shop", "--input=LOG", *COLUMNS, "--time_format=%Y"], "--time_format requires --times"),
        (["shop", "--input=LOG", *COLUMNS, "--missing=no"], "--missing=no: choose one of refuse"),
        (["shop", "--input=LOG", *COLUMNS, "--test=1"], "--test=1.0: choose a share"),
        (["shop", "--input=LOG", *COLUMNS, "--test=0.5", "--valid=0.5"], "--valid=0.5 and --test="),
        (["shop", "--input=LOG", *COLUMNS, "--split=temporal"], "--split=temporal requires --tim"),
        (
            ["shop", "--input=LOG", *COLUMNS, "--split=global-temporal"],
            "--split=global-temporal re",
        ),
        (
            ["shop", "--input=LOG", *COLUMNS, "--split=leave-one-out", "--test=0.2"],
            "--valid=0.1 and --test=0.2 do not apply to --split=leave-one-out, which holds out o",
        ),
        (
            ["shop", "--input=LOG", *COLUMNS, "--split=last"],
            "--split=last: choose one of auto, ran",
        ),
        (["shop", "--input=LOG", *COLUMNS, "--split=given"], "--split=given and --split_column="),
        (["shop", "--input=LOG", *COLUMNS, "--item_core=99"], "shop: no positive is left to train"),
        (["shop", "--input=LOG", "--train_input=LOG"], "--input is required: the file of the log;"),
        (["shop", "--input=LOG", "--test_input=LOG"], "--valid_input and --test_input require --t"),
        (["shop", "--train_input=LOG", "--split=random"], "--split=random does not apply to --tra"),
        (["shop", "--train_input=LOG", "--split_column=x"], "--split_column does not apply to --t"),
        (["shop", "--input=nowhere.csv"], "nowhere.csv does not exist (current folder: "),
        (["shop", "--input=FOLDER/*.tsv"], "FOLDER/*.tsv holds no file: name a table, or"),
        (["shop", "--input=LOG", "--user=what", "--item=what"], "--user=what and --item=what are"),
        (["shop", "--input=LOG", "--input=LOG"], "--input is given 2 times: give it once."),
        (["shop", "--input=LOG", "--positive=>=4"], "--positive and --exposed require --label"),
        (["shop", "--input=LOG", *COLUMNS, "--separator=é"], "--separator=é: choose ASCII char"),
        (
            ["shop", "--input=LOG", "--user=who", "--item=what", "--label=at"],
            "LOG line 2: at '2024-01-",
        ),
        (["ml-100k", "--input=LOG", *COLUMNS], "a dataset cannot be called 'ml-100k': that name"),
        (["summary", "--input=LOG", *COLUMNS], "a dataset cannot be called 'summary': that name"),
        (["table2", "--input=LOG", *COLUMNS], "a dataset cannot be called 'table2': that name"),
        (["../x", "--input=LOG", *COLUMNS], "a dataset cannot be called '../x': choose letters"),
        (["shop", "--input=LOG", *COLUMNS, "--positives=1"], "Unknown command line flag 'positi"),
    ],
)
def test_invalid_input_is_an_error_and_writes_nothing(tmp_path, log, arguments, message):
    def with_paths(text):
        return text.replace("LOG", str(log)).replace("FOLDER", str(tmp_path))

    done = prepare(tmp_path, *map(with_paths, arguments))
    assert done.returncode == 1
    assert done.stderr.startswith(f"recns_tf: {with_paths(message)}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


@pytest.mark.slow
def test_dataset_is_replaced_only_with_overwrite_and_only_by_a_valid_one(tmp_path, log):
    def checksum():
        return datasets.load(Config(dataset="shop"), tmp_path / "data").checksum

    prepare(tmp_path, "shop", f"--input={log}", *COLUMNS)
    before = checksum()
    done = prepare(tmp_path, "shop", f"--input={log}", *COLUMNS)
    assert done.returncode == 1 and "already exists: choose another name" in done.stderr
    again = (*COLUMNS, "--overwrite")
    done = prepare(tmp_path, "shop", f"--input={log}", *again, "--user_core=999")
    assert done.returncode == 1 and checksum() == before
    done = prepare(tmp_path, "shop", f"--input={log}", *again, "--exposed=none")
    assert done.returncode == 0 and checksum() != before
    (tmp_path / "data" / "mine").mkdir()
    (tmp_path / "data" / "mine" / "precious").touch()
    done = prepare(tmp_path, "mine", f"--input={log}", *again)
    assert done.returncode == 1 and "is not a prepared dataset" in done.stderr
    (tmp_path / "data" / "new").mkdir()
    assert prepare(tmp_path, "new", f"--input={log}", *COLUMNS).returncode == 0
    assert (tmp_path / "data" / "mine" / "precious").exists()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["mine", "new", "shop"]


@pytest.mark.slow
def test_split_flag_overrides_the_prepared_split(tmp_path, log):
    prepare(tmp_path, "shop", f"--input={log}", *COLUMNS, "--timestamp=at", "--split=temporal")

    def load(**flags):
        return datasets.load(Config(dataset="shop", **flags), tmp_path / "data")

    assert load().source["split"] == "temporal"
    assert load(split="temporal").checksum == load().checksum
    assert load(split="random", split_seed=2).source["split"] == "random"
    with pytest.raises(UserError, match="shop has a temporal split, which no seed changes"):
        load(split_seed=2)
    one_each = np.ones(30)  # the user called rare has one positive
    for split in ("leave-one-out", "global-temporal"):
        again = load(split=split)
        assert again.source["split"] == split
        with pytest.raises(UserError, match=f"shop has a {split} split.*, which no seed changes"):
            load(split=split, split_seed=2)
    np.testing.assert_array_equal(
        np.sort(load(split="leave-one-out").test.sum(axis=1))[1:], one_each
    )
    prepare(tmp_path, "bare", f"--input={log}", *COLUMNS)
    for split in ("temporal", "global-temporal"):
        with pytest.raises(UserError, match=f"--split={split}: bare has no timestamps"):
            datasets.load(Config(dataset="bare", split=split), tmp_path / "data")
    random = [
        datasets.load(
            Config(dataset="bare", split="leave-one-out", split_seed=seed), tmp_path / "data"
        )
        for seed in (0, 1)
    ]
    assert random[0].test.nnz == random[1].test.nnz == 30 and (random[0].test != random[1].test).nnz


@pytest.mark.slow
def test_interrupt_is_reported_and_writes_nothing(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id\n" + "1,2\n" * 3_000_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "recns_tf", "prepare", "shop", f"--input={path}",
         f"--data_dir={tmp_path}/data"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == "recns_tf: interrupted; nothing was written."
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["log.npz", "prepared.json"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"PK\x03\x04"])
def test_damaged_prepared_file_is_an_error(tmp_path, log, name, damage):
    prepare(tmp_path, "shop", f"--input={log}", *COLUMNS)
    (tmp_path / "data" / "shop" / name).write_bytes(damage)
    with pytest.raises(UserError, match=rf"{name} is damaged .*prepare"):
        datasets.load(Config(dataset="shop", split_seed=1), tmp_path / "data")


@pytest.mark.slow
def test_changed_value_in_prepared_json_is_an_error(tmp_path, log):
    prepare(tmp_path, "shop", f"--input={log}", *COLUMNS)
    path = tmp_path / "data" / "shop" / "prepared.json"
    about = json.loads(path.read_text())
    about["rules"]["user_core"] += 1
    path.write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"prepared\.json is damaged .*prepare shop again"):
        datasets.load(Config(dataset="shop"), tmp_path / "data")
    # Earlier versions wrote no checksum.
    del about["checksum"]
    path.write_text(json.dumps(about))
    assert datasets.load(Config(dataset="shop"), tmp_path / "data").train.nnz


def test_first_split_is_cached_by_prepare(tmp_path, log):
    prepare(tmp_path, "shop", f"--input={log}", *COLUMNS)
    (tmp_path / "data" / "shop" / "log.npz").unlink()
    assert datasets.load(Config(dataset="shop"), tmp_path / "data").train.nnz


@pytest.mark.slow
def test_unknown_dataset_is_an_error_that_lists_prepared_ones(tmp_path, log):
    prepare(tmp_path, "shop", f"--input={log}", *COLUMNS)
    done = main("shpo", "lightgcn", f"--data_dir={tmp_path}/data")
    assert re.search(
        r"unknown dataset 'shpo': .* shop, or make one from your own log: .* Did you mean 'shop'",
        done.stderr,
    )


@pytest.mark.slow
@pytest.mark.skipif(not KUAIRAND.exists(), reason="the KuaiRand sample is missing")
def test_kuairand(tmp_path):
    wanted = Preparation(
        name="k", input=str(KUAIRAND), user="user_id", item="video_id", label="long_view"
    )
    data, account = make(wanted, tmp_path / "k")
    assert account.rows == 992_771 == sum(account[1:])
    assert account.train + account.valid + account.test == 442_498
    assert (account.exposed, account.conflicts) == (550_273, 0)
    assert (data.num_users, data.num_items) == (20_949, 4_982)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test", "train", "help", "ml-100k", "lightgcn", "table2", "all"])
def test_reserved_names_are_refused(tmp_path, name, log):
    done = prepare(tmp_path, name, f"--input={log}", *COLUMNS)
    assert done.returncode == 1 and "that name is reserved" in done.stderr


def test_append_adds_rows_and_keeps_the_settings(tmp_path, log):
    lines = log.read_text().splitlines()
    (tmp_path / "first.csv").write_text("\n".join(lines[:400]) + "\n")
    (tmp_path / "rest.csv").write_text("\n".join([lines[0], *lines[400:]]) + "\n")
    prepared = prepare(tmp_path, "shop", f"--input={tmp_path}/first.csv", *COLUMNS)
    assert prepared.returncode == 0, prepared.stderr
    for further in ("--user=who", "--overwrite", "--split=temporal"):
        refused = prepare(tmp_path, "shop", f"--append={tmp_path}/rest.csv", further)
        name = further.partition("=")[0]
        assert refused.returncode == 1 and f"; leave out {name}." in refused.stderr
    done = prepare(tmp_path, "shop", f"--append={tmp_path}/rest.csv")
    assert done.returncode == 0, done.stderr
    assert "263 rows read, besides the 399 rows of shop" in done.stdout
    counts = re.findall(r"^(read|less|kept) +([\d,]+) ", done.stdout, flags=re.MULTILINE)
    numbers = [int(number.replace(",", "")) for _, number in counts]
    assert numbers[0] == sum(numbers[1:]) == 662
    again = prepare(tmp_path, "shop", f"--append={tmp_path}/rest.csv")
    assert again.returncode == 1 and "which shop holds already." in again.stderr
    missing = prepare(tmp_path, "other", f"--append={tmp_path}/rest.csv")
    assert missing.returncode == 1 and "is not a prepared dataset" in missing.stderr
