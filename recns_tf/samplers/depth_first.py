"""The first items that a depth-first search from each item visits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.utils.compiled import compiled
from recns_tf.utils.parallel import over_rows, row_cuts

NO_ITEM = -1


def depth_first_lists(
    train: csr_array, length: int, seed: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the first items that a depth-first search visits after its start, for each start.

    All searches visit the neighbors of a node in the same random order.

    Args:
        train: boolean CSR array [U, I].
        length: L, items per list.
        seed: of that order.

    Returns:
        The lists, int32 [I, L], padded with NO_ITEM, and their lengths, int32 [I].
    """
    rng = np.random.default_rng(seed)
    items_of, users_of = (shuffle_rows(rows, rng) for rows in (train, train.T.tocsr()))
    lists = np.full((train.shape[1], length), NO_ITEM, np.int32)
    counts = np.zeros(train.shape[1], np.int32)
    over_rows(search, row_cuts(train.shape[1]), *items_of, *users_of, lists, counts)
    return lists, counts


def shuffle_rows(
    rows: csr_array, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Return where rows start, and their nonzeros, each row in random order."""
    starts = rows.indptr.astype(np.int64)
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(starts))
    order = np.lexsort((rng.random(rows.nnz), owner))
    return starts, rows.indices[order].astype(np.int32)


@compiled()
def search(  # type: ignore[no-untyped-def]
    user_starts, items_of, item_starts, users_of, lists, counts, first, last
):
    """Fill the lists of the items from `first` to `last`."""
    num_users, num_items = len(user_starts) - 1, len(item_starts) - 1
    # Marks hold the number of the search, so that they need not be cleared between searches.
    seen_user = np.full(num_users, -1, np.int32)
    seen_item = np.full(num_items, -1, np.int32)
    stack = np.empty(num_users + num_items, np.int32)
    places = np.empty(num_users + num_items, np.int64)
    for start in range(first, last):
        seen_item[start] = start
        stack[0], places[0] = start, item_starts[start]
        depth = 1
        # Items are at even depths of the stack, users at odd ones.
        while depth and counts[start] < lists.shape[1]:
            node, place = stack[depth - 1], places[depth - 1]
            at_item = depth % 2 == 1
            end = item_starts[node + 1] if at_item else user_starts[node + 1]
            found = -1
            while place < end and found < 0:
                other = users_of[place] if at_item else items_of[place]
                place += 1
                if at_item and seen_user[other] != start:
                    seen_user[other] = start
                    found = other
                elif not at_item and seen_item[other] != start:
                    seen_item[other] = start
                    found = other
                    lists[start, counts[start]] = other
                    counts[start] += 1
            places[depth - 1] = place
            if found < 0:
                depth -= 1
            else:
                begin = user_starts[found] if at_item else item_starts[found]
                stack[depth], places[depth] = found, begin
                depth += 1
