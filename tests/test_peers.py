"""benchmarks.peers writes RecBole's files, runs both programs, and evaluates them alike.

RecBole itself is not installed here: a script that writes what it would write takes its place.
"""

import json
import sys
import textwrap

import numpy as np
import pytest

from benchmarks import bench
from benchmarks.peers import __main__ as peers
from benchmarks.peers import atomic_files, comparison, environment, processes, programs
from benchmarks.peers.programs import OURS, THEIRS, Trained
from benchmarks.peers.workload import Workload, own_settings, recbole_settings
from recns_tf.commands import app
from recns_tf.comparison.embedding_files import Embeddings
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.interactions import make_interactions
from recns_tf.runs.folder import RunFolder

DATA = "synthetic-small"


def five_items():
    """Return two users and five items; item 4 has no positives."""
    return make_interactions(
        "shop",
        train=np.array([[0, 0], [1, 2]]),
        valid=np.array([[0, 1]]),
        test=np.array([[0, 3], [1, 0], [1, 1]]),
        exposed=np.zeros((0, 2), np.int64),
        user_ids=np.array(["NA", "b c"]),
        item_ids=np.arange(5) * 10,
        source={},
    )


def write_script(path, text):
    path.write_text(textwrap.dedent(text))
    return path


@pytest.fixture
def fake_recbole(tmp_path, monkeypatch):
    """RecBole's environment is this Python, and its script one that a test gives."""
    monkeypatch.setattr(environment, "prepare", lambda folder: programs.Path(sys.executable))

    def use(text):
        script = write_script(tmp_path / "fake.py", text)
        monkeypatch.setattr(programs, "SCRIPT", script)

    return use


FAKE = """
    import json, sys
    from pathlib import Path
    import numpy as np

    job = json.loads(Path(sys.argv[1]).read_text())
    output = Path(job["output"])
    rng = np.random.default_rng(job["settings"]["seed"])
    for kind in ("users", "items"):
        np.save(output / f"{kind}.npy", rng.normal(size=(job[kind], 4)).astype(np.float32))
    seconds = [100.0] + [3.0] * (job["settings"]["epochs"] - 2) + [5.0]
    versions = {"python": "3.11.0", "recbole": "1.2.1"}
    (output / "epochs.json").write_text(json.dumps({"seconds": seconds, "versions": versions}))
    """


class FakeOurs:
    """Trains nothing; the seconds of its three epochs depend on the seed."""

    def __init__(self, folder, data_dir):
        del folder, data_dir

    def train(self, workload, seed):
        def embeddings(data):
            rng = np.random.default_rng(seed)
            users, items = (rng.normal(size=(n, 4)) for n in data.train.shape)
            return Embeddings(users.astype(np.float32), items.astype(np.float32))

        return Trained([50.0, seed, seed], 0.5, embeddings, {"recns_tf": "0"})


def run(tmp_path, *flags):
    """Run the command in this process, and return the content of results.json."""
    arguments = [f"--data_dir={tmp_path}", f"--output={tmp_path / 'out'}", *flags]
    app.run(peers.COMMAND, arguments, "peers")
    return json.loads((tmp_path / "out" / "results.json").read_text())


def recall_by_hand(users, items, data, k=20):
    """Return the mean Recall@k over users with test positives, by sorting every row of scores."""
    scores = users.astype(np.float64) @ items.T.astype(np.float64)
    scores[(data.train + data.valid).toarray()] = -np.inf
    test = data.test.toarray()
    found = []
    for user in np.flatnonzero(test.any(axis=1)):
        best = np.argsort(-scores[user])[:k]
        found.append(test[user, best].sum() / test[user].sum())
    return np.mean(found)


def test_atomic_files_hold_every_part_and_every_user_and_item(tmp_path):
    name = atomic_files.write(five_items(), tmp_path)
    files = {path.name: path.read_text() for path in (tmp_path / name).iterdir()}
    assert files == {
        f"{name}.train.inter": "user_id:token\titem_id:token\n0\t0\n1\t2\n",
        f"{name}.valid.inter": "user_id:token\titem_id:token\n0\t1\n",
        f"{name}.test.inter": "user_id:token\titem_id:token\n0\t3\n1\t0\n1\t1\n",
        f"{name}.user": "user_id:token\n0\n1\n",
        f"{name}.item": "item_id:token\n0\n1\n2\n3\n4\n",
    }
    assert name != "shop", "RecBole has a dataset of its own for some names"


@pytest.mark.parametrize(("negatives", "candidates"), [("uniform", 0), ("dynamic", 20)])
def test_both_programs_get_equal_settings(negatives, candidates, tmp_path):
    workload = Workload("ml-100k", negatives, 7)
    ours = Config.for_run("ml-100k", "lightgcn", **own_settings(workload, 3))
    theirs = recbole_settings(workload, 3, tmp_path)
    assert theirs["train_neg_sample_args"]["candidate_num"] == candidates
    assert theirs["train_neg_sample_args"]["dynamic"] is (negatives == "dynamic")
    assert ours.sampler == {"uniform": "unins", "dynamic": "dns"}[negatives]
    assert ours.num_candidates == 20 and ours.num_negatives == 1 and ours.loss == "bpr"
    pairs = {
        "embedding_size": ours.dim,
        "n_layers": ours.num_layers,
        "train_batch_size": ours.batch_size,
        "learning_rate": ours.learning_rate,
        "reg_weight": ours.l2,
        "epochs": ours.epochs,
        "seed": ours.seed,
    }
    assert {name: theirs[name] for name in pairs} == pairs
    assert (ours.dim, ours.num_layers, ours.batch_size, ours.l2) == (64, 3, 2048, 1e-4)


@pytest.mark.slow
def test_figures_are_medians_without_the_first_epoch(tmp_path, monkeypatch, fake_recbole):
    fake_recbole(FAKE)
    monkeypatch.setattr(peers, "Ours", FakeOurs)
    monkeypatch.setattr(peers.os, "getloadavg", lambda: (0.4, 9.0, 9.0))
    found = run(tmp_path, f"--datasets={DATA}", "--rounds=3", "--epochs=4")
    assert [(row["dataset"], row["negatives"]) for row in found["workloads"]] == [
        (DATA, "uniform"),
        (DATA, "dynamic"),
    ]
    for row in found["workloads"]:
        ours, theirs = row["programs"][OURS], row["programs"][THEIRS]
        # Ours: the median of 1, 2 and 3; theirs: each round 3, 3, 3, 5.
        assert (ours["seconds"], theirs["seconds"], row["ratio"]) == (2, 3, 1.5)
        assert [each["seconds"][0] for each in theirs["rounds"]] == [100, 100, 100]
        assert len(theirs["rounds"][0]["seconds"]) == row["epochs"] == 5
        assert ours["gigabytes"] == 0.5 and 0.01 < theirs["gigabytes"] < 2
        # Both have the random embeddings of the seeds.
        assert theirs["metrics"] == ours["metrics"]
    assert found["versions"] == {
        OURS: {"recns_tf": "0"},
        THEIRS: {"python": "3.11.0", "recbole": "1.2.1"},
    }
    assert found["failures"] == []
    lines = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert lines[2].startswith(f"| `{DATA}`, uniform | 2 | 3 | 1.50 | 0.50 | ")
    assert peers.BUSY not in lines and found["machine"]["load_average"] == 0.4
    assert (tmp_path / "out" / "peers.png").stat().st_size > 1000
    drawn = (tmp_path / "out" / "peers.svg").read_text()
    assert all(f"<!-- {text} -->" in drawn for text in (OURS, THEIRS, f"{DATA}-dynamic"))


@pytest.mark.slow
def test_one_evaluation_ranks_the_embeddings_of_both_programs(tmp_path, fake_recbole):
    fake_recbole(FAKE)
    flags = [f"--datasets={DATA}", "--negatives=dynamic", "--rounds=1", "--epochs=1"]
    found = run(tmp_path, *flags)["workloads"][0]["programs"]
    out = tmp_path / "out"
    ours, theirs = (out / f"{DATA}-dynamic-{name}-1" for name in (OURS, THEIRS))
    folder = RunFolder(ours)
    config = folder.read_config()
    assert (config["sampler"], config["loss"], config["epochs"]) == ("dns", "bpr", 2)
    assert [row["seconds"] for row in folder.rows()] == found[OURS]["rounds"][0]["seconds"]
    results = folder.read_results()
    assert results["best_epoch"] == 2, "the embeddings are those of the last epoch"
    assert results["test"]["recall@20"] == pytest.approx(found[OURS]["metrics"]["recall@20"])
    data = peers.read(Workload(DATA, "dynamic", 2), str(tmp_path))
    for program, users, items in (
        (OURS, folder.embeddings / "user.npy", folder.embeddings / "item.npy"),
        (THEIRS, theirs / "users.npy", theirs / "items.npy"),
    ):
        recall = recall_by_hand(np.load(users), np.load(items), data)
        assert found[program]["metrics"]["recall@20"] == pytest.approx(recall, abs=1e-4)
    assert found[OURS]["metrics"]["recall@20"] > 2 * found[THEIRS]["metrics"]["recall@20"]
    assert 0.3 < found[OURS]["gigabytes"] < 5


@pytest.mark.slow
def test_a_run_that_fails_gives_its_last_line_and_the_others_count(
    tmp_path, monkeypatch, fake_recbole, capsys
):
    fake_recbole("print('a warning')\nraise MemoryError('no room for it')")
    monkeypatch.setattr(peers, "Ours", FakeOurs)
    monkeypatch.setattr(peers.os, "getloadavg", lambda: (0.6, 0.0, 0.0))
    with pytest.raises(SystemExit) as ending:
        run(tmp_path, f"--datasets={DATA}", "--negatives=uniform", "--rounds=1")
    assert "1 run failed: " in str(ending.value)
    assert "MemoryError: no room for it" in str(ending.value) and "\n" not in str(ending.value)
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    row = found["workloads"][0]
    assert row["ratio"] is None and row["programs"][THEIRS] == {"rounds": []}
    assert row["programs"][OURS]["seconds"] == 1
    table = (tmp_path / "out" / "table.md").read_text()
    assert f"| `{DATA}`, uniform | 1 | failed |  | 0.50 | failed |" in table
    assert peers.BUSY in table
    assert "failed: MemoryError: no room for it" in capsys.readouterr().out


def test_a_process_that_is_killed_says_so(tmp_path):
    script = "import os; print('so far', flush=True); os.kill(os.getpid(), 9)"
    with pytest.raises(UserError, match=r"^so far \(ended by signal 9, perhaps out of memory\)"):
        processes.peak_of([sys.executable, "-c", script], tmp_path / "log")


@pytest.mark.slow
def test_peak_memory_is_that_of_the_process(tmp_path):
    small = processes.peak_of([sys.executable, "-c", "x = 1"], tmp_path / "log")
    script = "x = bytearray(12 * 10**8)\nfor i in range(0, len(x), 4096): x[i] = 1"
    assert processes.peak_of([sys.executable, "-c", script], tmp_path / "log") > 1.2
    assert small < 1.2


def test_a_round_counts_by_its_median():
    rounds = [
        comparison.Measured([9.0, 1.0, 2.0, 30.0], 1.0, {"recall@20": 0.1, "ndcg@20": 0.2}),
        comparison.Measured([9.0, 6.0, 6.0, 6.0], 2.0, {"recall@20": 0.3, "ndcg@20": 0.4}),
    ]
    found = comparison.summarized(rounds)
    assert (found.seconds, found.gigabytes) == (4.0, 2.0)
    assert found.metrics == pytest.approx({"recall@20": 0.2, "ndcg@20": 0.3})


@pytest.fixture
def fake_pip(tmp_path, monkeypatch):
    """An interpreter that makes an environment whose pip logs its calls, and may fail."""
    log = tmp_path / "calls"
    python = tmp_path / "fake-python"

    def use(pip):
        inner = f'#!/bin/sh\necho "$@" >>{log}\n{pip}\n'
        write_script(
            python,
            f"""\
            #!/bin/sh
            echo "$@" >>{log}
            mkdir -p $4/bin; touch $4/pyvenv.cfg
            cat >$4/bin/python <<'END'
            """,
        )
        python.write_text(python.read_text() + inner + "END\nchmod +x $4/bin/python\n")
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))

    use.log = log
    return use


def test_the_environment_is_made_once(tmp_path, fake_pip):
    fake_pip("exit 0")
    folder = tmp_path / "environment"
    assert environment.prepare(folder) == folder / "bin" / "python"
    calls = fake_pip.log.read_text().splitlines()
    assert calls[0] == f"-m venv --clear {folder}"
    assert calls[1].endswith(f"--requirement {environment.REQUIREMENTS}")
    assert calls[2].endswith("--no-deps recbole==1.2.1") and len(calls) == 3
    environment.prepare(folder)
    assert len(fake_pip.log.read_text().splitlines()) == 3
    (folder / environment.STAMP).write_text("recbole==1.2.0\n")
    environment.prepare(folder)
    assert len(fake_pip.log.read_text().splitlines()) == 6


def test_a_failure_of_pip_is_one_sentence(tmp_path, fake_pip):
    fake_pip("echo WARNING: slow; echo ERROR: No matching distribution >&2; echo; exit 1")
    folder = tmp_path / "environment"
    for _ in range(2):
        with pytest.raises(UserError) as error:
            environment.prepare(folder)
        assert str(error.value) == (
            f"--environment={folder}: RecBole could not be installed, as `-m pip install` failed: "
            "ERROR: No matching distribution"
        )
    assert len(fake_pip.log.read_text().splitlines()) == 4, "the second time it is tried again"


def test_an_environment_replaces_no_other_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("chapter 1")
    with pytest.raises(UserError, match="holds other files: choose a new folder"):
        environment.prepare(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_python_without_wheels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 13, 1))
    with pytest.raises(UserError, match=r"without wheels for this Python: choose one up to 3\.12"):
        environment.prepare(tmp_path / "environment")


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--datasets=ml-1b", "unknown dataset 'ml-1b': choose one of zhihu"),
        ("--negatives=hard", "--negatives=hard: choose some of uniform, dynamic, separated by"),
        ("--rounds=0", "--rounds=0: choose a whole number from 1"),
    ],
)
def test_illegal_flags_are_errors(flag, sentence, tmp_path):
    with pytest.raises(SystemExit) as ending:
        run(tmp_path, flag)
    assert sentence in str(ending.value)


def test_epochs_depend_on_the_dataset_unless_they_are_given():
    plan = peers.Peers(datasets="gowalla,ml-100k", negatives="dynamic").plan()
    assert plan == [Workload("gowalla", "dynamic", 3), Workload("ml-100k", "dynamic", 51)]
    assert peers.Peers(datasets="ml-100k", epochs=4).plan()[0].epochs == 5


def test_bench_runs_it_only_if_it_is_named(monkeypatch):
    commands = []

    def record(command, check):
        del check
        commands.append(command)
        return bench.subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bench.subprocess, "run", record)
    app.run(bench.COMMAND, ["peers"], "bench")
    assert commands == [[sys.executable, "-m", "benchmarks.peers"]]
    assert "peers" not in bench.WHATS
    for arguments in (["peers", "step"], ["peers", "--rounds=3"]):
        with pytest.raises(SystemExit, match="'bench peers' takes no other words and no flags"):
            app.run(bench.COMMAND, arguments, "bench")
    assert len(commands) == 1
