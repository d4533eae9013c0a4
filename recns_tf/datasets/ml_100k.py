"""MovieLens 100k: 943 users, 1,682 films, 100,000 ratings from 1 to 5.

A rating of 4 or 5 is a positive; 1 to 3 is an exposure, an item seen but not liked.

Source: F. M. Harper and J. A. Konstan, "The MovieLens Datasets", ACM TiiS 2015;
https://grouplens.org/datasets/movielens/100k/. Its terms allow use for research and forbid
redistribution, so the ratings are downloaded at run time: from GroupLens or, if it is unreachable,
from the wheel recbole 1.2.1 on PyPI, which contains the same 100,000 lines below a header. In both
cases the lines are verified by the SHA-256 of GroupLens' u.data.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recns_tf.datasets.cache import cached
from recns_tf.datasets.download import DownloadError, download
from recns_tf.datasets.preprocessing.log import Log, to_interactions
from recns_tf.datasets.preprocessing.rules import split_rules
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.files import atomic_alone, sha256

if TYPE_CHECKING:
    from recns_tf.config.config import Config

URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
URL_SHA256 = "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"
ZIP_MEMBER = "ml-100k/u.data"

WHEEL = "recbole==1.2.1"
WHEEL_MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"

RATINGS_SHA256 = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
POSITIVE_FROM = 4


def load(directory: Path, config: Config) -> Interactions:
    """Load ml-100k, split 80/10/10 per user.

    Args:
        directory: data/ml-100k, with u.data and the cache.
        config: uses `split` and `split_seed`.

    Raises:
        UserError: both sources are unreachable, or a file in `directory` is damaged.
    """
    ratings = fetch(directory)
    rules = split_rules(config)
    source = {"log_sha256": sha256(ratings)} | asdict(rules)
    return cached(
        directory, source, lambda: to_interactions(read(ratings), "ml-100k", rules, source)[0]
    )


def fetch(directory: Path) -> Path:
    """Return the path of u.data, after downloading it if it is missing.

    Raises:
        UserError: both sources are unreachable, or the existing file is not u.data.
    """
    path = directory / "u.data"
    if not path.exists():
        try:
            content = download_from_grouplens()
        except DownloadError as official:
            print(f"{official}; trying the wheel {WHEEL} on PyPI instead.", file=sys.stderr)
            try:
                content = download_from_pypi()
            except DownloadError as wheel:
                raise UserError(
                    f"ml-100k cannot be downloaded: {official}, and {wheel}. With a network, run "
                    f"again; without one, put u.data of {URL} at {path}."
                ) from wheel
        if hashlib.sha256(content).hexdigest() != RATINGS_SHA256:
            raise UserError("the downloaded ml-100k ratings are damaged: run again to retry.")
        with atomic_alone(path, path.name) as temporary:
            temporary.write_bytes(content)
    elif sha256(path) != RATINGS_SHA256:
        raise UserError(f"{path} is not GroupLens' u.data: delete it and run again to download it.")
    return path


def download_from_grouplens() -> bytes:
    """Return the bytes of u.data from GroupLens.

    Raises:
        DownloadError: GroupLens is unreachable, or the file is damaged.
    """
    with tempfile.TemporaryDirectory() as folder:
        archive = download(URL, Path(folder) / "ml-100k.zip", URL_SHA256)
        with zipfile.ZipFile(archive) as file:
            return file.read(ZIP_MEMBER)


def download_from_pypi() -> bytes:
    """Return the bytes of u.data from the wheel on PyPI, downloaded by pip with its settings.

    Raises:
        DownloadError: pip cannot download the wheel.
    """
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        done = subprocess.run([*pip, WHEEL], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise DownloadError(f"pip could not download {WHEEL} ({last[0]})")
        with zipfile.ZipFile(wheels[0]) as file:
            _header, _, lines = file.read(WHEEL_MEMBER).partition(b"\n")
            return lines


def read(ratings: Path) -> Log:
    """Read u.data, with lines `user<TAB>item<TAB>rating<TAB>timestamp`."""
    users, items, stars, times = np.loadtxt(ratings, dtype=np.int64, delimiter="\t").T
    user_ids, user_places = np.unique(users, return_inverse=True)
    item_ids, item_places = np.unique(items, return_inverse=True)
    return Log(user_places, item_places, stars >= POSITIVE_FROM, times, user_ids, item_ids)
