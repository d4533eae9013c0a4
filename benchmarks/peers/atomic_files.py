"""Write a dataset as RecBole's atomic files, with a file for each part.

https://recbole.io/docs/user_guide/data/atomic_files.html: tab-separated, with the name and the type
of each column in the first line. Users and items are written as their numbers, since RecBole reads
some texts, such as NA, as missing values. The .user and .item files make RecBole know the users and
items without positives, which are also negatives here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recns_tf.interactions import Interactions, to_pairs

PARTS = ("train", "valid", "test")
PREFIX = "recns-"
"""RecBole replaces the folder of a dataset with the name ml-100k by one of its own."""


def write(interactions: Interactions, folder: Path) -> str:
    """Write a dataset, and return the name that RecBole finds it by.

    Args:
        interactions: the dataset.
        folder: the folder around that of the dataset.
    """
    name = f"{PREFIX}{interactions.name}"
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        pairs = to_pairs(getattr(interactions, part))
        header = "user_id:token\titem_id:token"
        np.savetxt(place / f"{name}.{part}.inter", pairs, "%d", "\t", header=header, comments="")
    for kind, number in (("user", interactions.num_users), ("item", interactions.num_items)):
        header = f"{kind}_id:token"
        np.savetxt(place / f"{name}.{kind}", np.arange(number), "%d", header=header, comments="")
    return name
