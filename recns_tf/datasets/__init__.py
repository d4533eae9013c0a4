"""Formats of interaction logs, each read into Interactions. One file a source.

A dataset is a function `load(directory, split_seed) -> Interactions` named in the catalogue;
`directory` is data/NAME, where it may keep what it downloads and caches.
"""

from __future__ import annotations

from pathlib import Path

from recns_tf import catalog
from recns_tf.interactions import Interactions


def load(name: str, data_dir: str | Path = "data", split_seed: int = 0) -> Interactions:
    """Return the dataset called `name`, downloaded, split and cached on first use.

    Args:
        name: a name of the catalogue.
        data_dir: folder of all datasets; this one lives in its subfolder `name`.
        split_seed: seed of a random split into train, valid and test.

    Raises:
        UserError: unknown name, no network, or a damaged download or cache.
    """
    entry = catalog.find(catalog.DATASETS, "dataset", name)
    interactions: Interactions = entry.load()(Path(data_dir) / name, split_seed)
    return interactions
