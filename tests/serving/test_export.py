"""The command export-model, and the folders that it writes."""

import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf

from recns_tf import api, datasets, registry
from recns_tf.baselines.fit import fit_and_evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Workspace
from recns_tf.encoders.base import Encoder
from recns_tf.encoders.mf import MF
from recns_tf.errors import UserError
from recns_tf.main import main
from recns_tf.runs.folder import RunFolder
from recns_tf.serving import saved_model
from recns_tf.training.train import train_and_evaluate

WORLD = {
    "dataset": "synthetic",
    "synthetic_users": 60,
    "synthetic_items": 50,
    "synthetic_clicks": 700,
    "synthetic_exposures": 300,
    "epochs": 1,
    "sampler": "unins",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory, toy_config):
    """A folder with the data and a run of each encoder."""
    place = tmp_path_factory.mktemp("served")
    config = dataclasses.replace(toy_config, **WORLD)
    data = datasets.load(config, place / "data")
    for encoder in registry.ENCODERS:
        workspace = Workspace(runs_dir=str(place / "runs"), run_name=encoder)
        train_and_evaluate(dataclasses.replace(config, encoder=encoder), workspace, data)
    workspace = Workspace(runs_dir=str(place / "runs"), run_name="popular")
    fit_and_evaluate("popular", config, BaselineSettings(), workspace, data)
    return place


@pytest.fixture
def run(place, monkeypatch):
    monkeypatch.chdir(place)
    return "runs/mf"


def refusal(*words):
    """Return the sentence with which a command line is refused."""
    with pytest.raises(SystemExit) as error:
        main(["export-model", *map(str, words)])
    return error.value.code.partition(": ")[2]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", registry.ENCODERS)
def test_command_writes_what_the_library_recommends(run, tmp_path, capsys, encoder):
    main(["export-model", f"runs/{encoder}", str(tmp_path / "shop"), "--topk=9"])
    assert os.listdir(tmp_path / "shop") == ["1"]
    assert f"{tmp_path}/shop/1: " in capsys.readouterr().out
    library = api.load(f"runs/{encoder}", frames="dict")
    users = library.data.user_ids
    lists = library.recommend(k=9)
    loaded = tf.saved_model.load(str(tmp_path / "shop" / "1"))
    found = loaded.signatures["serving_default"](user_ids=tf.constant(users))
    filled = np.isfinite(found["scores"])
    assert not filled.all(), "some users have fewer than 9 items left"
    np.testing.assert_array_equal(users[np.nonzero(filled)[0]], lists["user"])
    np.testing.assert_array_equal(found["item_ids"][filled], lists["item"])
    np.testing.assert_array_equal(found["scores"][filled], lists["score"])


@pytest.mark.slow
def test_an_existing_version_is_replaced_on_request_alone(run, tmp_path):
    target = tmp_path / "shop"
    saved_model.export(run, target)
    before = (target / "1" / "saved_model.pb").read_bytes()
    sentence = f"{target}/1 already exists: choose another --version, or --overwrite."
    assert refusal(run, target) == sentence
    (target / "1" / "saved_model.pb").write_bytes(b"")
    saved_model.export(run, target, overwrite=True)
    assert len((target / "1" / "saved_model.pb").read_bytes()) > len(before) / 2
    assert saved_model.export(run, target, version=12) == target / "12"
    assert sorted(os.listdir(target)) == ["1", "12"]


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_export_leaves_nothing(run, tmp_path, monkeypatch, error):
    write = tf.saved_model.save

    def interrupted(model, folder, **keywords):
        write(model, folder, **keywords)
        assert os.path.exists(f"{folder}/saved_model.pb")
        raise error

    monkeypatch.setattr(tf.saved_model, "save", interrupted)
    with pytest.raises(error):
        saved_model.export(run, tmp_path / "shop")
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_what_a_killed_export_left_is_deleted(run, tmp_path):
    hidden = tmp_path / "shop" / ".1.recns-new"
    hidden.mkdir(parents=True)
    (hidden / "saved_model.pb").write_bytes(b"half")
    target = saved_model.export(run, tmp_path / "shop")
    assert os.listdir(tmp_path / "shop") == ["1"]
    assert (target / "saved_model.pb").stat().st_size > 4


@pytest.mark.slow
def test_runs_that_cannot_be_exported_are_one_sentence(run, tmp_path, monkeypatch):
    assert refusal("runs/popular", tmp_path / "shop") == (
        "runs/popular is of the baseline popular, which has no embeddings: choose the run of an "
        "encoder."
    )
    assert "is not the folder of a run" in refusal(tmp_path, tmp_path / "shop")
    assert "two words are needed, RUN and DIR, not 1" in refusal(run)
    assert "--topk=0: choose a whole number from 1 to 1000." in refusal(run, "shop", "--topk=0")
    monkeypatch.setattr(RunFolder, "read_results", lambda folder: None)
    sentence = "runs/mf is not finished: train it to the end first."
    assert refusal(run, tmp_path / "shop") == sentence
    monkeypatch.setattr(
        RunFolder,
        "read_config",
        lambda folder: {"dataset": "synthetic", "encoder": "own:Encoder", "sampler": "unins"},
    )
    assert "names the encoder own:Encoder, which would run code outside this program: if you" in (
        refusal(run, tmp_path / "shop")
    )
    assert not list(tmp_path.iterdir()), "nothing is left"


@pytest.mark.slow
def test_an_encoder_that_embeds_no_new_users_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(MF, "new_nodes", Encoder.new_nodes)
    with pytest.raises(UserError, match="the encoder MF cannot embed new users"):
        saved_model.export(run, tmp_path / "shop")
    assert not list(tmp_path.iterdir())
