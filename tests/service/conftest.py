"""The run that the tests of the page and its lookups serve."""

import dataclasses

import pytest

from recns_tf.config.config import Workspace
from recns_tf.training.train import train_and_evaluate


@pytest.fixture(scope="session")
def served_run(toy, toy_config, tmp_path_factory):
    """The folder of a trained run, with its data."""
    config = dataclasses.replace(toy_config, encoder="lightgcn", sampler="unins", epochs=2)
    place = Workspace(runs_dir=str(tmp_path_factory.mktemp("runs")), run_name="toy")
    train_and_evaluate(config, place, toy, quiet=True, keep_data=True)
    return place.run_folder(config)
