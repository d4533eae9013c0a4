"""gowalla, yelp2018 and amazon-book: the benchmarks of NGCF and LightGCN, clicks without exposures.

Source: He et al., "LightGCN", SIGIR 2020; https://github.com/gusye1234/LightGCN-PyTorch, folder
data/NAME, and https://github.com/kuandeng/LightGCN, folder Data/NAME: train.txt and test.txt,
user_list.txt and item_list.txt, in LightGCN's format (formats/graph_files.py). They have no
validation part, so a share of train becomes one (--valid_share=0 for none). Every listed pair is a
positive; there are no exposures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.datasets.graph_folder import load_folder
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

HOME = "https://github.com/gusye1234/LightGCN-PyTorch/tree/master/data"


def load(directory: Path, config: Config) -> Interactions:
    """Load the files of data/NAME.

    Args:
        directory: data/gowalla, data/yelp2018 or data/amazon-book.
        config: uses `valid_share` and `split_seed`.

    Raises:
        UserError: a file is missing or damaged.
    """
    name = directory.name
    if not all((directory / each).exists() for each in ("train.txt", "test.txt")):
        raise UserError(
            "put train.txt and test.txt (and, for the original ids, user_list.txt and "
            f"item_list.txt) of {HOME}/{name} into {directory}/."
        )
    return load_folder(name, directory, "lightgcn", directory, config)
