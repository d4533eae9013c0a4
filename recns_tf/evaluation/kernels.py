"""Compiled loops that select a user's unseen items from search results or from a row of scores.

They release Python's global interpreter lock. Numba recompiles them only when this file changes,
so that the constants they use are defined here.
"""

from __future__ import annotations

import numpy as np

from recns_tf.utils.compiled import compiled

COLUMNS = 64
"""Number of scores compared with the worst kept score before any is inspected individually."""


@compiled()
def keep_unseen(starts, indices, rows, found, top, used):  # type: ignore[no-untyped-def]
    """Copy the first unseen items of each search result.

    Args:
        starts, indices: CSR rows of the seen items.
        rows: int64 [n], the row of each search result in `top` and in the CSR matrix.
        found: int64 [n, depth], search results, best first; negative entries are padding.
        top: int64 [any, k], output; the rows listed in `rows` are filled from the left.
        used: int64 [n], output: the number of results inspected until k items were kept, or
            depth + 1 if fewer than k were found.
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


@compiled()
def best_unseen(starts, indices, scores, first, first_item, best, top):  # type: ignore[no-untyped-def]
    """Merge the unseen items with the largest scores into lists; ties go to the lower item.

    Calls with ascending blocks of items fill the lists as one call with all of them. A block of
    columns is first compared with the worst kept score, which the processor vectorizes. Only the
    few blocks with a larger score are scanned item by item. Seen items are checked last, since few
    of them get that far.

    Args:
        starts, indices: CSR rows of the seen items, sorted.
        scores: float32 [n, m], of items first_item … first_item + m - 1.
        first: the row of `best`, `top` and the CSR matrix that scores[0] belongs to.
        first_item: the item of the first column.
        best: float32 [any, k], scores of the lists, best first; -inf where there is no item.
        top: int64 [any, k], their items. n rows starting at `first` change.
    """
    num_items, k = scores.shape[1], top.shape[1]
    for place in range(len(scores)):
        row = first + place
        seen = indices[starts[row] : starts[row + 1]]
        worst = best[row, k - 1]
        for start in range(0, num_items, COLUMNS):
            # As a slice, whose indices cannot be negative, the loop is vectorized.
            block = scores[place, start : min(start + COLUMNS, num_items)]
            better = False
            for column in range(len(block)):
                better |= block[column] > worst
            if not better:
                continue
            for column in range(len(block)):
                score = block[column]
                if not score > worst:
                    continue
                item = first_item + start + column
                found = np.searchsorted(seen, item)
                if found < len(seen) and seen[found] == item:
                    continue
                rank = k - 1
                while rank > 0 and best[row, rank - 1] < score:
                    best[row, rank], top[row, rank] = best[row, rank - 1], top[row, rank - 1]
                    rank -= 1
                best[row, rank], top[row, rank] = score, item
                worst = best[row, k - 1]
