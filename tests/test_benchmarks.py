"""Benchmarks run and write JSON files, tables and a picture."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import bench, encoders, epoch, kernels, new_nodes, propagation, ranking, updating
from benchmarks.alternating import Timing
from benchmarks.graphs import Shape, random_train
from benchmarks.measuring import Model, report
from benchmarks.samplers import Compared
from recns_tf.config.flags import from_flags, make_flags
from recns_tf.datasets.preprocessing.log import Log
from recns_tf.encoders.propagation import symmetric_adjacency
from recns_tf.errors import UserError
from recns_tf.evaluation import ranking as ours
from recns_tf.interactions import subtract_pairs, to_pairs
from recns_tf.registry import SAMPLERS
from tests.commands.test_train import call

ROOT = Path(__file__).resolve().parent.parent
TINY = Shape(60, 90, 900)
FURTHER = {
    "step": [Model(sampler="dns")],
    "samplers": [Compared(samplers="unins,recns")],
    "startup": [Model(encoder="mf")],
    "epoch": [Model(encoder="mf")],
}
RATIOS_TO = {
    "propagation": "floor",
    "step": "propagation",
    "samplers": "propagation",
    "kernels": "unins, numba",
    "encoders": "lightgcn recns",
    "scaling": "step, 100%",
    "regions": "step",
    "ranking": "bare search",
    "recommend": "bare search",
    "formats": "Arrow, CSV",
    "startup": "import of TensorFlow",
    "epoch": "epoch",
}


@pytest.fixture
def few_models(monkeypatch):
    """Limit the models, each of which takes a second to trace."""
    monkeypatch.setattr(kernels, "SAMPLERS", ("unins",))
    monkeypatch.setattr(encoders, "ENCODERS", ("lightgcn", "pinsage"))


@pytest.mark.slow
@pytest.mark.parametrize("what", bench.WHATS)
def test_benchmark_reports_times_and_ratios(what, few_models):
    module = importlib.import_module(f"benchmarks.{what}")
    found = module.measure(TINY, 1, *FURTHER.get(what, []))
    rows = {row["name"]: row for row in found.rows}
    assert found.what == what
    assert found.against == RATIOS_TO[what]
    assert rows[found.against]["ratio"] == 1
    base = rows[found.against]["milliseconds"]
    for row in found.rows:
        assert row["milliseconds"] > 0
        assert row["ratio"] == pytest.approx(row["milliseconds"] / base, rel=0.2, abs=0.02)
        assert row["name"] in found.text()
    assert 0.1 < found.notes["peak gigabytes"] < 24
    json.dumps(found.to_json())


@pytest.mark.slow
def test_parts_of_an_epoch_add_up(few_models):
    found = epoch.measure(TINY, 1, Model(encoder="mf", sampler="unins"))
    rows = {row["name"]: row["milliseconds"] for row in found.rows}
    parts = ("in steps", "validation", "checkpoint", "rest of the epoch")
    assert sum(rows[name] for name in parts) == pytest.approx(rows["epoch"], rel=1e-3)
    assert all(rows[name] > 0 for name in parts)
    assert rows["first step"] <= rows["in steps"]
    assert rows["until the first step"] >= rows["building the model"]


def test_ratios_are_relative_to_the_named_row():
    timings = {"half": Timing(1.0, 3.0), "base": Timing(2.0, 4.0)}
    found = report("a", "b", TINY, timings, "base")
    half = found.rows[0]
    assert (half["milliseconds"], half["ratio"]) == (1000, 0.5)
    assert (half["busy_milliseconds"], half["busy_ratio"]) == (3000, 0.75)


@pytest.mark.slow
def test_implementations_of_propagation_agree():
    matrix = symmetric_adjacency(random_train(TINY))
    nodes = tf.Variable(tf.random.stateless_normal([matrix.shape[0], 8], [0, 1]))
    first, *others = [each().numpy() for each in propagation.gradients(matrix, nodes).values()]
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-5, atol=1e-6)


def test_floor_reads_the_rows_of_the_matrix():
    matrix = symmetric_adjacency(random_train(TINY))
    table = np.random.default_rng(0).normal(size=(matrix.shape[0], 8)).astype(np.float32)
    sums = np.zeros(8, np.float32)
    propagation.add_up(matrix.indices, table, sums, 0, matrix.nnz)
    np.testing.assert_allclose(sums, table[matrix.indices].sum(axis=0), rtol=1e-3, atol=1e-3)


def test_brute_force_ranking_agrees():
    # More users than dimensions, or all unseen items would have scores of about 0.
    train = random_train(Shape(300, 200, 3000))
    users, items = ranking.fit_embeddings(train, np.random.default_rng(0))
    everyone = np.arange(300)
    expected = ours.top_items(users, items, everyone, train, ranking.K)
    np.testing.assert_array_equal(ranking.brute_force(users, items, train), expected)


@pytest.mark.slow
def test_bench_command_writes_figures(tmp_path):
    sizes = ["bench", "ranking", "--shapes=small", "--rounds=1", f"--output={tmp_path}"]
    done = call(sys.executable, "-m", "recns_tf", *sizes)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        "ranking-small.json",
        "table.md",
        "bench.png",
        "bench.svg",
    }
    found = json.loads((tmp_path / "ranking-small.json").read_text())
    assert found["shape"] == {"users": 3000, "items": 8000, "edges": 300_000}
    table = (tmp_path / "table.md").read_text()
    for row in found["rows"]:
        assert f"| {row['name']} | {row['milliseconds']:,.1f} | {row['ratio']:.2f} |" in table


@pytest.mark.slow
def test_picture_has_every_kind_of_panel(tmp_path):
    scales = {f"step, {scale}%": Timing(scale / 1e3) for scale in (25, 50, 100)}
    edges = {f"edges, {scale}%": 9 * scale for scale in (25, 50, 100)}
    for found in (
        report("samplers", "", TINY, {"propagation": Timing(1, 2)}, "propagation"),
        report("scaling", "", TINY, scales, "step, 100%", edges),
    ):
        (tmp_path / f"{found.what}-small.json").write_text(json.dumps(found.to_json()))
    everything = bench.read(tmp_path)
    bench.pictures.draw(everything, tmp_path)
    drawn = (tmp_path / "bench.svg").read_text()
    assert [each["what"] for each in everything] == ["samplers", "scaling"]
    assert "<!-- times propagation -->" in drawn and "<!-- train pairs -->" in drawn


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stepp"], "unknown benchmark 'stepp': choose some of propagation, step, samplers"),
        (["--shapes=zhihu,huge"], "--shapes=zhihu,huge: choose some of small, zhihu, alibaba"),
        (["--rounds=0"], "--rounds=0: choose a whole number from 1"),
    ],
)
def test_illegal_arguments_are_errors(arguments, sentence):
    done = call(sys.executable, "-m", "recns_tf", "bench", *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_user_defined_size():
    from benchmarks.measuring import Measuring

    assert Measuring(shape="small", items=7).size() == Shape(3000, 7, 300_000)
    with pytest.raises(UserError, match="--shape=big: choose one of small, zhihu, alibaba"):
        Measuring(shape="big")


def test_samplers_to_measure_can_be_chosen():
    assert Compared().samplers.split(",") == list(SAMPLERS)
    sentence = r"^--samplers=unins,dnss: choose some of recns, .*, separated by commas\.$"
    with pytest.raises(UserError, match=sentence):
        Compared(samplers="unins,dnss")


def test_single_benchmarks_have_a_flag_for_the_encoder():
    values = make_flags(Model)
    values(["step", "--encoder=mf"])
    assert from_flags(Model, values).encoder == "mf"


@pytest.mark.slow
def test_histories_and_negatives_of_the_service_are_measured():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.service_page", "--shape=small", "--requests=2"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    words = [line.split("|")[1].strip() for line in done.stdout.splitlines() if "|" in line]
    assert words == ["request", "---", "history", "negatives"]


@pytest.mark.slow
def test_the_service_is_measured_and_killed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.service", "--shape=small", "--seconds=2", "--rate=20",
         "--clients=2", f"--json={tmp_path / 'service.json'}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "service.json").read_text())
    for name in ("health", "recommend"):
        assert found[name]["answered"] == 40
        assert found[name]["refused"] == found[name]["wrong"] == 0
    assert found["killed"]["wrong"] == 0 and 0 < found["killed"]["refused"] < 40
    assert f"| recommend | {found['recommend']['quantiles'][0]:.1f} |" in done.stdout


def test_the_pairs_of_hidden_nodes_are_left_out(toy):
    hidden = np.zeros(60, dtype=bool)
    hidden[[3, 9]] = True
    kept = new_nodes.without(toy.train, hidden, "items").toarray()
    expected = toy.train.toarray().copy()
    assert expected[:, [3, 9]].any()
    expected[:, [3, 9]] = False
    np.testing.assert_array_equal(kept, expected)
    expected = toy.train.toarray().copy()
    expected[[3, 9]] = False
    np.testing.assert_array_equal(
        new_nodes.without(toy.train, hidden[:40], "users").toarray(), expected
    )


def test_a_run_is_as_good_from_the_first_epoch_that_reaches_the_goal():
    rows = [{"valid": {"recall@20": value}, "seconds": 2.0} for value in (0.1, 0.3, 0.2, 0.4)]
    found = updating.Found(rows, 0.5)
    assert found.until(0.3) == (2, 4.0) and found.until(0.35) == (4, 8.0)
    assert found.until(0.41) is None


def test_yesterday_is_the_first_part_of_a_log():
    log = Log(
        users=np.arange(20) % 4, items=np.arange(20) % 5, positive=np.arange(20) % 3 > 0,
        times=np.arange(20)[::-1], user_ids=np.arange(4), item_ids=np.arange(5),
    )  # fmt: skip
    part, whole = (updating.until(log, share, "log") for share in (0.5, 1.0))
    pairs = {
        (int(log.users[place]), int(log.items[place]))
        for place in range(10, 20)
        if log.positive[place]
    }
    assert set(map(tuple, to_pairs(part.positives).tolist())) == pairs
    # A train positive of yesterday is one of today.
    assert not subtract_pairs(part.train, whole.train).nnz and part.train.nnz < whole.train.nnz


@pytest.mark.slow
def test_what_workers_send_is_measured(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.workers", "--workers=1,2", "--samplers=unins",
         "--steps=1", f"--output={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = json.loads((tmp_path / "workers.json").read_text())["points"]
    assert one["model_sent"] == 0 and two["model_sent"] == 2 * 4 * 8192 * 16
    # Other programs may send as well.
    assert two["sent"] >= two["model_sent"]
    assert two["model_memory"] < one["model_memory"] <= one["memory"]
    assert done.stdout.count("| `unins` |") == 2
    assert (tmp_path / "sent.png").exists() and (tmp_path / "memory.png").exists()
