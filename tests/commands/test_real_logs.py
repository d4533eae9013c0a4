"""Logs as people bring them, in small, each with the right result: what `prepare` and training say.

The sources are public bug reports of recommendation libraries and the formats of common exports.
All ids are invented.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from recns_tf.config.config import Config
from recns_tf.datasets import prepared
from recns_tf.interactions import to_pairs
from recns_tf.main import main

TRAIN = ("--epochs=1", "--dim=4", "--num_negatives=2", "--num_candidates=4")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    """Run a command; return its exit message, "" if it succeeds, and what it printed."""
    try:
        main(arguments)
        message = ""
    except SystemExit as stop:
        message = str(stop.code).partition(": ")[2]  # without the name of the program
    return message, capsys.readouterr().out


def prepare(capsys, content, *flags, name="log.csv"):
    """Prepare a log that is written first; return the exit message and the output."""
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return run(capsys, "prepare", "log", f"--input={name}", "--overwrite", *flags)


def train_pairs():
    data = prepared.load(Path("data/log"), Config())
    users, items = to_pairs(data.train).T
    return set(zip(data.user_ids[users].tolist(), data.item_ids[items].tolist(), strict=True))


def test_quotes_that_spark_and_mysql_escape_by_a_backslash(workplace, capsys):
    """NVIDIA/cudf#11984, databricks/spark-csv#466."""
    titles = ['"TV 42\\""', "radio", "lamp", '"a ""big"" TV"', '"TV \\"50\\""']
    rows = "".join(f"u{n},{title},i{n},1\n" for n, title in enumerate(titles))
    content = f"user_id,title,item_id,clicked\n{rows}"
    message, _ = prepare(capsys, content, "--label=clicked")
    assert message.startswith("log.csv line 5: text follows a closing quote; if the file")
    assert "use --escape='\\'" in message and not Path("data").exists()
    spark = content.replace('""big""', '\\"big\\"')
    message, _ = prepare(capsys, spark, "--label=clicked", "--escape=\\")
    assert message == "" and train_pairs() == {(f"u{n}", f"i{n}") for n in range(5)}


def test_a_quote_left_open_in_a_column_nobody_reads(workplace, capsys):
    content = 'user_id,item_id,clicked,note\n1,1,1,fine\n1,2,1,"open\n' + "".join(
        f"{n},{n},1,x\n" for n in range(2000)
    )
    message, _ = prepare(capsys, content, "--label=clicked")
    assert message.startswith("log.csv line 3: a quote is opened and never closed")
    message, output = prepare(capsys, content, "--label=clicked", "--quoting=none")
    assert message == "" and "read          2,002 rows" in output


def test_a_heading_is_not_a_user(workplace, capsys):
    """RUCAIBox/RecBole#1210."""
    content = "userId,movieId,rating,timestamp\n1,27,5.0,1112486027\n18,23,3.0,1112486029\n"
    flags = ("--columns=u,i,r,t", "--user=u", "--item=i")
    message, _ = prepare(capsys, content, *flags)
    assert message.startswith("log.csv line 1: u 'userId' looks like a heading")
    message, _ = prepare(capsys, content, *flags, "--label=r")
    assert message.startswith("log.csv line 1: r 'rating' is not a number; if this line")


def test_rows_of_guests_and_without_a_time(workplace, capsys):
    """chongminggao/KuaiRec#1, RUCAIBox/RecBole#1084."""
    guests = "user_id,item_id,time\n1,a,1\n,b,2\n2,a,3\n"
    message, _ = prepare(capsys, guests)
    assert message == ("log.csv line 3: user_id is missing; --missing=drop leaves such rows out.")
    message, output = prepare(capsys, guests, "--missing=drop")
    assert message == "" and train_pairs() == {(1, "a"), (2, "a")}
    assert "less              1 row without an id, a label or a time (--missing=drop)" in output
    timeless = "user_id,video_id,timestamp,ratio\n1,10,1593878903.4,0.7\n1,11,,2.5\n1,12,5,2.5\n"
    flags = ("--item=video_id", "--label=ratio", "--positive=>=2", "--timestamp=timestamp")
    message, _ = prepare(capsys, timeless, *flags, "--split=temporal")
    assert message.startswith("log.csv line 3: timestamp is missing; --missing=drop")
    message, _ = prepare(capsys, timeless, *flags, "--split=temporal", "--missing=drop")
    assert message == "" and train_pairs() == {(1, 12)}


def test_several_kinds_of_events_are_positives(workplace, capsys):
    """apache/predictionio-template-ecom-recommender#8."""
    content = "user_id,item_id,event\n1,a,cart\n1,b,purchase\n2,a,view\n1,c,view\n"
    label = "--label=event"
    message, _ = prepare(capsys, content, label, "--positive===cart", "--positive===purchase")
    assert message == "--positive is given 2 times: give it once."
    message, output = prepare(capsys, content, label, "--positive===cart|purchase")
    assert message == "" and train_pairs() == {(1, "a"), (1, "b")}
    message, output = prepare(capsys, content, label, "--positive===cart|purchse")
    assert "note  no event is 'purchse', which --positive names" in output


TIMES = {
    "bigquery": ("2023-01-05 10:12:29 UTC", "2023-01-05 10:13:48.975806 UTC", ""),
    "gmt": ("2023-01-05 10:12:29 GMT", "2023-01-05 10:13:48 GMT", ""),
    "us": ("1/5/2023 10:12", "1/5/2023 10:13", "%m/%d/%Y %H:%M"),
    "german": ("05.01.2023 10:12:29", "05.01.2023 10:13:48", "%d.%m.%Y %H:%M:%S"),
    "foursquare": (
        "Thu Jan 05 10:12:29 +0000 2023", "Thu Jan 05 01:13:48 -0900 2023",
        "%a %b %d %H:%M:%S %z %Y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", TIMES)
def test_times_as_databases_export_them(workplace, capsys, form):
    early, late, time_format = TIMES[form]
    content = f"user_id,item_id,ts\n1,a,{early}\n1,b,{late}\n"
    message, _ = prepare(
        capsys, content, "--timestamp=ts", "--split=leave-one-out", f"--time_format={time_format}"
    )
    data = prepared.load(Path("data/log"), Config())
    in_order = [data.item_ids[rows.indices].tolist() for rows in (data.train, data.test)]
    assert message == ""
    assert in_order == [["a"], ["b"]]
    if time_format:
        message, _ = prepare(capsys, content, "--timestamp=ts")
        assert (
            "line 2: ts " in message and "--time_format='%d.%m.%Y %H:%M' names another" in message
        )


def test_units_mixed_in_a_column_of_times(workplace, capsys):
    times = [1672913520, 1672913603, 1672913622000, 1672913640]
    content = "user_id,item_id,ts\n" + "".join(f"1,{n},{time}\n" for n, time in enumerate(times))
    message, output = prepare(capsys, content, "--timestamp=ts", "--split=temporal")
    note = "the numbers of ts seem to mix units (3 like seconds, 1 like milliseconds since 1970)"
    assert message == "" and note in output
    assert note in json.loads(Path("data/log/prepared.json").read_text())["notes"][0]


def test_dates_that_stand_for_no_date(workplace, capsys):
    content = (
        "user_id,item_id,ts\nu1,a,2023-01-05T10:12:29\nu1,b,9999-12-31T00:00:00\n"
        "u2,a,2023-01-06T08:00:00\nu2,c,1601-01-01T00:00:00\n"
    )
    message, output = prepare(capsys, content, "--timestamp=ts", "--split=temporal")
    assert message == "" and "note  2 dates of ts are before 1900 or after 2200" in output


def test_latin_1_and_two_characters_between_fields(workplace, capsys):
    """MovieLens 1M, Foursquare."""
    content = "1::Amélie (2001)::5\n2::Léon (1994)::4\n".encode("latin-1")
    flags = ("--columns=u,m,r", "--user=u", "--item=m", "--separator=::")
    message, _ = prepare(capsys, content, *flags, name="ratings.dat")
    assert message == (
        "ratings.dat line 1: not UTF-8 text; name its encoding, as in --encoding=latin-1."
    )
    message, _ = prepare(capsys, content, *flags, "--encoding=latin-1", name="ratings.dat")
    assert message == "" and train_pairs() == {(1, "Amélie (2001)"), (2, "Léon (1994)")}


def test_a_split_in_files(workplace, capsys):
    """RUCAIBox/RecBole#1408, recommenders-team/recommenders#1964, NCF's ml-1m.train.rating."""
    Path("train.txt").write_text("0 1 2 3 4\n1 2 3 5\n")
    Path("test.txt").write_text("0 5\n1 4\n")
    lists = ("--train_input=train.txt", "--test_input=test.txt")
    message, _ = run(capsys, "prepare", "log", *lists)
    data = prepared.load(Path("data/log"), Config())
    assert message == ""
    assert [getattr(data, part).nnz for part in ("train", "valid", "test")] == [7, 0, 2]
    Path("a.train.rating").write_text("1\t45\t5\t9\n1\t6\t5\t9\n2\t7\t5\t9\n")
    Path("a.test.rating").write_text("1\t35\t5\t10\n3\t60\t5\t10\n")
    message, output = run(
        capsys, "prepare", "ncf", "--train_input=a.train.rating", "--test_input=a.test.rating",
        "--separator=\\t", "--columns=u,i,r,t", "--user=u", "--item=i",
    )  # fmt: skip
    assert message == "" and "kept              2 positives for testing" in output
    assert "note  users without a train positive: 0 of valid, 1 of test" in output
    assert (
        "note  items without a train positive: 0 of valid (0 pairs), 2 of test (2 pairs)" in output
    )


def test_a_huge_id_is_an_id_in_a_log_and_an_error_in_a_numbered_graph(workplace, capsys):
    Path("data/gowalla").mkdir(parents=True)
    for folder in (Path(), Path("data/gowalla")):
        (folder / "train.txt").write_text("0 1 2 3\n1 2 3 4\n2 0 99999999\n")
        (folder / "test.txt").write_text("0 4\n")
    message, _ = run(capsys, "describe", "gowalla")
    assert message.startswith("data/gowalla/train.txt line 3: item 99999999 is above ")
    message, output = run(
        capsys, "prepare", "log", "--train_input=train.txt", "--test_input=test.txt"
    )
    assert message == "" and "log: 3 users, 6 items; 8 train" in output


@pytest.mark.slow
def test_a_log_in_which_every_user_has_every_item(workplace, capsys):
    """RUCAIBox/RecBole#2193, recommenders-team/recommenders#2163."""
    content = "user_id,item_id\n" + "".join(f"{u},{v}\n" for u in range(3) for v in range(3))
    assert prepare(capsys, content, "--valid=0", "--test=0")[0] == ""
    message, _ = run(capsys, "log", "mf", "--sampler=unins", *TRAIN)
    assert message.startswith("log: every user with train positives has every item")
    assert not Path("runs/log-mf-unins").exists()
    prepare(capsys, content + "3,0\n3,1\n", "--valid=0", "--test=0")
    message, _ = run(capsys, "log", "mf", "--sampler=unins", *TRAIN)
    assert message == "", "one user with an unobserved item is enough; the folder does not block"


@pytest.mark.slow
def test_metrics_that_no_model_can_miss(workplace, capsys):
    """RUCAIBox/RecBole#2193, benfred/implicit#412."""
    rng = np.random.default_rng(0)
    rows = [
        f"{user},{item},1,{n}" for user in range(30)
        for n, item in enumerate(rng.choice(10, size=6, replace=False))
    ]  # fmt: skip
    content = "\n".join(["user_id,item_id,clicked,time", *rows])
    flags = ("--label=clicked", "--timestamp=time", "--split=temporal", "--valid=0.2", "--test=0.2")
    assert prepare(capsys, content, *flags)[0] == ""
    message, output = run(capsys, "log", "mf", *TRAIN)
    sentence = "30 of 30 tested users have at most 20 unseen items, so that their Recall@20 and HR"
    assert message == "" and output.count(sentence) == 2, "before training and below the results"
    test = json.loads(Path("runs/log-mf-recns/results.json").read_text())["test"]
    assert test["recall@20"] == test["hr@20"] == 1 and test["saturated_users@20"] == 30
    message, output = run(capsys, "log", "mf", *TRAIN, "--topk=2", "--run_name=two")
    assert message == "" and "unseen items" not in output


def test_a_column_of_labels_that_was_forgotten(workplace, capsys):
    """RUCAIBox/RecBole#1028."""
    rows = [f"{user},{item},{int(item % 5 == 0)}" for user in range(9) for item in range(10)]
    _, output = prepare(capsys, "\n".join(["user_id,item_id,label", *rows]))
    assert "note  the column 'label', 72 times 0 and 18 times 1, is not used" in output


@pytest.mark.slow
def test_users_without_a_train_positive_are_averaged_apart(workplace, capsys):
    """recommenders-team/recommenders#2024, kuandeng/LightGCN#23."""
    rng = np.random.default_rng(1)
    rows = [f"{u},{v},train" for u in range(8) for v in rng.choice(20, size=6, replace=False)]
    held_out = [f"{u},{v},test" for u in range(12) for v in (20 + u % 2, 22)]
    more = [f"0,{v},train" for v in (20, 21, 22)]
    held_out = [row for row in held_out if not row.startswith("0,")]
    content = "\n".join(["user,item,part", *rows, *more, *held_out])
    flags = ("--user=user", "--item=item", "--split_column=part")
    message, output = prepare(capsys, content, *flags)
    assert message == "" and "note  users without a train positive: 0 of valid, 4 of test" in output
    assert "cold_start.csv in the dataset's folder lists them" in output
    message, output = run(capsys, "log", "mf", *TRAIN, "--topk=5")
    assert message == "" and "4 of 11 tested users have no train positive" in output
    assert "test warm" in output
    test = json.loads(Path("runs/log-mf-recns/results.json").read_text())["test"]
    assert (test["users"], test["cold_users"], test["warm"]["users"]) == (11, 4, 7)
    message, output = run(capsys, "summary", "runs/log-mf-recns")
    assert message == "" and "| log | mf |" in output
    message, _ = run(capsys, "report", "runs/log-mf-recns", "--output=report.html")
    assert message == "" and "4 of 11 tested users have no train positive" in Path(
        "report.html"
    ).read_text(encoding="utf-8")
    again = content.replace("test", "valid") + "\n1,23,test"
    assert prepare(capsys, again, *flags)[0] == ""
    message, _ = run(capsys, "log", "mf", *TRAIN, "--topk=5", "--run_name=valid")
    assert message == "", "cold users may also validate"
