"""The settings that determine a run's dataset, and loading the dataset of a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recns_tf import datasets
from recns_tf.config.config import Config, complete
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions

NAMES = (
    "dataset",
    "split",
    "split_seed",
    "valid_share",
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


def data_settings(config: Config) -> dict[str, Any]:
    """Return the settings of `config` that determine its dataset."""
    return {name: getattr(config, name) for name in NAMES}


def load_data_of(
    settings: Mapping[str, Any], checksum: str, data_dir: str | Path = "data"
) -> Interactions:
    """Load the dataset that a run was trained on, without downloading it.

    Args:
        settings: the run's settings; see `complete` for those that its version did not have.
        checksum: checksum of the run's dataset.
        data_dir: folder of the datasets.

    Raises:
        UserError: the dataset is missing, unreadable, or has changed since the run.
    """
    name = str(settings["dataset"])
    folder = Path(data_dir) / name
    if not folder.is_dir() and not name.startswith("synthetic"):
        raise UserError(f"{folder} is not there.")
    known = complete(settings)
    config = Config(**{name: known[name] for name in NAMES})
    interactions = datasets.load(config, data_dir)
    if interactions.checksum != checksum:
        raise UserError(f"{folder} holds other data than the run was trained on.")
    return interactions
