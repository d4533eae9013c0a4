"""How all items stand to one user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recns_tf.regions.of_user import NAMES

PARTS = ("train", "valid", "test", "exposed")


class Relation:
    """How all items stand to one user.

    Args:
        codes: the region of each item, as places in NAMES, [I].
        parts: the items of the user in each of PARTS, [n] each.
    """

    def __init__(self, codes: NDArray[np.int8], parts: Mapping[str, NDArray[np.int32]]):
        self.codes = codes
        self.parts = parts

    def __getitem__(self, part: str) -> NDArray[np.int32]:
        return self.parts[part]

    def sizes(self) -> dict[str, int]:
        """Return the number of items in each region; that of `BETWEEN` only if there are any."""
        counts = np.bincount(self.codes, minlength=len(NAMES)).tolist()
        return {name: n for name, n in zip(NAMES, counts, strict=True) if n or name != NAMES[-1]}

    def in_region(self, name: str) -> NDArray[np.bool_]:
        """Return which items are in a region: bool [I]."""
        return np.asarray(self.codes == NAMES.index(name))

    def any_of(self, *parts: str) -> NDArray[np.bool_]:
        """Return which items are in one of some parts: bool [I]."""
        members = np.zeros(len(self.codes), dtype=bool)
        for part in parts:
            members[self.parts[part]] = True
        return members

    def marks(self, item: int) -> list[str]:
        """Return the parts that an item is in."""
        return [part for part, items in self.parts.items() if item in items]


def share_of(hits: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the share of draws that are hits, and its standard error.

    The k negatives of a row may depend on each other; rows are independent.

    Args:
        hits: bool [n, k].
    """
    shares = hits.mean(axis=1)
    return {"share": float(shares.mean()), "error": float(shares.std() / np.sqrt(len(shares)))}
