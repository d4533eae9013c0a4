"""Workers on a Ray cluster: their places, logs and numbers, and how their ends are reported."""

import json
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from recns_tf.errors import UserError
from recns_tf.main import main
from recns_tf.ops.workers import read_task
from recns_tf.utils import child_processes, ray_tasks, ray_workers, worker_processes
from recns_tf.utils.ray_tasks import connected
from recns_tf.utils.ray_workers import run_on_ray
from tests.processes import program, run, started
from tests.training.test_several_workers import require_same

pytestmark = pytest.mark.slow

PLACE = (
    "import json, os, sys, time; from pathlib import Path; "
    "number = json.loads(os.environ['TF_CONFIG'])['task']['index']; "
)
WAITS = "print(os.getpid(), os.environ.get('LOST', ''), flush=True); time.sleep(100)"
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}
SECONDS = 300
TOY = (
    "synthetic", "mf", "--sampler=dns", "--dim=8", "--adam_epsilon=1e-4",
    "--synthetic_users=40", "--synthetic_items=60", "--synthetic_clicks=400",
    "--synthetic_exposures=200",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def connection(ray_cluster):
    with connected(ray_cluster.address):
        ray_cluster.wait_for_nodes()
        yield


def script(text):
    return [sys.executable, "-c", PLACE + text]


@pytest.fixture
def launched(ray_cluster, tmp_path):
    """Run a program in some workers, which log to tmp_path."""
    return lambda text, count=2: run_on_ray(ray_cluster.address, script(text), count, tmp_path)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(worker_processes, "PATIENCE_SECONDS", 0.5)


def first_words(folder, count=2):
    """Wait until all workers have written a line to their logs, and return its words."""
    logs = [folder / f"worker-{number}.log" for number in range(count)]
    deadline = time.monotonic() + 60
    while not all(log.exists() and log.read_text().endswith("\n") for log in logs):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [log.read_text().split() for log in logs]


def require_ended(numbers):
    """Require that processes end at once."""
    deadline = time.monotonic() + 5
    while running := [number for number in numbers if Path(f"/proc/{number}").exists()]:
        assert time.monotonic() < deadline, f"{running} are left"
        time.sleep(0.05)


def test_every_worker_has_its_place_and_what_it_writes_comes_at_once(
    launched, tmp_path, capfd, ray_cluster
):
    import ray

    launched(
        f"""
print(os.environ["TF_CONFIG"])
print(os.getcwd(), os.environ["NUMBA_NUM_THREADS"], os.environ["RECNS_TF_PROGRAM"])
print(os.environ["RAY_RAYLET_PID"])
deadline = time.monotonic() + 30
while len(Path({str(tmp_path)!r}, f"worker-{{number}}.log").read_text().splitlines()) < 3:
    assert time.monotonic() < deadline
    time.sleep(0.05)
print("x" * 100_000)
print("a warning", file=sys.stderr)
"""
    )
    logs = [(tmp_path / f"worker-{number}.log").read_text() for number in range(2)]
    lines = [log.splitlines() for log in logs]
    tasks = [read_task(each[0]) for each in lines]
    assert [task.number for task in tasks] == [0, 1]
    (addresses,) = {task.addresses for task in tasks}
    assert {each.partition(":")[0] for each in addresses} == {ray.util.get_node_ip_address()}
    share = max(1, child_processes.CORES // 2)
    for each in lines:
        assert each[1] == f"{os.getcwd()} {share} {ray_workers.program()}"
        assert "a warning" in each[3:]
        assert sum(map(len, each[3:])) == 100_000 + len("a warning")
    here = ray.get_runtime_context().get_node_id()
    (node,) = (each for each in ray_cluster.list_all_nodes() if each.node_id == here)
    assert lines[0][2] == str(node.all_processes["raylet"][0].process.pid) != lines[1][2]
    screen = capfd.readouterr()
    assert screen.err == "a warning\n"
    assert len(screen.out) == len(logs[0]) - len(screen.err)


def test_a_worker_that_is_lost_with_its_actor_counts_before_those_that_lost_it(launched, tmp_path):
    with pytest.raises(UserError) as caught:
        launched(
            "print('first', flush=True); time.sleep(1 + number); "
            "os.kill(os.getppid(), 9) if number else sys.exit('no partner')"
        )
    assert str(caught.value).startswith("worker 1 of 2 on the node ")
    assert " has ended with its Ray actor (The " in str(caught.value)
    assert str(caught.value).endswith(
        f"); see {tmp_path}/worker-1.log; its last line: first. The same command continues after "
        "the last epoch."
    )


@pytest.mark.parametrize("lost", [False, True], ids=["interrupt", "lost cluster"])
def test_an_interrupt_and_a_lost_cluster_end_all_workers(launched, tmp_path, monkeypatch, lost):
    def fail(address):
        if all(log.exists() and log.stat().st_size for log in logs):
            raise ConnectionRefusedError if lost else KeyboardInterrupt

    logs = [tmp_path / f"worker-{number}.log" for number in range(2)]
    monkeypatch.setattr(ray_tasks, "SECONDS", 0.05)
    monkeypatch.setattr(ray_tasks, "require_answer", fail)
    with pytest.raises(UserError if lost else KeyboardInterrupt) as caught:
        launched(WAITS)
    assert not lost or " does not answer any more: start it" in str(caught.value)
    for log in logs:
        assert not Path(f"/proc/{log.read_text().strip()}").exists()


@contextmanager
def occupied(node):
    """Take the one CPU of a node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    where = NodeAffinitySchedulingStrategy(node, soft=False)
    other = ray.remote(num_cpus=1, scheduling_strategy=where)(ray_workers.RayWorker).remote()
    ray.get(other.place.remote())
    try:
        yield
    finally:
        ray.kill(other)


def test_too_few_cpus_are_an_error_and_no_endless_wait(launched, monkeypatch, ray_cluster):
    import ray

    wanted = r"^--workers={}: each worker needs a CPU .* the cluster has [0-9]+, {} of them free: "
    begun = time.monotonic()
    with pytest.raises(UserError, match=wanted.format(64, "[0-9]+")):
        launched(WAITS, 64)
    assert time.monotonic() - begun < 15
    here = ray.get_runtime_context().get_node_id()
    (there,) = {each.node_id for each in ray_cluster.list_all_nodes()} - {here}
    # Worker 0 cannot run elsewhere, and counts as free while it waits for the other.
    for node, seconds, count in ((here, 2, 1), (there, 15, 2)):
        monkeypatch.setattr(ray_workers, "PLACE_SECONDS", seconds)
        with (
            occupied(node),
            pytest.raises(UserError, match=wanted.format(count, 1)),
        ):
            launched("pass", count)


def test_a_folder_that_a_node_lacks_is_named(launched, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getcwd", lambda: f"{tmp_path}/shop")
    with pytest.raises(UserError, match=rf"^the node [0-9.]+ has no folder {tmp_path}/shop, in "):
        launched(WAITS)


def test_a_node_without_the_package_is_named(launched, tmp_path, ray_cluster):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['recns_tf'] = None")
    node = ray_cluster.add_node(env_vars={"PYTHONPATH": str(tmp_path)}, **NODE)
    try:
        with pytest.raises(UserError) as caught:
            launched("pass", 3)
    finally:
        ray_cluster.remove_node(node)
    start, _, end = str(caught.value).partition(" (ModuleNotFoundError: ")
    assert start.startswith("a worker cannot start on the node ")
    assert "recns_tf" in end
    assert end.endswith("); every node needs the package recns_tf.")


def launch(address, folder, name, epochs):
    """Return the command line of a toy run in two workers."""
    where = (f"--address={address}", "--workers=2", f"--log_dir={folder}/logs")
    return program("launch", *where, "--", *TOY, f"--run_name={name}", f"--epochs={epochs}")


def children(folder):
    """Return the processes of the workers whose runs are in a folder, by number."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (path / "cmdline").read_bytes().decode().split("\0")
            if "--strategy=columns" in line and str((path / "cwd").readlink()) == str(folder):
                environment = (path / "environ").read_bytes().decode().split("\0")
                (config,) = (each for each in environment if each.startswith("TF_CONFIG="))
                task = json.loads(config.partition("=")[2])["task"]
                found[task["index"]] = int(path.name)
    return found


def test_workers_on_two_nodes_give_the_numbers_of_one_process(ray_cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["train", *TOY, "--run_name=run", "--epochs=2", "--runs_dir=alone"])
    done = run(launch(ray_cluster.address, tmp_path, "run", 2), tmp_path, SECONDS)
    assert done.status == 0, done.stderr[-2000:]
    require_same(tmp_path / "alone", tmp_path / "runs", "run")
    logs = [(tmp_path / "logs" / f"worker-{number}.log").read_text() for number in range(2)]
    assert "each of 2 workers trains some of the columns of the embeddings" in logs[0]
    assert done.stdout.strip() and all(line in logs[0] for line in done.stdout.splitlines())
    assert "recall" not in logs[1]


def test_the_death_of_a_process_ends_the_command(ray_cluster, tmp_path):
    with started(launch(ray_cluster.address, tmp_path, "long", 1000), tmp_path) as running:
        metrics = tmp_path / "runs" / "long" / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < 1:
            assert running.process.poll() is None
            time.sleep(0.05)
        numbers = children(tmp_path)
        os.kill(numbers[1], signal.SIGKILL)
        killed = time.monotonic()
        done = running.wait(SECONDS)
    assert time.monotonic() - killed < 30
    assert done.status == 1
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("recns-tf: worker 1 of 2 on the node ")
    assert f" has ended by SIGKILL; see {tmp_path}/logs/worker-1.log" in sentence
    assert sentence.endswith("The same command continues after the last epoch.")
    require_ended(numbers.values())


def test_a_lost_node_ends_the_workers(launched, tmp_path, ray_cluster, impatient):
    node = ray_cluster.add_node(env_vars={"LOST": "lost"}, **NODE)
    found = []

    def remove():
        found.extend(first_words(tmp_path, 3))
        ray_cluster.remove_node(node, allow_graceful=False)
        found.append(time.monotonic())

    removal = threading.Thread(target=remove)
    removal.start()
    with pytest.raises(UserError) as caught:
        launched(WAITS, 3)
    ended = time.monotonic()
    removal.join()
    *words, removed = found
    assert ended - removed < 30
    (number,) = (number for number, each in enumerate(words) if each[1:] == ["lost"])
    last = f"its last line: {words[number][0]} lost. The same command"
    assert str(caught.value).startswith(f"worker {number} of 3 on the node ")
    assert " has ended with its Ray actor (The " in str(caught.value)
    assert last in str(caught.value)
    require_ended(int(each[0]) for each in words)
