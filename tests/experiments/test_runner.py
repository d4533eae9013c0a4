import dataclasses

import pytest

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments import cells, runner
from recns_tf.experiments.options import SweepSettings
from recns_tf.experiments.sweep import Failure
from tests.experiments.worlds import SMALL, finish

BASE = Config(dataset="nothing")


def cell(**changes):
    config = dataclasses.replace(BASE, **changes)
    return cells.Cell(cells.name_of(config, BASE), config)


def test_remaining_time_is_estimated_from_the_most_similar_runs(tmp_path):
    """Runs with the same sampler, else with the same encoder; damaged ones are ignored."""
    for seed, (sampler, seconds) in enumerate([("dns", 100), ("dns", 300), ("unins", 1000)]):
        finish(cell(sampler=sampler, seed=seed), tmp_path, training_seconds=seconds)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "results.json").write_text("{")
    known = runner.past_seconds(tmp_path)
    assert runner.expected_seconds(cell(sampler="dns", khop=5), known) == 200
    assert runner.expected_seconds(cell(sampler="recns"), known) == 300
    assert runner.expected_seconds(cell(encoder="ngcf"), known) is None
    todo = [cell(sampler="dns", seed=0), cell(sampler="dns", khop=5), cell(encoder="ngcf")]
    assert runner.plan_text(todo, tmp_path, jobs=2).splitlines()[-1] == (
        "3 runs, 1 of them finished; about 2 min of training left; the time of 1 is unknown, "
        "since no similar run is finished."
    )


def test_dataset_that_cannot_be_read_is_an_error_before_the_first_run(tmp_path):
    options = SweepSettings(data_dir=str(tmp_path / "data"), runs_dir=str(tmp_path / "runs"))
    # Also if it is that of a later run.
    first = cells.Cell("first", Config(dataset="synthetic", **SMALL))
    for some in ([cell()], [first, cell()]):
        with pytest.raises(UserError, match="unknown dataset 'nothing'"):
            runner.run_cells(some, options, tmp_path / "runs" / "table")
    assert not (tmp_path / "runs").exists()


def test_samplers_that_lack_exposures_are_named_before_the_first_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(runner, "sweep", lambda *arguments: [])
    options = SweepSettings(data_dir=str(tmp_path / "data"), runs_dir=str(tmp_path / "runs"))
    for exposures in (500, 0):
        settings = SMALL | {"synthetic_exposures": exposures}
        config = Config(dataset="synthetic", sampler="expns", **settings)
        runner.run_cells([cells.Cell("first", config)], options, tmp_path)
        assert capsys.readouterr().out.startswith(
            "synthetic has no exposures: what expns would"
        ) == (not exposures)


def test_failures_are_printed_and_raise_an_error(tmp_path, capsys):
    runner.report([])
    with pytest.raises(UserError, match=r"^2 of the runs failed \(a, b\): the tables do not"):
        runner.report([Failure(name, "failed: why", tmp_path / name) for name in "ab"])
    assert capsys.readouterr().out.splitlines() == [
        f"{name} failed: why ({tmp_path}/{name})" for name in "ab"
    ]


def test_seeds_are_unique_numbers():
    assert SweepSettings(seeds="3,1,3").seed_numbers == [3, 1]
    for text in ("", "1,", "a", "1-3"):
        with pytest.raises(UserError, match="choose at most 10000 whole numbers from 0"):
            SweepSettings(seeds=text)
