"""Datasets: one module per source, each loaded as Interactions.

A dataset is a function `load(directory, config) -> Interactions` in the registry; `directory` is
data/NAME, where it keeps downloads and caches. Logs that `./run.sh prepare` stored under data/ are
datasets, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf import registry
from recns_tf.datasets import prepared
from recns_tf.datasets.cache import cached
from recns_tf.datasets.derived import changes, derive
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.program import program

if TYPE_CHECKING:
    from recns_tf.config.config import Config


def require(name: str, data_dir: str | Path = "data") -> None:
    """Raise UserError if there is no dataset `name`; the message lists the available ones."""
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
    """Load a dataset; on first use it is downloaded, split and cached.

    Args:
        config: all settings; each dataset uses some of them.
        data_dir: folder of all datasets; this one is in its subfolder config.dataset.

    Raises:
        UserError: unknown name, no network, or a damaged download or cache.

    Example:
        >>> data = datasets.load(Config(dataset="ml-100k"))
    """
    require(config.dataset, data_dir)
    directory = Path(data_dir) / config.dataset
    entry = registry.DATASETS.get(config.dataset)
    interactions: Interactions = (entry.load() if entry else prepared.load)(directory, config)
    chosen = changes(config)
    if not chosen:
        return interactions
    source = {"checksum": interactions.checksum, "seed": config.split_seed, **chosen}
    return cached(directory, source, lambda: derive(interactions, config))
