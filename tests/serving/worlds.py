"""Datasets whose models are exported, and runs with random embeddings."""

import dataclasses
from pathlib import Path

import numpy as np

from recns_tf.config.config import Config
from recns_tf.datasets import cache
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.files import write_json
from tests.conftest import make_toy


def with_text_ids(data: Interactions) -> Interactions:
    """Return a dataset with ids of text, some outside ASCII, in place of the items' integers."""
    return dataclasses.replace(data, item_ids=np.array([f"tv é{n}" for n in data.item_ids]))


def with_integer_ids(data: Interactions) -> Interactions:
    """Return a dataset with integers, some negative, in place of the users' ids."""
    return dataclasses.replace(data, user_ids=np.arange(data.num_users) * 10**17 - 7)


def crowded() -> Interactions:
    """Return a dataset of few items, in which users have seen all or nearly all of them."""
    return make_toy(num_users=12, num_items=9, density=0.9, seed=3)


def made_up_run(path: Path, data: Interactions, seed: int = 0, dim: int = 6) -> Path:
    """Write a finished run with random embeddings, as an early version did: without a manifest.

    The data are in the run's folder.
    """
    rng = np.random.default_rng(seed)
    run = RunFolder(path)
    run.embeddings.mkdir(parents=True)
    for name, rows in (("user", data.num_users), ("item", data.num_items)):
        np.save(run.embeddings / f"{name}.npy", rng.normal(size=(rows, dim)).astype(np.float32))
    config = Config(dataset=data.name, encoder="mf", dim=dim).to_json()
    write_json(run.config, config | {"data_checksum": data.checksum})
    cache.save(run.interactions, data)
    results = {"dataset": data.name, "encoder": "mf", "sampler": "recns", "best_epoch": 1}
    results |= {"valid": {}, "test": {}, "config": config, "data": {"checksum": data.checksum}}
    write_json(run.results, results | {"seed": 0, "seconds_per_epoch": 1.0})
    return path
