"""The dataset of a run: found by its checksum, and what is never done to get it."""

import dataclasses
import json

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.datasets import cache
from recns_tf.datasets.synthetic import generate
from recns_tf.errors import UserError
from recns_tf.runs import data
from tests.conftest import make_toy

TINY = Config(
    dataset="synthetic",
    synthetic_users=20,
    synthetic_items=30,
    synthetic_clicks=100,
    synthetic_exposures=50,
)


@pytest.fixture
def no_work(monkeypatch):
    """Fail when a dataset would be loaded, downloaded or generated."""

    def work(*arguments):
        raise AssertionError("this would take time, memory or a network")

    monkeypatch.setattr(datasets, "load", work)
    monkeypatch.setattr(generate, "generate", work)


def test_the_cache_with_the_checksum_is_read(tmp_path, no_work):
    """Whatever the other settings of the run, and among caches of other splits."""
    for seed in (0, 1, 2):
        cache.save(tmp_path / "shop" / f"interactions-{seed}.npz", make_toy(seed=seed))
    for seed in (0, 1, 2):
        toy = make_toy(seed=seed)
        found = data.load_data_of({"dataset": "shop", "split": "?"}, toy.checksum, tmp_path)
        np.testing.assert_array_equal(found.train.toarray(), toy.train.toarray())
    with pytest.raises(UserError, match=r"shop has no cache of the data that the run was trained"):
        data.load_data_of({"dataset": "shop"}, make_toy(seed=3).checksum, tmp_path)


def test_a_cache_that_lies_about_its_checksum_is_damaged(tmp_path):
    path, toy = tmp_path / "shop" / "interactions-0.npz", make_toy()
    cache.save(path, toy)
    with np.load(path) as file:
        arrays = dict(file)
    about = json.loads(str(arrays["about"])) | {"checksum": "wanted"}
    np.savez(path, **arrays | {"about": np.array(json.dumps(about))})
    with pytest.raises(UserError, match="its checksum does not match"):
        data.load_data_of({"dataset": "shop"}, "wanted", tmp_path)


@pytest.mark.parametrize("name", ["ml-100k", "zhihu", "gowalla", "mind", "shop", "synthetic-x"])
def test_a_dataset_without_a_folder_is_not_made(tmp_path, no_work, name):
    with pytest.raises(UserError, match=f"{name} is not there"):
        data.load_data_of({"dataset": name}, "a checksum", tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="has no cache"):
        data.load_data_of({"dataset": name}, "a checksum", tmp_path)
    assert not list((tmp_path / name).iterdir())


@pytest.mark.parametrize("name", ["..", ".", "../x", "x/../../x", "/tmp/x", "x/y"])
def test_a_name_with_a_path_is_none(tmp_path, no_work, name):
    toy = make_toy()
    for folder in (tmp_path, tmp_path / "x", tmp_path / "data" / "x" / "y"):
        cache.save(folder / "interactions-0.npz", toy)
    with pytest.raises(UserError, match="is not the name of a dataset"):
        data.load_data_of({"dataset": name}, toy.checksum, tmp_path / "data")


def test_a_small_synthetic_dataset_is_generated_and_not_written(tmp_path):
    wanted = datasets.load(TINY, tmp_path / "elsewhere")
    found = data.load_data_of(TINY.to_json(), wanted.checksum, tmp_path / "data")
    assert found.checksum == wanted.checksum and found.name == "synthetic"
    assert not (tmp_path / "data").exists()
    with pytest.raises(UserError, match="synthetic is not the data that the run was trained on"):
        other = dataclasses.replace(TINY, synthetic_seed=1)
        data.load_data_of(other.to_json(), wanted.checksum, tmp_path / "data")


@pytest.mark.parametrize(
    "changes",
    [
        {"synthetic_clicks": 600_000, "synthetic_exposures": 400_001},
        {"synthetic_clicks": 1_000_001},
        {"synthetic_items": 1_000_001},
        {"synthetic_users": 1_000_001, "synthetic_clicks": 1_000_001},
        {"synthetic_clicks": 200_000_000, "synthetic_users": 20_000},
        {"dataset": "synthetic-zhihu"},
        {"dataset": "synthetic-alibaba"},
    ],
)
def test_a_large_synthetic_dataset_is_not_generated(tmp_path, no_work, changes):
    sizes = {"synthetic_users": 20_000, "synthetic_items": 20_000, "synthetic_clicks": 20_000}
    settings = TINY.to_json() | sizes | changes
    with pytest.raises(UserError, match="more than 1,000,000 users, items or pairs"):
        data.load_data_of(settings, "a checksum", tmp_path)


def test_the_bound_is_generated(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "LARGEST", 150)
    wanted = datasets.load(TINY, tmp_path)
    found = data.load_data_of(TINY.to_json(), wanted.checksum, tmp_path / "data")
    assert found.checksum == wanted.checksum
    monkeypatch.setattr(data, "LARGEST", 149)
    with pytest.raises(UserError, match="more than 149 users"):
        data.load_data_of(TINY.to_json(), wanted.checksum, tmp_path / "data")
