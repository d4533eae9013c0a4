"""Several workers give the numbers of one, and end when another dies."""

import dataclasses
import json
import sys
import time
from contextlib import ExitStack
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from recns_tf.config.config import Config
from recns_tf.encoders.columns import Columns
from recns_tf.encoders.rows import Rows
from recns_tf.errors import UserError
from recns_tf.samplers.dns import DNS
from recns_tf.samplers.parts import Parts
from recns_tf.training import build as build_module
from recns_tf.training.assembly import agree_on_start
from recns_tf.utils.worker_processes import environments
from tests.conftest import TOY
from tests.processes import ENVIRONMENT, ROOT, run, started

BATCH = ("ngcf", "pinsage", "advns", "inbatch")
CASES = ("unins", "recns", "srns", "mcns", "mf", *BATCH)
LONG = "dns:40"
SECONDS = 400
SCORES = {
    "unins": [3 + 1],
    "recns": [4, 4, 4, 3 + 1 + 1],  # user and positive by candidates, exposed; the pair's scores
    "srns": [24, 1, None, 24, 3 + 1],  # memory, positive, snapshots, offered items
    "mcns": [1, 1, 3 + 1],  # the chain's item and its proposal
    "mf": [12, 3 + 1],
    # Embeddings and scores as `recns`, exposed items included; gradients of `nodes`, W1 and W2.
    "ngcf": [24, 4, 24, 4, 24, 4, 3 + 1 + 1, *[8] * 5],
    "pinsage": [8, 12, 3 + 1, 50, *[4] * 4],  # users, candidates, the pair's scores; gradients
    "advns": [8, 3, 3 + 1, 50, *[4] * 4],  # users, rewards, the pair's scores; gradients
    "inbatch": [8, 8, 8],  # users, positives; the gradient
}
"""What the workers add up per row, by case, in the order of the step."""


def cluster(count):
    """Return the environment of each of some workers on this machine."""
    return [each | ENVIRONMENT for each in environments(count)]


def line(folder, *cases):
    return [sys.executable, "-m", "tests.training.several_workers", str(folder), *cases]


def rows(folder, case):
    lines = (folder / case / "metrics.jsonl").read_text().splitlines()
    return [json.loads(each) for each in lines]


def flat(row):
    """Return the numbers of a row but its times."""
    numbers = {name: value for name, value in row.items() if "seconds" not in name}
    return numbers | numbers.pop("valid")


def require_same(one, other, case):
    """Require the same numbers of two runs up to rounding."""
    assert len(rows(one, case)) == len(rows(other, case))
    for mine, its in zip(rows(one, case), rows(other, case), strict=True):
        assert flat(mine) == pytest.approx(flat(its), rel=1e-6, abs=1e-6)
    for name in ("user", "item"):
        arrays = [np.load(each / case / "embeddings" / f"{name}.npy") for each in (one, other)]
        # The gradients of a batch are summed in another order.
        np.testing.assert_allclose(*arrays, rtol=0, atol=1e-5 if case in BATCH else 1e-6)
    test = [json.loads((each / case / "results.json").read_text()) for each in (one, other)]
    assert test[0]["test"] == pytest.approx(test[1]["test"], rel=1e-6)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of the runs of a single process."""
    folder = tmp_path_factory.mktemp("columns") / "alone"
    done = run(line(folder, *CASES, LONG), ROOT, SECONDS)
    assert done.status == 0, done.stderr[-2000:]
    return folder


@pytest.mark.slow
def test_three_workers_give_the_numbers_of_one(alone, tmp_path):
    with ExitStack() as stack:
        workers = [
            stack.enter_context(started(line(tmp_path, *CASES), ROOT, env=each))
            for each in cluster(3)
        ]
        done = [each.wait(SECONDS) for each in workers]
    assert [each.status for each in done] == [0, 0, 0], done[0].stderr[-2000:]
    for case in CASES:
        require_same(alone, tmp_path, case)
        settings = json.loads((tmp_path / case / "config.json").read_text())
        assert settings["strategy"] == "none", "an ordinary run, which one worker can go on with"
        devices = json.loads((tmp_path / case / "results.json").read_text())["devices"]
        assert devices["strategy"] == ("batch" if case in BATCH else "columns")
        assert devices["workers"] == 3
    assert json.loads(done[0].stdout.splitlines()[-1]) == SCORES


@pytest.mark.slow
def test_the_others_end_when_a_worker_dies_and_one_worker_goes_on(alone, tmp_path):
    folder = tmp_path / "alone"
    with ExitStack() as stack:
        chief, other = (
            stack.enter_context(started(line(tmp_path, LONG), ROOT, env=each))
            for each in cluster(2)
        )
        metrics = tmp_path / "dns" / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < 2:
            assert chief.process.poll() is None
            time.sleep(0.02)
        other.kill()
        killed = time.monotonic()
        done = chief.wait(SECONDS)
        assert time.monotonic() - killed < 30
    assert done.status != 0
    assert "another worker has ended or does not answer" in done.stderr
    assert len(rows(tmp_path, "dns")) < 40
    folder.mkdir()
    (tmp_path / "dns").rename(folder / "dns")
    again = run(line(folder, LONG), ROOT, SECONDS)
    assert again.status == 0, again.stderr[-2000:]
    require_same(alone, folder, "dns")


@pytest.mark.slow
def test_workers_with_other_settings_are_refused(tmp_path):
    with ExitStack() as stack:
        chief, other = (
            stack.enter_context(started(line(tmp_path, case), ROOT, env=each))
            for case, each in zip(("dns:2", "dns:3"), cluster(2), strict=True)
        )
        assert "worker 1 has other settings or data than worker 0" in other.wait(SECONDS).stderr
        assert chief.wait(SECONDS).status != 0
    assert not (tmp_path / "dns").exists(), "nothing is left of a run that did not start"


def test_workers_that_divide_the_work_in_other_ways_are_refused(toy, toy_config):
    said = []

    def from_chief(values):
        said.append(values)
        return said[0]

    group = SimpleNamespace(number=1, count=2, from_chief=from_chief)
    assert agree_on_start(Columns(group), toy_config, toy, 3) == 3
    assert agree_on_start(Columns(group), toy_config, toy, 0) == 3
    with pytest.raises(UserError, match="worker 1 has other settings or data than worker 0"):
        agree_on_start(Rows(group), toy_config, toy, 0)


def test_a_sampler_with_weights_of_its_own_is_refused(toy, toy_config, monkeypatch):
    monkeypatch.setattr(build_module, "rows_of", lambda config: Rows(SimpleNamespace()))
    monkeypatch.setattr(DNS, "jointly_trained", [keras.Variable(0.0)])
    with pytest.raises(UserError, match="--sampler=dns once per worker: choose another"):
        build_module.build(dataclasses.replace(toy_config, sampler="dns"), toy)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"encoder": "ngcf"},
            "ngcf mixes columns: choose --strategy=batch, or the encoder lightgcn or mf",
        ),
        ({"sampler": "mixgcf"}, "--sampler=mixgcf needs whole embeddings: choose one of recns"),
        ({"scores": "cosine"}, "choose --scores=inner"),
        ({"layer_weights": "learned"}, "choose --layer_weights=mean"),
        ({"strategy": "batch", "sampler": "mixgcf"}, "--sampler=mixgcf needs more: choose another"),
        ({"strategy": "batch", "sampler": "dens"}, "--sampler=dens needs more: choose another"),
    ],
)
def test_parts_that_need_what_no_worker_has_are_refused(settings, message):
    config = dataclasses.replace(Config(**TOY, strategy="columns"), **settings)
    with pytest.raises(UserError, match=message):
        Parts.load(config).check(config)
