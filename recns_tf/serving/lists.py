"""Lists of items or users: their lengths, the parts they are computed in, and their columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recns_tf.errors import UserError
from recns_tf.evaluation.scored_lists import Table
from recns_tf.utils.text import shown

Columns = dict[str, NDArray[Any]]
"""The columns of a frame, [n] each, by name."""

LISTED_AT_ONCE = 1 << 18
"""Items of lists that are in memory together."""


def require_k(k: Any, most: int, what: str) -> None:
    """Raise UserError unless k is a whole number from 1 to `most`.

    Args:
        k: length of the lists.
        most: how many there are to choose from.
        what: what they are, for the message.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= most:
        raise UserError(f"k={shown(k)}: choose a whole number from 1 to {most}, the {what}.")


def in_parts(rows: NDArray[np.int64], k: int) -> Iterator[NDArray[np.int64]]:
    """Yield the elements of `rows`, int64 [n], in parts whose lists of k items fit in memory.

    Without rows, one part is empty.
    """
    size = max(LISTED_AT_ONCE // k, 1)
    for start in range(0, max(len(rows), 1), size):
        yield rows[start : start + size]


def unit_rows(table: Table) -> Table:
    """Return embeddings scaled to length 1; those of length 0 stay 0."""
    lengths = np.linalg.norm(table.astype(np.float64), axis=1, keepdims=True)
    return (table / np.where(lengths > 0, lengths, 1)).astype(np.float32)
