"""Users and items with held-out positives but no train positive: training cannot learn them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from recns_tf.interactions import Interactions, degrees_of_items, users_with


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
    """Return the result of `cold_start` as a sentence about users and one about items."""
    valid, test = found["valid"], found["test"]
    return (
        f"{valid.users:,} users of valid and {test.users:,} of test have no train positive",
        f"{valid.items:,} items of valid (in {valid.pairs:,} pairs) and {test.items:,} of test "
        f"(in {test.pairs:,} pairs) have no train positive",
    )
