"""--strategy=mirrored: training on two devices, for which two logical CPUs stand in."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from recns_tf.config.config import Workspace
from recns_tf.errors import UserError
from recns_tf.training import strategies
from recns_tf.training.train import train_and_evaluate
from tests.goodness_of_fit import chi_square

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found():
    """What two_devices.py prints; it takes minutes."""
    command = [sys.executable, "-m", "tests.training.two_devices"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_sampler_without_draws_gives_what_one_device_gives(found):
    for case, difference in found["equal_to_one_device"].items():
        assert difference < 1e-5, case
    assert len(found["equal_to_one_device"]) == 10


def test_a_strategy_that_the_caller_entered_does_the_same(found):
    assert found["in_the_scope_of_a_user"] < 1e-5


def test_all_copies_of_all_state_are_equal(found):
    assert found["copies_of_state"] == dict.fromkeys(
        ("advns", "dens", "mcns", "rns-as", "srns"), True
    )


def test_state_follows_the_whole_batch(found):
    assert found["state_after_a_step"]["chains"]
    assert found["state_after_a_step"]["baseline"] == pytest.approx(0.01, rel=1e-4)


def test_devices_draw_independently_and_uniformly(found, toy):
    ids = np.array(found["draws_of_a_pair"]["ids"])
    first, second = np.split(ids, 2)
    assert (first == second).mean() < 0.1
    unobserved = np.flatnonzero(~toy.train[[found["draws_of_a_pair"]["user"]]].toarray()[0])
    for half in (first, second):
        assert np.isin(half, unobserved).all()
        counts = np.bincount(half.ravel(), minlength=toy.num_items)[unobserved]
        assert chi_square(counts, np.ones(len(unobserved))) > 1e-3


def test_an_interrupted_run_gives_the_same_numbers(found):
    resumed = found["resumed"]
    assert resumed["parts"] == resumed["whole"]
    assert resumed["replicas"] == resumed["devices"]["replicas"] == 2


def test_the_gradient_of_a_row_counts_once(found):
    for size, each in enumerate(found["gradients_of_gathered_rows"], start=1):
        rows = list(range(1, size + 1))
        assert each["rows"] == [rows, rows]
        assert each["gradient"] == [2 * row for row in rows]


def test_one_device_gives_what_no_strategy_gives(toy, toy_config, tmp_path):
    metrics = {}
    for strategy in ("none", "mirrored"):
        config = dataclasses.replace(toy_config, sampler="recns", strategy=strategy)
        place = Workspace(runs_dir=str(tmp_path), run_name=strategy)
        metrics[strategy] = train_and_evaluate(config, place, toy, quiet=True)["test"]
    assert metrics["none"] == metrics["mirrored"]


def test_a_run_does_not_go_on_on_another_number_of_devices(toy, toy_config, tmp_path, monkeypatch):
    config = dataclasses.replace(toy_config, sampler="unins", strategy="mirrored", epochs=1)
    place = Workspace(runs_dir=str(tmp_path), run_name="run")
    train_and_evaluate(config, place, toy, quiet=True)
    monkeypatch.setattr(strategies, "recorded", lambda strategy: {"replicas": 2})
    with pytest.raises(UserError, match="replicas 1 there, 2 here"):
        train_and_evaluate(config, place, toy, quiet=True)
