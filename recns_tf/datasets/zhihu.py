"""The authors' Zhihu data (§5.1): 16,015 users, 44,175 items, clicks and exposures.

Source: https://github.com/zyang-16/RecNS, in two formats (see formats/graph_files.py) with the same
clicks. A clicked item is a positive; an item shown but not clicked is an exposure. The format of
PinSage (the default) has a validation part, that of LightGCN has none. Files are downloaded on
first use and verified by the SHA-1 of their git blobs. Existing files are used as they are, with a
warning if they differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.datasets.graph_folder import load_folder
from recns_tf.datasets.published_files import fetch
from recns_tf.interactions import Interactions
from recns_tf.utils.files import git_blob_sha1

if TYPE_CHECKING:
    from recns_tf.config.config import Config

HOME = "https://github.com/zyang-16/RecNS/tree/4845d02"
SIZES = (16_015, 44_175)
REPOSITORIES = tuple(
    f"https://raw.githubusercontent.com/zyang-16/RecNS/{commit}"
    # The commit of the checksums, and an earlier one by its full name.
    for commit in ("4845d02", "33896b6364ef60561a72551bf1aed9240a46bb52")
)
BLOBS = {
    "lightgcn": (
        "lightgcn/Data/zhihu",
        {
            "train.txt": "2282d2180894a43ed73f4587817bb24c3a528124",
            "test.txt": "26b8d093c76792ba32e8970a5e7c6a7e4b35914e",
            "train_exposed.txt": "5b8159bf5135471c9e888061bc26e8747c1439da",
        },
    ),
    "pinsage": (
        "pinsage/data/zhihu",
        {
            "train.txt": "aa1b983be9d9105953ce98e99571b58347d47f58",
            "valid.txt": "edc25d82f729151a2ae063b8a385ba830418fc59",
            "test.txt": "737cdf918163c68358c57e9012b8426e006662b2",
        },
    ),
}


def load(directory: Path, config: Config) -> Interactions:
    """Load Zhihu with the authors' split.

    Args:
        directory: data/zhihu; the files are in its subfolder config.layout.
        config: uses `layout`, and `valid_share` and `split_seed` for the layout "lightgcn", which
            has no validation part.

    Raises:
        UserError: a file is missing and cannot be downloaded, or is damaged.
    """
    folder = directory / config.layout
    path_there, blobs = BLOBS[config.layout]
    fetch(
        "zhihu",
        folder,
        [f"{repository}/{path_there}" for repository in REPOSITORIES],
        f"{HOME}/{path_there}",
        blobs,
        git_blob_sha1,
    )
    return load_folder("zhihu", folder, config.layout, directory, config, SIZES)
