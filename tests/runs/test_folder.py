"""What a run's folder keeps, replaces and refuses."""

import json

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
        pass


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
