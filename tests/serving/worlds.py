"""Datasets whose models are exported, and runs with random embeddings."""

import dataclasses
from pathlib import Path

import numpy as np

from benchmarks.runs import write_run
from recns_tf.interactions import Interactions
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
    """Write a finished run with random embeddings, which contains its data, and return its path."""
    rng = np.random.default_rng(seed)
    shapes = (data.num_users, dim), (data.num_items, dim)
    write_run(path, data, *(rng.normal(size=shape).astype(np.float32) for shape in shapes))
    return path
