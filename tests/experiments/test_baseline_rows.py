"""Baselines below the tables of a sweep."""

import fcntl

import pytest

from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.experiments import baseline_rows
from recns_tf.experiments.cells import Cell

CELL = Cell("toy-popular", Config(topk="20"))
POPULAR = baseline_rows.ClosedForm("popular", CELL)


def fit(tmp_path, toy):
    log = tmp_path / "log"
    return baseline_rows.fit_baseline(POPULAR, toy, Workspace(runs_dir=str(tmp_path)), log)


def test_a_baseline_that_another_process_fits_is_waited_for(tmp_path, toy, monkeypatch):
    (tmp_path / CELL.name).mkdir()
    lock = (tmp_path / CELL.name / ".lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            lock.close()

    monkeypatch.setattr(baseline_rows.time, "sleep", sleep)
    assert fit(tmp_path, toy)["encoder"] == "popular"
    assert len(waited) == 3
    assert "another process" not in (tmp_path / "log").read_text()


def test_other_refusals_are_raised(tmp_path, toy):
    (tmp_path / CELL.name).mkdir()
    (tmp_path / CELL.name / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not the folder of a run"):
        fit(tmp_path, toy)
