"""What a run's folder keeps, replaces and refuses."""

import json
import shutil

import pytest

from recns_tf.errors import UserError
from recns_tf.runs.folder import RunFolder

OLD = {"dataset": "shop", "encoder": "mf", "margin": 0.1}
NEW = OLD | {"margin": 0.2}
ROW = {"epoch": 1, "loss": 0.5, "seconds": 1.0}


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def start(folder, settings=OLD, overwrite=False):
    with folder.claim(settings, overwrite):
        folder.begin()


def settings_in(folder):
    return json.loads(folder.config.read_text())


def write(path, content=""):
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)


def refuse(folder, settings=OLD, error=UserError):
    with pytest.raises(error), folder.claim(settings, overwrite=False):
        raise error


@pytest.mark.parametrize("killed_while", ["building", "training", "writing a row", "ranking"])
def test_settings_of_a_run_without_an_epoch_are_replaced(folder, killed_while):
    start(folder)
    if killed_while == "training":
        write(folder.metrics)
    if killed_while == "writing a row":
        write(folder.metrics, json.dumps(ROW)[:9])
    if killed_while == "ranking":
        write(folder.lists)
    start(folder, NEW)
    assert settings_in(folder) == NEW
    assert {path.name for path in folder.path.iterdir()} == {
        ".lock",
        "config.json",
        "manifest.json",
    }


@pytest.mark.parametrize(
    "kept",
    ["metrics.jsonl", "checkpoint/checkpoint", "best/model.weights.h5", "embeddings/user.npy",
     "results.json"],
)  # fmt: skip
def test_run_with_progress_is_refused_unless_overwritten(folder, kept):
    start(folder)
    write(folder.path / kept, json.dumps(ROW) + "\n")
    with pytest.raises(UserError, match=r"margin 0\.1 there, 0\.2 here.*--overwrite"):
        start(folder, NEW)
    assert settings_in(folder) == OLD and (folder.path / kept).exists()
    start(folder, OLD)
    assert (folder.path / kept).exists(), "the same run goes on"
    start(folder, NEW, overwrite=True)
    assert settings_in(folder) == NEW and not (folder.path / kept).exists()


def test_overwriting_deletes_the_lists_of_a_baseline(folder):
    """They would otherwise pass for the lists of the new run."""
    start(folder)
    write(folder.results, "{}")
    write(folder.lists)
    start(folder, OLD, overwrite=True)
    assert not folder.lists.exists()


KEPT = {
    "metrics.jsonl": json.dumps(ROW) + "\n",
    "checkpoint/checkpoint": "state",
    "best/model.weights.h5": "weights",
    "embeddings/user.npy": "embeddings",
    "lists/test.npy": "lists",
    "tensorboard/events.out.tfevents.1": "events",
    "mlflow.json": "{}",
    "results.json": "{}",
}


@pytest.fixture
def finished(folder):
    """A finished run with the settings OLD."""
    start(folder)
    for name, content in KEPT.items():
        write(folder.path / name, content)
    return folder


def files_of(folder):
    paths = (path for path in folder.path.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder.path)): path.read_text() for path in paths}


@pytest.mark.parametrize("error", [UserError, KeyboardInterrupt, ZeroDivisionError])
def test_run_that_ends_before_its_first_epoch_leaves_the_run_it_overwrites(finished, error):
    before = files_of(finished)
    assert before.keys() == KEPT.keys() | {"config.json", "manifest.json"}
    with pytest.raises(error), finished.claim(NEW, overwrite=True):
        assert finished.read_results() is None and finished.rows() == []
        assert finished.rewind(0) == []
        raise error
    assert files_of(finished) == before
    assert finished.rows() == [ROW]


@pytest.mark.parametrize("first_output", ["epoch", "lists"])
def test_first_epoch_or_lists_delete_the_run_that_is_overwritten(finished, first_output):
    new = ROW | {"loss": 0.25}
    with finished.claim(NEW, overwrite=True):
        if first_output == "epoch":
            finished.append(new)
            finished.append(new | {"epoch": 2})
        else:
            finished.begin()
    rows = [new, new | {"epoch": 2}] if first_output == "epoch" else []
    assert finished.rows() == rows and settings_in(finished) == NEW
    kept = {"config.json", "manifest.json"} | ({"metrics.jsonl"} if rows else set())
    assert files_of(finished).keys() == kept


def test_killed_deletion_leaves_no_finished_run(finished, monkeypatch):
    """A run whose results are there has all its files."""

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    monkeypatch.setattr(shutil, "rmtree", die)
    with pytest.raises(Killed), finished.claim(NEW, overwrite=True):
        finished.begin()
    assert not finished.results.exists() and settings_in(finished) == OLD


@pytest.mark.parametrize("content", ["{}", "[]", '{"hidden_size": 768}'])
def test_folder_of_another_program_is_left_unchanged(folder, content):
    write(folder.config, content)
    write(folder.lists, "keep")
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        start(folder)
    assert folder.config.read_text() == content and folder.lists.read_text() == "keep"


def test_refused_run_leaves_no_folder(folder):
    refuse(folder)
    assert not folder.path.exists()
    assert folder.path.parent.exists()


def test_refused_run_leaves_a_folder_that_was_there(folder):
    start(folder)
    refuse(folder)
    assert settings_in(folder) == OLD
    start(folder, NEW)
    assert settings_in(folder) == NEW


def test_failed_run_leaves_its_folder(folder):
    """Only a refusal is known to leave nothing of interest."""
    refuse(folder, error=ZeroDivisionError)
    assert settings_in(folder) == OLD


@pytest.mark.parametrize("kept", ["metrics.jsonl", "profile/table.md"])
def test_run_refused_after_an_epoch_or_a_profile_leaves_its_folder(folder, kept):
    with pytest.raises(UserError), folder.claim(OLD, overwrite=False):
        write(folder.path / kept, json.dumps(ROW) + "\n")
        raise UserError("the loss became nan in epoch 2")
    assert settings_in(folder) == OLD and (folder.path / kept).exists()
