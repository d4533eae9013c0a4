import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recns_tf.config.config import Workspace
from recns_tf.errors import UserError
from recns_tf.training import load
from recns_tf.training.build import build
from recns_tf.training.train import train_and_evaluate
from tests.conftest import make_toy


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
def test_loaded_run_has_the_tested_embeddings(toy, toy_config, tmp_path):
    workspace = Workspace(runs_dir=str(tmp_path))
    config = dataclasses.replace(toy_config, encoder="pinsage")
    train_and_evaluate(config, workspace, toy)
    folder = workspace.run_folder(config)
    model, data = load.load(folder, interactions=toy)
    assert data is toy
    for name, table in zip(("user", "item"), model.encoder.embeddings(), strict=True):
        np.testing.assert_array_equal(table, np.load(folder / "embeddings" / f"{name}.npy"))
    new = model.encoder.embed_new_users(toy.train[[3, 4]])
    assert new.shape == (2, 8)


@pytest.mark.slow
def test_other_data_and_other_folders_are_an_error(toy, toy_config, tmp_path):
    workspace = Workspace(runs_dir=str(tmp_path))
    train_and_evaluate(dataclasses.replace(toy_config, epochs=1), workspace, toy)
    folder = workspace.run_folder(toy_config)
    with pytest.raises(UserError, match="was trained on other data than toy"):
        load.load(folder, interactions=make_toy(seed=1))
    flip_a_bit(folder / "best" / "model.weights.h5")
    with pytest.raises(UserError, match=r"weights\.h5 is damaged, or was changed"):
        load.load(folder, interactions=toy)
    flip_a_bit(folder / "config.json")
    with pytest.raises(UserError, match=r"config\.json is damaged, or was changed"):
        load.load(folder, interactions=toy)
    with pytest.raises(UserError, match="nothing is not the folder of a run"):
        load.load(tmp_path / "nothing", interactions=toy)


@pytest.mark.slow
def test_what_is_kept_with_the_dataset_is_not_computed_again(
    toy, toy_config, tmp_path, monkeypatch
):
    workspace = Workspace(runs_dir=str(tmp_path))
    config = dataclasses.replace(toy_config, sampler="ppr-hard", encoder="mf", epochs=1)
    folder = tmp_path / config.dataset
    train_and_evaluate(config, workspace, toy, folder)
    (table,) = folder.glob("pagerank-*/lists.npy")
    monkeypatch.setattr(load.datasets, "load", lambda *_: toy)
    monkeypatch.setattr("recns_tf.samplers.pagerank.Walks", None)
    model, _ = load.load(workspace.run_folder(config), data_dir=tmp_path)
    np.testing.assert_array_equal(model.sampler.lists, np.load(table))


@pytest.mark.slow
def test_saved_model_is_loaded_in_a_new_process(toy, toy_config, tmp_path):
    model, _, _ = build(dataclasses.replace(toy_config, sampler="srns"), toy)
    model.save(tmp_path / "model.keras")
    program = (
        "import numpy as np; from recns_tf.training.load import load_model; "
        "np.save('user.npy', load_model('model.keras').encoder.embeddings()[0])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    expected, _ = model.encoder.embeddings()
    np.testing.assert_allclose(np.load(tmp_path / "user.npy"), expected, rtol=1e-6)
