"""Benchmarks in LightGCN's format, clicks without exposures: train.txt and test.txt.

gowalla, yelp2018 and amazon-book are the benchmarks of NGCF and LightGCN: He et al., "LightGCN",
SIGIR 2020; https://github.com/gusye1234/LightGCN-PyTorch, folder data/NAME, and
https://github.com/kuandeng/LightGCN, folder Data/NAME. dens-toy is a split by time of Amazon's
reviews of toys, from Lai et al., "Disentangled Negative Sampling for Collaborative Filtering", WSDM
2023; https://github.com/Riwei-HEU/DENS, folder DENS/data/toy.

The files of gowalla and dens-toy are downloaded on first use and verified by their SHA-256; those
of the others are the user's. Existing files are used as they are, with a warning if they differ.
user_list.txt and item_list.txt, if they are there, give the original ids; see
formats/graph_files.py.

The files have no validation part, so a share of train becomes one (--valid_share=0 for none). Every
listed pair is a positive; there are no exposures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recns_tf.datasets.graph_folder import load_folder
from recns_tf.datasets.published_files import fetch
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

HOME = "https://github.com/gusye1234/LightGCN-PyTorch/tree/master/data"
RAW = "https://raw.githubusercontent.com"


class Published(NamedTuple):
    """Where the files of a dataset are published.

    Attributes:
        addresses: folders to download from. The first is the commit of the checksums; the second
            has the same files under another name.
        home: the page that shows the files.
        checksums: SHA-256 of each file, by name.
    """

    addresses: tuple[str, ...]
    home: str
    checksums: dict[str, str]


PUBLISHED = {
    "gowalla": Published(
        tuple(
            f"{RAW}/gusye1234/LightGCN-PyTorch/{commit}/data/gowalla"
            for commit in ("947ca2b", "master")
        ),
        "https://github.com/gusye1234/LightGCN-PyTorch/tree/947ca2b/data/gowalla",
        {
            "train.txt": "0f086326b28a56c2e6dcb81d86ee72d4ccb7eed3a8d26788392356d8f51111cc",
            "test.txt": "099a2a73924e4b754dc6efd730d764f492321b53c38eb93298850c83acf57be3",
        },
    ),
    "dens-toy": Published(
        tuple(
            f"{RAW}/Riwei-HEU/DENS/{commit}/DENS/data/toy"
            for commit in ("4c32d72", "4ae0ecd0d15155664c1e10134d7e5fe6e742e21e")
        ),
        "https://github.com/Riwei-HEU/DENS/tree/4c32d72/DENS/data/toy",
        {
            "train.txt": "886ffcd919c2d2182a99d7f8cf32e058591b9ec2dd73c62db31d527ba3965da0",
            "test.txt": "49f45b6bb8e98499d043d91a370a2bc7ac09083cb2f2327349730f739893bec0",
        },
    ),
}


def load(directory: Path, config: Config) -> Interactions:
    """Load the files of data/NAME.

    Args:
        directory: data/gowalla, data/yelp2018, data/amazon-book or data/dens-toy.
        config: uses `valid_share` and `split_seed`.

    Raises:
        UserError: a file is missing and cannot be downloaded, or is damaged.
    """
    name = directory.name
    if name in PUBLISHED:
        fetch(name, directory, *PUBLISHED[name])
    elif not all((directory / each).exists() for each in ("train.txt", "test.txt")):
        raise UserError(
            "put train.txt and test.txt (and, for the original ids, user_list.txt and "
            f"item_list.txt) of {HOME}/{name} into {directory}/."
        )
    return load_folder(name, directory, "lightgcn", directory, config)
