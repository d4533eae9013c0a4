"""Which settings make a run's data, and the data that a run's settings describe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions

NAMES = (
    "dataset",
    "split",
    "split_seed",
    "valid_share",
    "layout",
    "positive_label",
    "synthetic_users",
    "synthetic_items",
    "synthetic_clicks",
    "synthetic_exposures",
    "synthetic_seed",
)
"""The settings that datasets look at."""


def data_settings(config: Config) -> dict[str, Any]:
    """Return those settings of `config` that make its data."""
    return {name: getattr(config, name) for name in NAMES}


def load_data_of(
    settings: Mapping[str, Any], checksum: str, data_dir: str | Path = "data"
) -> Interactions:
    """Return the data that a run with these settings was made from, without a download.

    Args:
        settings: of the run; those that its version did not know stand at their defaults.
        checksum: of the run's data.
        data_dir: folder of the datasets.

    Raises:
        UserError: the data are not there, cannot be read, or have changed since.
    """
    name = str(settings["dataset"])
    folder = Path(data_dir) / name
    if not folder.is_dir() and not name.startswith("synthetic"):
        raise UserError(f"{folder} is not there.")
    config = Config(**{key: settings[key] for key in NAMES if key in settings})
    interactions = datasets.load(config, data_dir)
    if interactions.checksum != checksum:
        raise UserError(f"{folder} holds other data now than those of the run.")
    return interactions
