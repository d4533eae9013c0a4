"""The paper's Alibaba data (§5.1): 434,442 users, 227,410 items; it was never published.

Whoever has it puts it into data/alibaba/pinsage or data/alibaba/lightgcn, in one of the two formats
in which the authors published Zhihu (graph_files.py).
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
    """Return the files of data/alibaba/LAYOUT as they are split.

    Args:
        directory: data/alibaba.
        config: of which `layout` counts, and where there is no validation part, `valid_share`
            and `split_seed`.

    Raises:
        UserError: a file is absent or damaged.
    """
    folder = directory / config.layout
    missing = [name for name in REQUIRED[config.layout] if not (folder / name).exists()]
    if missing:
        raise UserError(
            f"alibaba was never published: if you have it, put {', '.join(missing)} into "
            f"{folder}/, in the format of the authors' Zhihu files (or choose the other "
            "--layout); synthetic-alibaba is a stand-in of its size."
        )
    return load_folder("alibaba", folder, config.layout, directory, config)
