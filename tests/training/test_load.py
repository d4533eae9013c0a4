import dataclasses

import numpy as np
import pytest

from recns_tf.config.config import Workspace
from recns_tf.errors import UserError
from recns_tf.training import load
from recns_tf.training.train import train_and_evaluate
from tests.conftest import make_toy


def test_a_run_is_loaded_as_it_was_tested(toy, toy_config, tmp_path):
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


def test_other_data_and_other_folders_are_refused(toy, toy_config, tmp_path):
    workspace = Workspace(runs_dir=str(tmp_path))
    train_and_evaluate(dataclasses.replace(toy_config, epochs=1), workspace, toy)
    folder = workspace.run_folder(toy_config)
    with pytest.raises(UserError, match="was trained on other data than toy"):
        load.load(folder, interactions=make_toy(seed=1))
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        load.load(tmp_path / "nothing", interactions=toy)
