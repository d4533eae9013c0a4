"""Run folders with given embeddings, without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recns_tf.config.config import Config
from recns_tf.datasets import cache
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.files import write_json


def write_run(
    path: Path, data: Interactions, users: NDArray[np.float32], items: NDArray[np.float32]
) -> None:
    """Write a finished run that contains its data, without a manifest, as early versions did.

    Args:
        path: the folder, which must not exist.
        data: the dataset.
        users, items: embeddings, float32 [U, d] and [I, d].
    """
    run = RunFolder(path)
    run.embeddings.mkdir(parents=True)
    for name, table in (("user", users), ("item", items)):
        np.save(run.embeddings / f"{name}.npy", table)
    config = Config(dataset=data.name, encoder="mf", dim=users.shape[1]).to_json()
    write_json(run.config, config | {"data_checksum": data.checksum})
    cache.save(run.interactions, data)
    about = {"dataset": data.name, "encoder": "mf", "sampler": "recns", "seed": 0}
    about |= {"best_epoch": 1, "seconds_per_epoch": 1.0, "valid": {}, "test": {}}
    write_json(run.results, about | {"config": config, "data": {"checksum": data.checksum}})
