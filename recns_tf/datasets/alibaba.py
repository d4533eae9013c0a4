"""The paper's Alibaba data (§5.1): 434,442 users, 227,410 items; it was never published.

If you have it, put it into data/alibaba/pinsage or data/alibaba/lightgcn, in one of the two formats
in which the authors published Zhihu (formats/graph_files.py). A clicked item is a positive; an item
shown but not clicked is an exposure.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.datasets.graph_folder import load_folder
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

REQUIRED = {
    "lightgcn": ("train.txt", "test.txt"),
    "pinsage": ("train.txt", "valid.txt", "test.txt"),
}


def load(directory: Path, config: Config) -> Interactions:
    """Load data/alibaba/LAYOUT with the split of its files.

    Args:
        directory: data/alibaba.
        config: uses `layout`, and `valid_share` and `split_seed` if there is no validation part.

    Raises:
        UserError: a file is missing or damaged.
    """
    folder = directory / config.layout
    missing = [name for name in REQUIRED[config.layout] if not (folder / name).exists()]
    if missing:
        raise UserError(
            f"alibaba was never published: if you have it, put {', '.join(missing)} into "
            f"{folder}/, in the format of the authors' Zhihu files (or choose the other "
            "--layout). synthetic-alibaba is a synthetic dataset of the same size."
        )
    return load_folder("alibaba", folder, config.layout, directory, config)
