"""Random wrong command lines: each ends in one sentence, and leaves nothing behind.

RECNS_TF_FUZZ=long tries more lines.
"""

import os
import random
import sys

import pytest

from recns_tf import main, registry
from recns_tf.config.flags import flag_fields
from tests import processes
from tests.fuzz import LONG
from tests.fuzz.limits import limits

LINES = 1_000 if LONG else 60
PROCESSES = 20 if LONG else 2

WORDS = {
    "train": ["synthetic-small", "lightgcn"],
    "prepare": ["own", "--input=missing.csv"],
    "describe": ["synthetic-small"],
    "regions": ["synthetic-small"],
    "export": ["synthetic-small", "out.csv"],
    "recommend": ["runs/missing", "--output=o.csv"],
    "similar": ["runs/missing", "--items=1"],
    "index": ["runs/missing", "--output=i.faiss"],
    "baseline": ["synthetic-small", "ease"],
    "compare": ["synthetic-small", "--users=a.npy", "--items=b.npy"],
    "summary": ["runs/missing"],
    "report": ["runs/missing"],
    "reproduce": ["synthetic-small", "table2"],
    "ablate": ["synthetic-small", "lightgcn"],
    "verify": ["toy-rns", "--dry_run"],
    "bench": ["ranking"],
}
"""A line of each command that would be parsed; `test` passes its flags to pytest."""

NOT_A_NUMBER = ["ten", "", "1,5", "0x", "1.5.2", "--", "1e", "½", "1 2", "None", "9" * 5_000 + "x"]
NOT_WHOLE = [*NOT_A_NUMBER, "1.5", "1e3", "nan", "inf", "0.0", "9" * 5_000]
TOO_LARGE = ["1e400", "-1e400", "inf", "-inf", "nan", "1e300", "-1e-300"]
NOT_A_CHOICE = ["maybe", "", "2", "yes", "TRUE!", "None"]
UNPRINTABLE = ["a\nb", "a\rb", "a\0b", "a\x1b[31m", "a\u2028b", "a\x85b", "\udcff", "x" * 200_000]
NAMES = ["..", ".", "a/b", " a", "a ", " ", "x" * 300, "é" * 150]

COMBINATIONS = [
    ["train", "synthetic-small"],
    ["train"],
    ["train", "lightgcn", "synthetic-small"],
    ["train", "synthetic-small", "gcn"],
    ["train", "synthetic-small", "mf", "recns"],
    ["train", "", ""],
    ["train", "synthetic-small", "mf", "--select_by=ndcg@10"],
    ["train", "synthetic-small", "mf", "--topk=5,10", "--select_by=recall@20"],
    ["train", "synthetic-small", "mf", "--config"],
    ["train", "synthetic-small", "mf", "--config=missing.json"],
    ["train", "synthetic-small", "mf", "--flagfile=missing.flags"],
    ["train", "synthetic-small", "mf", "--flagfile="],
    ["train", "synthetic-small", "mf", "--alpha=uniform(1,0)"],
    ["train", "synthetic-small", "mf", "--alpha=normal(0,-1)"],
    ["train", "synthetic-small", "mf", "--alpha=nan"],
    ["train", "synthetic-small", "mf", "--khop=4"],
    ["train", "synthetic-small", "mf", "--overwrite=maybe"],
    ["train", "synthetic-small", "mf", "--nooverwrite=1"],
    ["train", "synthetic-small", "mf", "--num_neighbors=25,"],
    ["train", "synthetic-small", "mf", "--topk=" + "9" * 5_000],
    ["train", "synthetic", "mf", "--synthetic_users=10", "--synthetic_clicks=5"],
    ["train", "synthetic", "mf", "--synthetic_items=2147483647"],
    ["train", "synthetic", "mf", "--synthetic_clicks=2147483647"],
    ["trian", "synthetic-small", "mf"],
    ["help", "trian"],
    ["help", "a\nb"],
    ["a\nb"],
    ["prepare"],
    ["prepare", "own"],
    ["prepare", "a/b", "--input=x.csv"],
    ["prepare", "mf", "--input=x.csv"],
    ["prepare", "x" * 300, "--input=x.csv"],
    ["prepare", "own", "--input=x.csv", "--train_input=y.csv"],
    ["prepare", "own", "--input=x.csv", "--test_input=y.csv"],
    ["prepare", "own", "--input=x.csv", "--user=a", "--item=a"],
    ["prepare", "own", "--input=x.csv", "--positive=>=4"],
    ["prepare", "own", "--input=x.csv", "--split=temporal"],
    ["prepare", "own", "--input=x.csv", "--split=given"],
    ["prepare", "own", "--input=x.csv", "--valid=0.6", "--test=0.6"],
    ["prepare", "own", "--input=x.csv", "--split=leave-one-out", "--valid=0.2"],
    ["prepare", "own", "--input=x.csv", "--time_format=%d"],
    ["prepare", "own", "--input=x.csv", "--separator=a\nb"],
    ["prepare", "own", "--input=x.csv", "--encoding=klingon"],
    ["export", "synthetic-small", "out.csv", "more.csv"],
    ["baseline", "synthetic-small", "knn"],
    ["baseline", "synthetic-small", "ease", "--ease_l2=0"],
    ["baseline", "synthetic-small", "ease", "--ease_l2=1e400"],
    ["baseline", "synthetic-small", "itemknn", "--itemknn_neighbors=0"],
    ["compare", "synthetic-small"],
    ["compare", "synthetic-small", "--users=a.npy"],
    ["compare", "synthetic-small", "--users=a.npy", "--items=b.npy", "--depth=0"],
    ["summary"],
    ["report"],
    ["report", "runs/a", "--output=page.pdf"],
    ["reproduce", "synthetic-small"],
    ["reproduce", "synthetic-small", "table9"],
    ["reproduce", "synthetic-small", "table2", "--seed=1"],
    ["reproduce", "synthetic-small", "table2", "--seeds=a"],
    ["reproduce", "synthetic-small", "table2", "--seeds=99999999999"],
    ["reproduce", "synthetic-small", "table2", "--encoders=gcn"],
    ["reproduce", "synthetic-small", "table2", "--samplers=nothing"],
    ["reproduce", "synthetic-small", "table2", "--grid=dim"],
    ["reproduce", "synthetic-small", "fig4", "--grid=num_negatives=0"],
    ["reproduce", "synthetic-small", "fig4", "--grid=num_negatives=" + "9" * 5_000],
    ["reproduce", "synthetic-small", "table2", "--baselines=nothing"],
    ["ablate", "synthetic-small", "mf", "--base=paper"],
    ["ablate", "synthetic-small", "mf", "--seed=1"],
    ["verify", "nothing"],
    ["verify", "gowalla-lightgcn", "--epochs=1"],
    ["bench", "nothing"],
    ["bench", "ranking", "--shapes=huge"],
]
"""Wrong words, and flags that contradict each other."""


def fields_of(command):
    """Return the flags of a command."""
    return [
        field for cls in registry.COMMANDS[command].load().settings for field in flag_fields(cls)
    ]


def wrong_value(field, dice):
    """Return a text that a flag refuses, or None if it takes any text."""
    rule, kind = field.metadata["rule"], type(field.default)
    if kind is bool:
        return dice.choice(NOT_A_CHOICE)
    if kind in (int, float):
        low, high = rule.bounds
        outside = [low - dice.randint(1, 10**6), high + dice.randint(1, 10**25)]
        outside += [-(2**31) - 1, 2**31, -(2**63) - 1, 2**63]
        texts = NOT_WHOLE if kind is int else NOT_A_NUMBER + TOO_LARGE
        return dice.choice([*texts, *(str(each) for each in outside if not rule.holds(each))])
    if field.name == "run_name":
        return dice.choice(NAMES + UNPRINTABLE)
    if rule and not rule.holds("no such word") and dice.random() < 0.5:
        return "no such word"
    found = dice.choice(UNPRINTABLE)
    return "\0" if field.metadata["control_characters"] else found


def wrong_line(dice):
    """Return a command line that must be refused."""
    kind = dice.choice(["value", "value", "value", "unknown", "repeated", "missing", "combination"])
    if kind == "combination":
        return dice.choice(COMBINATIONS)
    command = dice.choice(list(WORDS))
    field = dice.choice(fields_of(command))
    flag = dice.choice([field.name, field.metadata["alias"] or field.name])
    given = {word.partition("=")[0] for word in WORDS[command]}
    words = [word for word in WORDS[command] if not word.startswith(f"--{flag}=")]
    if kind == "value":
        wrong = [f"--{flag}={wrong_value(field, dice)}"]
    elif kind == "unknown":
        wrong = [f"--{flag}{dice.choice(['s_', 'x', '-', '.', 'é', ' ', chr(10)])}=1"]
    elif kind == "missing" and type(field.default) is not bool:
        return [command, *words, f"--{flag}"]
    else:
        value = str(field.default) if f"--{flag}" not in given else "a"
        wrong = [f"--{flag}={value}", f"--{field.name}={value}"]
    line = [*words, *wrong]
    dice.shuffle(line)
    # The words keep their order.
    order = iter(word for word in words if not word.startswith("--"))
    return [command, *(each if each.startswith("--") else next(order) for each in line)]


def check(sentence, line):
    """Assert that what the program says of a wrong line is one sentence."""
    assert sentence.startswith("recns-tf: "), line
    assert sentence.isprintable(), line
    assert sentence.endswith((".", "?", "…")), line
    assert "Traceback" not in sentence and len(sentence) < 3_000, line


@pytest.mark.parametrize("seed", range(LINES))
def test_a_wrong_line_is_one_sentence(seed, tmp_path, monkeypatch, capsys):
    line = wrong_line(random.Random(seed))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECNS_TF_PROGRAM", "recns-tf")
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as end, limits():
        main.main(line)
    assert capsys.readouterr().err == "", line
    assert isinstance(end.value.code, str), line
    check(end.value.code, line)
    assert not list(tmp_path.iterdir()), line


@pytest.mark.parametrize("number", range(len(COMBINATIONS)))
def test_every_wrong_combination_is_one_sentence(number, tmp_path, monkeypatch, capsys):
    line = COMBINATIONS[number]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECNS_TF_PROGRAM", "recns-tf")
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as end, limits():
        main.main(line)
    assert capsys.readouterr().err == "", line
    check(end.value.code, line)
    assert not list(tmp_path.iterdir()), line


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(PROCESSES))
def test_a_wrong_line_is_one_sentence_of_a_process(seed, tmp_path):
    dice = random.Random(seed + 10**6)
    line = wrong_line(dice)
    while any("\0" in each or len(each) > 100_000 for each in line):
        line = wrong_line(dice)
    done = processes.run(processes.program(*map(os.fsencode, line)), tmp_path)
    assert done.status in (1, 2), line
    text = done.stderr
    assert text.count("\n") == 1 and text.endswith("\n"), line
    check(text[:-1], line)
    assert not list(tmp_path.iterdir()), line
