"""Training from the command line, run as a user would."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recns_tf.interactions import to_pairs
from tests.conftest import make_toy

ROOT = Path(__file__).resolve().parent.parent.parent


def call(*arguments, cwd=ROOT, **environment):
    return subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def main(*arguments):
    return call(sys.executable, "-m", "recns_tf", *arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ml-1b", "lightgcn"], "unknown dataset 'ml-1b': choose one of zhihu, alibaba, ml-100k"),
        (["ml-100k", "gcn"], "unknown encoder 'gcn': choose one of lightgcn, ngcf, pinsage, mf."),
        (["lightgcn", "ml-100k"], "'lightgcn' is an encoder: write DATASET first, then ENCODER."),
        (["ml-100k"], "two words are needed, DATASET and ENCODER, not 1"),
        (["ml-100k", "lightgcn", "recns"], "two words are needed, DATASET and ENCODER, not 3"),
        (["ml-100k", "lightgcn", "--sampler=x"], "--sampler=x: choose one of recns, recns-o"),
        (["ml-100k", "lightgcn", "--khop=4"], "--khop=4: choose an odd number of steps"),
        (
            ["ml-100k", "lightgcn", "--margin=-1"],
            "--margin=-1.0: choose a number above 0, at most 1000000000.",
        ),
        (["ml-100k", "lightgcn", "--config=none"], "--config=none is not a run's config.json"),
    ],
)
def test_bad_input_is_one_sentence_and_a_status(arguments, sentence):
    done = main(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"recns_tf: {sentence}")
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--num_negative=3", "Unknown command line flag 'num_negative'. Did you mean"),
        ("--num_negatives=three", "--num_negatives=three: choose a whole number from 1 to 10000."),
        ("--overwrite=maybe", "--overwrite=maybe: choose true or false."),
        ("--config", "--config needs a file"),
        ("--run_name=../x", "--run_name=../x: choose the name of one folder, without /"),
        ("--runs_dir=", "--runs_dir=: choose a folder"),
    ],
)
def test_a_flag_that_cannot_be_is_one_sentence(flag, words):
    done = main("ml-100k", "lightgcn", flag)
    assert done.returncode == 1
    assert done.stderr.startswith(f"recns_tf: {words}") and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_what_the_system_refuses_is_one_sentence(project):
    (project / "afile").write_text("")
    done = run_toy(project, f"--runs_dir={project}/afile")
    assert done.returncode == 1
    assert re.fullmatch(r"recns-tf: .*afile.*: Not a directory\.\n", done.stderr)


@pytest.mark.slow
def test_nobody_reading_is_no_traceback(project):
    program, arguments = toy_command(project, "--run_name=piped")
    line = shlex.join([sys.executable, "-c", program, *arguments]) + " | head -n 1"
    done = call("bash", "-c", line)
    assert "users" in done.stdout and done.stderr == ""


@pytest.mark.slow
def test_an_interrupt_says_how_to_go_on(project):
    program, arguments = toy_command(project, "--run_name=cut", "--epochs=500", "--patience=500")
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background would have the signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    metrics = project / "runs" / "cut" / "metrics.jsonl"
    while not metrics.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == "recns-tf: interrupted; the same command continues from here."


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A data folder whose ml-100k is a toy of 20 users, in the format of u.data."""
    toy = make_toy(20, 40)
    lines = [f"{u + 1}\t{v + 1}\t5\t0" for u, v in to_pairs(toy.train + toy.valid + toy.test)]
    lines += [f"{u + 1}\t{v + 1}\t2\t0" for u, v in to_pairs(toy.exposed)]
    folder = tmp_path / "data" / "ml-100k"
    folder.mkdir(parents=True)
    (folder / "u.data").write_text("\n".join(lines) + "\n")
    return tmp_path


def toy_command(project, *flags, before=""):
    """Return a program that runs main on the toy, whose hash it takes for the right one."""
    program = (
        f"{before}from pathlib import Path; from recns_tf.datasets import ml_100k;"
        f"ml_100k.RATINGS_SHA256 = ml_100k.sha256(Path({str(project)!r}) / 'data/ml-100k/u.data');"
        "from recns_tf.main import main; main()"
    )
    names = {flag.partition("=")[0] for flag in flags}
    fixed = [
        f"--data_dir={project}/data", f"--runs_dir={project}/runs", "--dim=8", "--epochs=2",
        "--batch_size=32", "--num_negatives=3", "--num_candidates=4",
    ]  # fmt: skip
    kept = [flag for flag in fixed if flag.partition("=")[0] not in names]
    return program, ["ml-100k", "lightgcn", *kept, *flags]


def run_toy(project, *flags, before=""):
    """Run main on the toy in a process of its own."""
    program, arguments = toy_command(project, *flags, before=before)
    return call(sys.executable, "-c", program, *arguments)


@pytest.mark.slow
def test_a_run_from_the_command_line_and_again_from_its_config(project):
    done = run_toy(project, "--alpha=normal(0.5,0.1)", "--seed=2", "--strategy=RecNS-O")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    folder = project / "runs" / "ml-100k-lightgcn-recns-o-seed2"
    settings = json.loads((folder / "config.json").read_text())
    assert settings["alpha"] == "normal(0.5,0.1)" and settings["sampler"] == "recns-o"
    assert "Recall@20" in done.stdout and str(folder) in done.stdout
    assert len(list((project / "data" / "ml-100k").glob("region-*"))) == 1

    again = run_toy(project, f"--config={folder}/config.json", "--run_name=again")
    assert again.returncode == 0, again.stderr
    tables = [np.load(f / "embeddings" / "item.npy") for f in (folder, project / "runs" / "again")]
    np.testing.assert_array_equal(*tables)


@pytest.mark.slow
def test_aliases_work_and_the_command_line_wins_over_a_flagfile(project):
    flagfile = project / "a.flags"
    flagfile.write_text("# a comment\n--khop=7\n--learning_rate=0.1\n")
    done = run_toy(project, f"--flagfile={flagfile}", "--khops=5", "--lr=0.02", "--epochs=1")
    assert done.returncode == 0, done.stderr
    path = project / "runs" / "ml-100k-lightgcn-recns" / "config.json"
    settings = json.loads(path.read_text())
    assert settings["khop"] == 5 and settings["learning_rate"] == 0.02


@pytest.mark.slow
def test_a_corrupt_cache_is_made_anew(project):
    assert run_toy(project, "--epochs=1").returncode == 0
    (cache,) = (project / "data" / "ml-100k").glob("interactions-*.npz")
    cache.write_bytes(cache.read_bytes()[:100])
    done = run_toy(project, "--epochs=1", "--run_name=other")
    assert done.returncode == 0
    assert re.fullmatch(r"\S* is damaged .*: the dataset is made anew .*\n", done.stderr)
    assert run_toy(project, "--epochs=1", "--run_name=third").stderr == ""


@pytest.mark.slow
def test_no_network_is_one_sentence(tmp_path):
    done = call(
        *(sys.executable, "-m", "recns_tf", "ml-100k", "lightgcn"),
        *(f"--data_dir={tmp_path}", f"--runs_dir={tmp_path}/runs"),
        PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_CONFIG_FILE="/dev/null",
        http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9",
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("recns_tf: ml-100k cannot be downloaded:") and "u.data" in last
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_killed_process_resumes(project):
    """SIGKILL in the middle; the same command ends with the numbers of an unbroken run."""
    flags = ("--epochs=40", "--patience=40")
    assert run_toy(project, *flags, "--run_name=whole").returncode == 0
    folder = project / "runs" / "killed"
    killer = (
        "import os, signal, threading, time; from pathlib import Path\n"
        "def watch():\n"
        f"    path = Path({str(folder)!r}) / 'metrics.jsonl'\n"
        "    while not path.exists() or path.read_text().count('\\n') < 5: time.sleep(0.005)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "threading.Thread(target=watch, daemon=True).start()\n"
    )
    killed = run_toy(project, *flags, "--run_name=killed", before=killer)
    assert killed.returncode == -9
    assert not (folder / "results.json").exists()
    done = run_toy(project, *flags, "--run_name=killed")
    assert done.returncode == 0 and "resuming after epoch" in done.stdout

    def untimed(name):
        lines = (project / "runs" / name / "metrics.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if "seconds" not in k} for line in lines]

    assert untimed("killed") == untimed("whole")
