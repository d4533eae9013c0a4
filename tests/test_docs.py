"""The programs that the documentation shows."""

import dataclasses
import functools
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from recns_tf import registry
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.training import load
from recns_tf.training.train import train_and_evaluate

ROOT = Path(__file__).resolve().parent.parent


def program(name):
    """Return the one Python program of a page."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return code


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_sampler_of_one_s_own_trains(place, toy, toy_config):
    (place / "nearest.py").write_text(program("samplers.md"), encoding="utf-8")
    config = dataclasses.replace(toy_config, sampler="nearest:Nearest")
    workspace = Workspace(runs_dir="runs")
    results = train_and_evaluate(config, workspace, toy)
    assert workspace.run_folder(config).name == "ml-100k-lightgcn-nearest.Nearest"
    assert results["sampler"] == "nearest:Nearest" and results["epochs_run"] == 3
    model, _ = load.load(workspace.run_folder(config), interactions=toy)
    assert type(model.sampler).__name__ == "Nearest"


def test_new_users_get_recommendations(place, toy, toy_config, monkeypatch, capsys):
    config = dataclasses.replace(toy_config, encoder="pinsage", epochs=1)
    train_and_evaluate(config, Workspace(), toy)
    monkeypatch.setattr(load, "load", functools.partial(load.load, interactions=toy))
    (place / "new_user.py").write_text(program("encoders.md"), encoding="utf-8")
    capsys.readouterr()
    found = runpy.run_path("new_user.py")
    assert found["top"].shape == (1, 10) and not set(found["top"][0]) & {3, 9, 17}
    assert str(toy.item_ids[found["top"][0, 0]]) in capsys.readouterr().out
    assert np.isfinite(found["user"]).all()


def test_a_part_of_one_s_own_that_cannot_be_loaded_is_told():
    for name in ("no_module:Thing", "recns_tf.samplers.unins:Nothing", ":", "a b:c"):
        with pytest.raises(UserError, match="cannot be loaded"):
            registry.find(registry.SAMPLERS, "sampler", name)
    with pytest.raises(UserError, match="or module:object of your own"):
        Config(sampler="nothing")


def test_every_sampler_and_encoder_stands_in_its_page():
    for page, entries in (("samplers.md", registry.SAMPLERS), ("encoders.md", registry.ENCODERS)):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for name in entries:
            assert f"\n| `{name}` |" in text, name
