"""Commands killed at random moments, and two of one at once, as processes of the program.

After a kill, the same command gives the files of an unbroken run and leaves nothing else behind.
Of two at once, both succeed, or one refuses in a sentence. RECNS_TF_FUZZ=long tries every command.
"""

import csv
import io
import json
import os
import random
import re
import shutil
import time
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import pytest

from recns_tf.experiments import ablation
from recns_tf.experiments.options import fixed_settings
from tests import processes
from tests.experiments import worlds
from tests.fuzz import LONG

MOMENTS = 20 if LONG else 1
RACES = 5 if LONG else 1
LONGEST = 300
"""Seconds that a command may take; only one that hangs takes as long."""

MODEL = (
    "--epochs=3", "--dim=4", "--batch_size=64", "--num_negatives=2", "--num_candidates=4",
)  # fmt: skip
ABLATE = ("--seeds=0", "--base=default", "--sampler=unins", "--epochs=1")


class Case(NamedTuple):
    """A command line, and the refusal of a second one after it has succeeded, if any."""

    line: tuple[str, ...]
    refusal: str = ""
    in_short_form: bool = False


EXISTS = "already exists: choose another name"
CASES = {
    "prepare": Case(("prepare", "new", "--input=log.csv", "--label=label"), EXISTS, True),
    "prepare again": Case(
        ("prepare", "shop", "--input=log.csv", "--label=label", "--user_core=2", "--overwrite")
    ),
    "train": Case(("shop", "mf", "--sampler=recns-o", *MODEL)),
    "train again": Case(("shop", "mf", "--run_name=shop-ease", "--overwrite", *MODEL)),
    "export to csv": Case(("export", "shop", "out.csv"), EXISTS, True),
    "export to csv.gz": Case(("export", "shop", "out.csv.gz"), EXISTS),
    "export to parquet": Case(("export", "shop", "out.parquet"), EXISTS),
    "export to lightgcn": Case(("export", "shop", "out", "--format=lightgcn"), EXISTS),
    "export to pinsage": Case(("export", "shop", "out", "--format=pinsage"), EXISTS),
    "describe": Case(("describe", "shop")),
    "regions": Case(("regions", "shop")),
    "baseline": Case(("baseline", "shop", "itemknn"), "", True),
    "baseline again": Case(("baseline", "shop", "popular", "--run_name=shop-ease", "--overwrite")),
    "compare": Case(("compare", "shop", "--users=user.npy", "--items=item.npy")),
    "report": Case(("report", "runs/shop-ease")),
    "reproduce": Case(
        ("reproduce", "shop", "table2", "--encoders=mf", "--samplers=unins", "--seeds=0",
         "--baselines=popular", *MODEL)
    ),
    "ablate": Case(("ablate", "shop", "mf", *ABLATE)),
    "recommend": Case(("recommend", "runs/model", "--output=recs.csv.gz"), EXISTS),
    "similar": Case(("similar", "runs/model", "--items=all", "--output=near.parquet"), EXISTS),
    "index": Case(("index", "runs/model", "--output=items.faiss"), EXISTS),
    "export-model": Case(("export-model", "runs/model", "served"), "1 already exists"),
}  # fmt: skip
CHOSEN = [
    pytest.param(name, marks=pytest.mark.slow)
    for name, case in CASES.items()
    if LONG or case.in_short_form
]


def write_log(path):
    pairs = np.random.default_rng(0).permutation(20 * 40)[:400]
    rows = [f"u{pair % 20},i{pair // 20},{int(pair % 3 > 0)}" for pair in pairs]
    path.write_text("\n".join(["user_id,item_id,label", *rows]) + "\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a log, a dataset, embeddings, runs, and those of an ablation.

    All runs of the ablation are finished, so that it writes its tables only.
    """
    folder = tmp_path_factory.mktemp("world")
    write_log(folder / "log.csv")
    succeed(folder, "prepare", "shop", "--input=log.csv", "--label=label")
    succeed(folder, "baseline", "shop", "ease")
    if LONG:
        succeed(folder, "shop", "mf", "--run_name=model", *MODEL)
    rng = np.random.default_rng(0)
    np.save(folder / "user.npy", rng.normal(size=(20, 4)).astype(np.float32))
    np.save(folder / "item.npy", rng.normal(size=(40, 4)).astype(np.float32))
    files, given = fixed_settings(ABLATE[2:], "shop", "mf")
    target, base = ablation.presets("shop", "mf", given, False, further=files)
    for row in ablation.make_rows(base, target, [0]):
        for cell in row.cells:
            worlds.finish(cell, folder / "runs")
    return folder


def succeed(folder, *words):
    """Run a command that must succeed without a word on stderr; return how it ended."""
    done = processes.run(processes.program(*words), folder, LONGEST)
    assert done.status == 0 and "Traceback" not in done.stderr, done.stderr
    return done


def is_sentence(done, pattern):
    """Return whether a process refused in one sentence."""
    text = done.stderr.removesuffix("\n")
    return done.status == 1 and text.isprintable() and re.search(pattern, text) is not None


def untimed(value):
    """Return a JSON value without times and the commit."""
    if isinstance(value, dict):
        return {
            key: untimed(each)
            for key, each in value.items()
            if "seconds" not in key and key != "git_commit"
        }
    return [untimed(each) for each in value] if isinstance(value, list) else value


def content_of(path):
    """Return the content of a file without times, and None for a folder."""
    # The graph of a SavedModel has names and a fingerprint of its own each time.
    if path.is_dir() or path.suffix in (".log", ".pb"):
        return None
    content = path.read_bytes()
    if path.name == "manifest.json":
        return sorted(json.loads(content)["files"])
    if path.suffix == ".json":
        return untimed(json.loads(content))
    if path.suffix == ".jsonl":
        return [untimed(json.loads(line)) for line in content.splitlines()]
    if path.name == "cells.csv":
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        return [row | {"training_seconds": "", "git_commit": ""} for row in rows]
    if path.suffix == ".svg":
        # Matplotlib writes the date, and names of shapes that are drawn at random.
        return re.sub(rb"<dc:date>.*|#?[a-z]+[0-9a-f]{10}\b", b"", content)
    return content


def contents(folder):
    """Return the content of every file and folder below a folder by its path."""
    return {str(path.relative_to(folder)): content_of(path) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def unbroken(world, tmp_path_factory):
    """A function that returns the files that a command makes, and the seconds it takes."""
    found = {}

    def get(name):
        if name not in found:
            folder = tmp_path_factory.mktemp("unbroken") / "world"
            shutil.copytree(world, folder)
            seconds = succeed(folder, *CASES[name].line).seconds
            found[name] = contents(folder), seconds
            assert found[name][0] != contents(world), "the command writes something"
            shutil.rmtree(folder)
        return found[name]

    return get


def compare(found, expected, about):
    assert found.keys() == expected.keys(), about
    different = [name for name, content in expected.items() if found[name] != content]
    assert different == [], about


@pytest.mark.parametrize("number", range(MOMENTS))
@pytest.mark.parametrize("name", CHOSEN)
def test_a_command_killed_at_any_moment_is_repeated(name, number, world, unbroken, tmp_path):
    expected, seconds = unbroken(name)
    case, folder = CASES[name], tmp_path / "world"
    shutil.copytree(world, folder)
    moment = random.Random(f"{name} {number}").uniform(0, seconds)
    with processes.started(processes.program(*case.line), folder):
        time.sleep(moment)
    about = f"killed after {moment:.2f} of {seconds:.2f} s"
    left = contents(folder)
    done = processes.run(processes.program(*case.line), folder, LONGEST)
    if done.status and case.refusal:
        # It had been killed after its last change.
        assert is_sentence(done, case.refusal), done.stderr
        assert left.keys() >= expected.keys(), about
    else:
        assert done.status == 0 and "Traceback" not in done.stderr, (about, done.stderr)
    compare(contents(folder), expected, about)


@pytest.mark.parametrize("number", range(RACES))
@pytest.mark.parametrize("name", CHOSEN)
def test_two_of_a_command_at_once(name, number, world, unbroken, tmp_path):
    expected, seconds = unbroken(name)
    case, folder = CASES[name], tmp_path / "world"
    shutil.copytree(world, folder)
    line = processes.program(*case.line)
    with ExitStack() as stack:
        first = stack.enter_context(processes.started(line, folder))
        # The first pair starts together, the others up to half a run apart.
        time.sleep(seconds / 2 * number / RACES)
        second = stack.enter_context(processes.started(line, folder))
        ends = [each.wait(LONGEST) for each in (first, second)]
    assert any(done.status == 0 for done in ends), [done.stderr for done in ends]
    for done in ends:
        refused = is_sentence(done, f"another process|{EXISTS}")
        assert done.status == 0 or refused, (done.status, done.stderr)
        assert "Traceback" not in done.stderr
    compare(contents(folder), expected, [done.stderr for done in ends])
    assert os.listdir(tmp_path) == ["world"]
