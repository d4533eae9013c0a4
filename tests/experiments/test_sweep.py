"""Sweeps, with small programs in place of training, and once with real runs."""

import fcntl
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.experiments import cells, plans, sweep
from recns_tf.training.train import train_and_evaluate
from recns_tf.utils import child_processes
from tests.experiments.worlds import METRICS, SMALL, results

ROOT = Path(__file__).resolve().parents[2]

FINISHES = """
import json, os, sys, time
from pathlib import Path
content, folder, active = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
active.mkdir(parents=True, exist_ok=True)
own = active / folder.name
own.touch()
print("side by side", len(list(active.iterdir())), "threads", os.environ["OMP_NUM_THREADS"])
time.sleep(0.3)
folder.mkdir(parents=True, exist_ok=True)
with (folder / "calls").open("a") as calls:
    calls.write("x")
(folder / "results.json").write_text(content)
own.unlink()
"""


@pytest.fixture
def world(tmp_path):
    """Cells of three seeds, and a function that sweeps them with given programs by seed."""
    base = Config()
    found = cells.make_cells(base, [0, 1, 2], base)
    workspace = Workspace(runs_dir=str(tmp_path))

    def command(programs):
        def of(cell, settings, workspace):
            assert json.loads(settings.read_text()) == cell.config.to_json()
            content = json.dumps(results(cell, (0.1, 0.2, 0.3)))
            folder, active = tmp_path / cell.name, tmp_path / "active"
            program = programs.get(cell.config.seed, FINISHES)
            return [sys.executable, "-c", program, content, str(folder), str(active)]

        return of

    def run(jobs=1, programs=None):
        folder = tmp_path / "table"
        return sweep.sweep(found, workspace, folder, jobs, command(programs or {}))

    return found, run


@pytest.mark.slow
def test_cells_run_once_and_at_most_jobs_in_parallel(world, tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(child_processes, "CORES", 4)
    found, run = world
    assert run(jobs=2) == [] == run(jobs=2)
    logs = [(tmp_path / "table" / "logs" / f"{cell.name}.log").read_text() for cell in found]
    counts = [re.fullmatch(r"side by side (\d) threads 2\n", log) for log in logs]
    assert all(count and int(count[1]) <= 2 for count in counts)
    assert all((tmp_path / cell.name / "calls").read_text() == "x" for cell in found)
    said = capfd.readouterr().out.splitlines()
    assert re.fullmatch(
        r"\[1 of 3\] ml-100k-lightgcn-recns(-seed\d)?: \d+ s, test Recall@20 0\.1000; "
        r"2 left, about \d+ s",
        said[0],
    )
    assert said[2].startswith("[3 of 3]") and "left" not in said[2]
    assert said[3:] == ["3 of 3 runs are finished already"]


@pytest.mark.slow
def test_failure_does_not_affect_other_cells(world, tmp_path, capfd):
    found, run = world
    programs = {
        0: r"print('epoch 1\n 10%\r 20%\rrecns_tf: out of memory.\n'); raise SystemExit(1)",
        2: "import os, signal; print('epoch 7', flush=True); os.kill(os.getpid(), signal.SIGKILL)",
    }
    first, third = run(programs=programs)
    assert (first.name, third.name) == (found[0].name, found[2].name)
    assert re.fullmatch(r"failed after \d+ s: recns_tf: out of memory\.", first.message)
    assert re.fullmatch(
        r"failed after \d+ s: epoch 7 \(ended by signal 9, perhaps out of memory\)",
        third.message,
    )
    assert third.log.read_text() == "epoch 7\n"
    assert cells.state(found[1], tmp_path) == cells.DONE
    assert "[3 of 3] " in capfd.readouterr().out
    assert run() == [], "the same command runs the failed cells again"


@pytest.mark.slow
def test_sweep_waits_for_a_folder_locked_by_another_process(world, tmp_path, capfd):
    found, run = world
    (tmp_path / found[0].name).mkdir()
    lock = (tmp_path / found[0].name / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)

    def release():
        while not (tmp_path / found[2].name / "results.json").exists():
            time.sleep(0.02)
        lock.close()

    other = threading.Thread(target=release)
    other.start()
    assert run() == []
    other.join()
    said = capfd.readouterr().out
    assert said.count(f"{found[0].name} waits: another process is writing to it") == 1
    assert said.splitlines()[-1].startswith(f"[3 of 3] {found[0].name}")


@pytest.mark.slow
def test_cell_whose_folder_was_locked_meanwhile_is_tried_again(world, tmp_path):
    """Another sweep may start the same run after the check."""
    found, run = world
    once = (
        "import sys; from pathlib import Path; tried = Path(sys.argv[3]) / 'tried'\n"
        "if not tried.exists():\n"
        "    tried.parent.mkdir(exist_ok=True); tried.touch()\n"
        "    sys.exit('recns_tf: another process is writing to runs/x.')\n" + FINISHES
    )
    assert run(programs={1: once}) == []
    assert (tmp_path / found[1].name / "calls").read_text() == "x"


@pytest.mark.slow
def test_cell_is_tried_again_though_the_other_sweep_writes_to_its_log(world, tmp_path):
    """The last line of the log is then that of the other run, which this test stands for."""
    found, run = world
    folder = tmp_path / found[1].name
    refused = (
        "import fcntl, sys, time; from pathlib import Path\n"
        "folder, tried = Path(sys.argv[2]), Path(sys.argv[3]) / 'tried'\n"
        "if not tried.exists():\n"
        "    tried.parent.mkdir(exist_ok=True); tried.touch()\n"
        "    while not (folder / '.lock').exists(): time.sleep(0.02)\n"
        "    print('recns_tf: another process is writing to runs/x.', flush=True)\n"
        "    print('epoch 1 of the other run', flush=True); sys.exit(1)\n" + FINISHES
    )

    def other():
        while not (tmp_path / "active" / "tried").exists():
            time.sleep(0.02)
        folder.mkdir()
        with (tmp_path / "locked").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (tmp_path / "locked").rename(folder / ".lock")
            # The refused process has ended when the next run has.
            while not (tmp_path / found[2].name / "results.json").exists():
                time.sleep(0.02)

    thread = threading.Thread(target=other)
    thread.start()
    assert run(programs={1: refused}) == []
    thread.join()
    assert (folder / "calls").read_text() == "x"
    log = tmp_path / "table" / "logs" / f"{found[1].name}.log"
    assert "epoch 1 of the other run" in log.read_text(), "no run's output is lost"


def test_no_cell_is_run_if_a_folder_holds_other_settings(world, tmp_path):
    found, run = world
    other = tmp_path / found[2].name
    other.mkdir()
    (other / "config.json").write_text(json.dumps(Config(khop=7, seed=2).to_json()))
    (other / "metrics.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(UserError, match="khop 7 there, 3 here"):
        run()
    assert not (tmp_path / found[0].name).exists()


def test_durations_and_remaining_time():
    assert [sweep.duration(seconds) for seconds in (3.4, 89, 150, 9000)] == [
        "3 s", "89 s", "2 min", "2.5 h",
    ]  # fmt: skip
    assert sweep.time_left([10.0, 20.0], left=5, jobs=2) == "; 5 left, about 45 s"
    assert sweep.time_left([], left=5, jobs=2) == ""


TRAINED = SMALL | {
    "batch_size": 256, "num_negatives": 3, "num_candidates": 4, "epochs": 20, "patience": 20,
}  # fmt: skip


@pytest.mark.slow
def test_killed_sweep_resumes_to_the_tables_of_an_uninterrupted_one(tmp_path):
    """One run is finished, the other is killed midway and must not outlive its sweep."""
    runs, data = tmp_path / "runs", str(tmp_path / "data")
    experiment = plans.customize("table4", ["lightgcn"], {"khop": (3, 5)}, TRAINED)
    points = plans.plan(experiment, "synthetic", [0], TRAINED)
    first, second = (cell for point in points for cell in point.cells)
    finished = train_and_evaluate(
        first.config, Workspace(data_dir=data, runs_dir=str(runs), run_name=first.name)
    )
    command = [
        *(sys.executable, "-m", "recns_tf", "reproduce", "synthetic", "table4"),
        *("--encoders=lightgcn", "--seeds=0", "--grid=khop=3 5", "--baselines="),
        *(f"--runs_dir={runs}", f"--data_dir={data}"),
        *(f"--{name}={value}" for name, value in TRAINED.items()),
    ]
    killed = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    metrics = runs / second.name / "metrics.jsonl"
    while killed.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 3):
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    if sys.platform == "linux":
        deadline = time.monotonic() + 20
        while cells.is_locked(second, runs) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not cells.is_locked(second, runs) and cells.state(second, runs) == cells.STARTED
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr + again.stdout
    assert "1 of 2 runs are finished already" in again.stdout and "[2 of 2]" in again.stdout
    folder = runs / "table4-synthetic"
    log = (folder / "logs" / f"{second.name}.log").read_text()
    assert sys.platform != "linux" or "resuming after epoch" in log

    uninterrupted = Workspace(data_dir=data, runs_dir=str(tmp_path / "uninterrupted"))
    table = re.sub(r"\*|</?u>", "", (folder / "table.md").read_text())
    expected = train_and_evaluate(second.config, uninterrupted)
    for khop, outcome in ((3, finished), (5, expected)):
        row = " | ".join(f"{100 * outcome['test'][metric]:.2f}" for metric in METRICS)
        assert f"| lightgcn | {khop} | {row} |" in table
