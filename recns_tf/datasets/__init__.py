"""Formats of interaction logs, each read into Interactions. One file a source.

A dataset is a function `load(directory, config) -> Interactions` named in the catalogue;
`directory` is data/NAME, where it may keep what it downloads and caches. Besides those of the
catalogue there are the logs that `./run.sh prepare` left under data/.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf import registry
from recns_tf.datasets import prepared
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.program import program

if TYPE_CHECKING:
    from recns_tf.config.config import Config


def require(name: str, data_dir: str | Path = "data") -> None:
    """Raise UserError if no dataset is called `name`; the sentence lists those that exist."""
    if name in registry.DATASETS or prepared.is_prepared(Path(data_dir) / name):
        return
    if name in registry.ENCODERS:
        raise UserError(f"'{name}' is an encoder: write DATASET first, then ENCODER.")
    own = registry.prepared_names(data_dir)
    known = [*registry.DATASETS, *own]
    raise UserError(
        f"unknown dataset '{name}': choose one of {', '.join(known)}, or make one from your own "
        f"log: {program()} prepare {name} --input=FILE …"
        f"{registry.suggestion(name, [*known, *registry.COMMANDS])}"
    )


def load(config: Config, data_dir: str | Path = "data") -> Interactions:
    """Return the dataset that the flags describe, downloaded, split and cached on first use.

    Args:
        config: all flags; a dataset takes what concerns it.
        data_dir: folder of all datasets; this one lives in its subfolder config.dataset.

    Raises:
        UserError: unknown name, no network, or a damaged download or cache.
    """
    require(config.dataset, data_dir)
    directory = Path(data_dir) / config.dataset
    entry = registry.DATASETS.get(config.dataset)
    interactions: Interactions = (entry.load() if entry else prepared.load)(directory, config)
    return interactions
