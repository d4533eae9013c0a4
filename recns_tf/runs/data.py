"""The settings that determine a run's dataset, and loading the dataset of a finished run.

A run may be somebody else's. Its dataset is therefore only read from the run's folder or a cache,
or generated if it is synthetic and small: nothing is downloaded, imported or written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recns_tf.config.config import Config, complete
from recns_tf.config.flags import A_FOLDER_NAME
from recns_tf.datasets import cache
from recns_tf.datasets.derived import derive
from recns_tf.datasets.synthetic.generate import PRESETS, interactions_of, shape_of
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.runs.files import ANEW
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.damage import reading

NAMES = (
    "dataset",
    "split",
    "split_seed",
    "valid_share",
    "train_share",
    "test_exposed_share",
    "layout",
    "positive_label",
    "history",
    "synthetic_users",
    "synthetic_items",
    "synthetic_clicks",
    "synthetic_exposures",
    "synthetic_seed",
)
"""The settings that dataset loaders read."""

SYNTHETIC = ("synthetic", *(f"synthetic-{preset}" for preset in PRESETS))
"""The synthetic datasets."""

LARGEST = 1_000_000
"""The most users, items or pairs of a synthetic dataset that is generated again."""


def data_settings(config: Config) -> dict[str, Any]:
    """Return the settings of `config` that determine its dataset."""
    return {name: getattr(config, name) for name in NAMES}


def data_of_run(run: RunFolder, data_dir: str | Path = "data") -> Interactions:
    """Return the dataset that a run was trained on; see `load_data_of`."""
    settings = run.read_config()
    with reading(run.config, ANEW):
        checksum = str(settings["data_checksum"])
    return load_data_of(settings, checksum, data_dir, run)


def load_data_of(
    settings: Mapping[str, Any],
    checksum: str,
    data_dir: str | Path = "data",
    run: RunFolder | None = None,
) -> Interactions:
    """Return the dataset that a run was trained on, from its folder, a cache, or generated.

    Args:
        settings: the run's settings; see `complete` for those that its version did not have.
        checksum: checksum of the run's dataset.
        data_dir: folder of the datasets.
        run: the run's folder, which holds the dataset if that was made in memory.

    Raises:
        UserError: the dataset is neither in the run's folder nor in that of the datasets, and it is
            not a small synthetic one; or a file is damaged or was changed.
    """
    if run and run.interactions.exists():
        run.manifest.verify(run.interactions)
        with reading(run.interactions, ANEW):
            interactions = cache.read(run.interactions)
            if interactions.checksum != checksum:
                raise ValueError("it is not the data of this run")
        return interactions
    name = str(settings["dataset"])
    if not A_FOLDER_NAME.holds(name):
        raise UserError(f"'{name}' is not the name of a dataset.")
    folder = Path(data_dir) / name
    path = cache.find(folder, checksum)
    if path is not None:
        return cache.read(path)
    if name in SYNTHETIC:
        return generated(settings, checksum)
    if not folder.is_dir():
        raise UserError(f"{folder} is not there.")
    raise UserError(
        f"{folder} has no cache of the data that the run was trained on; to train on them or to "
        "describe them makes one."
    )


def generated(settings: Mapping[str, Any], checksum: str) -> Interactions:
    """Return the synthetic dataset of a run, without a cache.

    Raises:
        UserError: it is too large, or has another checksum.
    """
    known = complete(settings)
    config = Config(**{name: known[name] for name in NAMES})
    users, items, clicks, exposures = dataclasses.astuple(shape_of(config))
    if max(users, items, clicks + exposures) > LARGEST:
        raise UserError(
            f"{config.dataset} has no cache of the data that the run was trained on, and more than "
            f"{LARGEST:,} users, items or pairs are not generated again."
        )
    interactions = derive(interactions_of(config), config)
    if interactions.checksum != checksum:
        raise UserError(f"{config.dataset} is not the data that the run was trained on.")
    return interactions
