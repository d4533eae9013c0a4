"""Compiled loops that choose a user's items: of lists that were searched, or of a row of scores.

They stand in one file for the reason that kernels.py tells, and let go of Python's lock.
"""

from __future__ import annotations

import numpy as np
from numba import njit

COLUMNS = 64
"""How many scores are compared with the worst of the list before one of them is looked at."""


@njit(nogil=True, cache=True)
def keep_unseen(starts, indices, rows, found, top, used):  # type: ignore[no-untyped-def]
    """Copy the first unseen items of each list that was searched.

    Args:
        starts, indices: CSR rows of the items seen.
        rows: [n], the row of each list.
        found: int64 [n, depth], best first; below 0 is no item.
        top: int64 [any, k], of which rows[0], … are filled from the left.
        used: int64 [n], set to how many places were looked at until k were kept, or to depth + 1
            where there were not k.
    """
    marked = np.zeros(found.max() + 1 if found.size else 0, dtype=np.bool_)
    for place in range(len(rows)):
        row = rows[place]
        for seen in indices[starts[row] : starts[row + 1]]:
            if seen < len(marked):
                marked[seen] = True
        kept = 0
        used[place] = found.shape[1] + 1
        for column in range(found.shape[1]):
            item = found[place, column]
            if item >= 0 and not marked[item]:
                top[row, kept] = item
                kept += 1
                if kept == top.shape[1]:
                    used[place] = column + 1
                    break
        for seen in indices[starts[row] : starts[row + 1]]:
            if seen < len(marked):
                marked[seen] = False


@njit(nogil=True, cache=True)
def best_unseen(starts, indices, scores, first, top):  # type: ignore[no-untyped-def]
    """Write the unseen items with the largest scores, best first; of equals the lowest number.

    Two stages: a block of columns is compared with the worst score of a full list, which the
    processor does many columns at a time, and only the few blocks that hold a larger one are gone
    through item by item. Seen items need no mask: few of them get so far as to be asked about.

    Args:
        starts, indices: CSR rows of the items seen.
        scores: float32 [n, num_items].
        first: the row that scores[0] belongs to.
        top: int64 [any, k], of which n rows from `first` on are filled from the left.
    """
    num_items, k = scores.shape[1], top.shape[1]
    marked = np.zeros(num_items, dtype=np.bool_)
    best = np.empty(k, dtype=np.float32)
    for place in range(len(scores)):
        row = first + place
        for seen in indices[starts[row] : starts[row + 1]]:
            marked[seen] = True
        kept, worst = 0, np.float32(-np.inf)
        for start in range(0, num_items, COLUMNS):
            end = min(start + COLUMNS, num_items)
            better = False
            for item in range(start, end):
                better |= scores[place, item] > worst
            if not better:
                continue
            for item in range(start, end):
                score = scores[place, item]
                if not score > worst or marked[item]:
                    continue
                rank = min(kept, k - 1)
                while rank > 0 and best[rank - 1] < score:
                    best[rank], top[row, rank] = best[rank - 1], top[row, rank - 1]
                    rank -= 1
                best[rank], top[row, rank] = score, item
                kept = min(kept + 1, k)
                if kept == k:
                    worst = best[k - 1]
        for seen in indices[starts[row] : starts[row + 1]]:
            marked[seen] = False
