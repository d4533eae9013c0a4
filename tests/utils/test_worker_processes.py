"""Workers as processes: their places, the share of cores, and how their ends are reported."""

import sys
import time

import pytest

from recns_tf.errors import UserError
from recns_tf.ops.workers import read_task
from recns_tf.utils import child_processes, worker_processes
from recns_tf.utils.worker_processes import environments, run_together

PLACE = "import json, os, sys; number = json.loads(os.environ['TF_CONFIG'])['task']['index']; "


def script(text):
    return [sys.executable, "-c", PLACE + text]


def test_every_worker_has_its_place_in_one_cluster(monkeypatch):
    monkeypatch.setattr(child_processes, "CORES", 7)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    found = environments(3)
    tasks = [read_task(each["TF_CONFIG"]) for each in found]
    assert [each.number for each in tasks] == [0, 1, 2]
    assert len({each.addresses for each in tasks}) == 1
    assert {each["NUMBA_NUM_THREADS"] for each in found} == {"2"}
    assert {each["OMP_NUM_THREADS"] for each in found} == {"5"}, "the user's own limit stays"


def test_all_that_end_well_is_no_error_and_each_has_a_log(tmp_path):
    run_together(script("print('worker', number)"), 3, tmp_path / "logs")
    logs = sorted((tmp_path / "logs").iterdir())
    assert [(each.name, each.read_text()) for each in logs] == [
        ("worker-1.log", "worker 1\n"),
        ("worker-2.log", "worker 2\n"),
    ]


def test_the_worker_that_fails_is_named_with_its_last_line_and_the_others_end(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(worker_processes, "PATIENCE_SECONDS", 0.5)
    started = time.monotonic()
    waits = "import time; number == 1 or time.sleep(60); print('first'); sys.exit('no room')"
    with pytest.raises(UserError) as caught:
        run_together(script(waits), 2, tmp_path)
    assert time.monotonic() - started < 30
    assert str(caught.value).startswith(
        f"worker 1 of 2 has ended with status 1; see {tmp_path}/worker-1.log; its last line: "
    )


def test_a_killed_worker_counts_before_those_that_lost_it(tmp_path):
    dies = (
        "import signal, time; time.sleep(number != 1); "
        "os.kill(os.getpid(), signal.SIGKILL) if number else sys.exit(1)"
    )
    with pytest.raises(UserError, match="worker 1 of 2 has ended by SIGKILL"):
        run_together(script(dies), 2, tmp_path)


def test_the_message_of_the_chief_is_on_the_screen(tmp_path, capfd):
    with pytest.raises(UserError, match="worker 0 of 1 has ended with status 1; its message is "):
        run_together(script("sys.exit('the disk is full')"), 1, tmp_path)
    assert capfd.readouterr().err == "the disk is full\n"
