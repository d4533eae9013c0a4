"""Users and items with held-out positives but no train positive: training cannot learn them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recns_tf.interactions import Interactions, degrees_of_items, users_with
from recns_tf.utils.files import atomic
from recns_tf.utils.text import count

FILE = "cold_start.csv"
"""Name of the file in a prepared dataset's folder that lists its cold users and items."""


class ColdStart(NamedTuple):
    """The users and items of a part that have no train positive.

    Attributes:
        users: number of users with a positive in the part and none in train.
        items: number of items with a positive in the part and none in train.
        pairs: number of the part's positives with such an item.
    """

    users: int
    items: int
    pairs: int


def cold_start(interactions: Interactions) -> dict[str, ColdStart]:
    """Return the cold users and items of "valid" and of "test"."""
    cold_user = np.diff(interactions.train.indptr) == 0
    cold_item = degrees_of_items(interactions.train) == 0
    found = {}
    for part in ("valid", "test"):
        rows = getattr(interactions, part)
        degrees = degrees_of_items(rows)[cold_item]
        found[part] = ColdStart(
            users=int(cold_user[users_with(rows)].sum()),
            items=int((degrees > 0).sum()),
            pairs=int(degrees.sum()),
        )
    return found


def sentences(found: Mapping[str, ColdStart]) -> tuple[str, str]:
    """Return the result of `cold_start` as a line about users and one about items."""
    valid, test = found["valid"], found["test"]
    return (
        f"users without a train positive: {valid.users:,} of valid, {test.users:,} of test",
        f"items without a train positive: {valid.items:,} of valid ({count(valid.pairs, 'pair')}), "
        f"{test.items:,} of test ({count(test.pairs, 'pair')})",
    )


def write_cold_start(interactions: Interactions, path: Path) -> bool:
    """Write the cold users and items to a CSV file, if there are any.

    It has the columns kind ("user" or "item"), id, and the number of positives in valid and test.

    Args:
        interactions: the dataset.
        path: the file.

    Returns:
        Whether there are any.
    """
    rows: list[tuple[str, object, int, int]] = []
    for axis, kind, ids in ((1, "user", interactions.user_ids), (0, "item", interactions.item_ids)):
        train, valid, test = (
            np.asarray(getattr(interactions, part).sum(axis=axis)).ravel()
            for part in ("train", "valid", "test")
        )
        cold = np.flatnonzero((train == 0) & (valid + test > 0))
        rows += [(kind, ids[place], int(valid[place]), int(test[place])) for place in cold]
    if rows:
        with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("kind", "id", "valid", "test"))
            writer.writerows(rows)
    return bool(rows)
