"""Formats of interaction logs, each read into Interactions. One file a source.

A dataset is a function `load(directory, config) -> Interactions` named in the catalogue;
`directory` is data/NAME, where it may keep what it downloads and caches.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf import catalog
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config import Config


def load(config: Config, data_dir: str | Path = "data") -> Interactions:
    """Return the dataset that the flags describe, downloaded, split and cached on first use.

    Args:
        config: all flags; a dataset takes what concerns it.
        data_dir: folder of all datasets; this one lives in its subfolder config.dataset.

    Raises:
        UserError: unknown name, no network, or a damaged download or cache.
    """
    entry = catalog.find(catalog.DATASETS, "dataset", config.dataset)
    interactions: Interactions = entry.load()(Path(data_dir) / config.dataset, config)
    return interactions
