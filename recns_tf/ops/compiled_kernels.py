"""Compiled loops over the rows of a batch, called from inside the graph by `kernels`.

They avoid costs of the corresponding TensorFlow operations, which write out gathered rows before
multiplying them, compute cumulative sums on one core, search all lists to search one, and find
repeats by sorting. Those that call each other are in one file because of numba's cache (see
regions/kernels.py). They release Python's global interpreter lock, and process the rows from
`first` to `last` (see utils/parallel.py). `_sort` is not compiled: it calls NumPy, whose vector
instructions are faster than what numba compiles. `compiled_gates` has those for `dens`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recns_tf.utils.compiled import compiled
from recns_tf.utils.parallel import over_rows, row_cuts
from recns_tf.utils.prefetch import AHEAD, LINE, prefetch

LITTLE = 1_000_000
"""Work, in additions, below which starting threads takes longer: less than half a millisecond."""

SEARCH = 12
"""Cost of a search in a list, relative to a multiplication or an addition."""

SORTING = 8
"""Cost of sorting, for each number."""

FLOATS_OF_LINE = LINE // 4

ANY_ORDER = {"reassoc", "contract"}
"""The compiler may reorder additions, always the same way; nan is kept."""


def run(kernel: Callable[..., None], each: NDArray[Any], cost: int, *arguments: Any) -> None:
    """Run a kernel on all rows, on all cores if there is enough work.

    Args:
        kernel: called as kernel(*arguments, first, last).
        each: [rows, …], an array with one element per unit of work.
        cost: cost of an element, in the unit of LITTLE.
        arguments: arguments of the kernel.
    """
    if each.size * cost < LITTLE:
        kernel(*arguments, 0, len(each))
    else:
        over_rows(kernel, row_cuts(len(each)), *arguments)


@compiled(fastmath=ANY_ORDER)
def _dots(vectors, table, columns, found, first, last):  # type: ignore[no-untyped-def]
    """Compute `dots`."""
    coming = columns.ravel()
    for row in range(first, last):
        for place in range(columns.shape[1]):
            ahead = coming[min(row * columns.shape[1] + place + AHEAD, coming.size - 1)]
            for number in range(0, table.shape[1], FLOATS_OF_LINE):
                prefetch(table, np.int64(ahead), number)
            column = columns[row, place]
            if not 0 <= column < len(table):
                raise IndexError("an id is not one of the table's rows")
            total = np.float32(0)
            for number in range(table.shape[1]):
                total += vectors[row, number] * table[column, number]
            found[row, place] = total


@compiled()
def _repeats(items, num_items, found, first, last):  # type: ignore[no-untyped-def]
    """Compute `repeats`."""
    last_seen = np.full(num_items, -1, np.int64)
    for row in range(first, last):
        for place in range(items.shape[1]):
            item = items[row, place]
            found[row, place] = last_seen[item] == row
            last_seen[item] = row


@compiled()
def _columns(weights, uniform, found, first, last):  # type: ignore[no-untyped-def]
    """Compute `columns`."""
    width = weights.shape[1]
    cumulative = np.empty(width)
    for row in range(first, last):
        total = 0.0
        for column in range(width):
            total += weights[row, column]
            cumulative[column] = total
        for draw in range(uniform.shape[1]):
            column = np.searchsorted(cumulative, uniform[row, draw] * total, side="right")
            # With nan weights, the result must still be a column of the row.
            found[row, draw] = min(column, width - 1)


@compiled()
def _up_to(ascending, shift, numbers, found):  # type: ignore[no-untyped-def]
    """Set found[i] to how many j satisfy ascending[j] - shift * j <= numbers[i].

    All searches take each step together: none waits for another, as a search of its own waits for
    its last step, and no branch is mispredicted. Indices are unsigned, for which numba has no code
    that lets negative ones count from the end.

    Args:
        ascending: [n], with ascending[j] - shift * j ascending in j.
        shift: 0 or 1, of the type of `ascending`.
        numbers: [w], of the type of `ascending`.
        found: uint32 [w], the result.
    """
    one, kind = np.uint32(1), ascending.dtype.type
    size = np.uint32(len(ascending))
    found[:] = 0
    if size == 0:
        return
    while size > one:
        half = np.uint32(size >> one)
        for place in range(len(numbers)):
            middle = np.uint32(found[place] + half - one)
            is_right = ascending[middle] - shift * kind(middle) <= numbers[place]
            found[place] += half * np.uint32(is_right)
        size = np.uint32(size - half)
    for place in range(len(numbers)):
        last = found[place]
        found[place] += np.uint32(ascending[last] - shift * kind(last) <= numbers[place])


@compiled()
def _members(starts, items, users, sought, found, first, last):  # type: ignore[no-untyped-def]
    """Compute `members`."""
    counts = np.empty(sought.shape[1], np.uint32)
    for row in range(first, last):
        own = items[starts[users[row]] : starts[users[row] + 1]]
        _up_to(own, np.int32(0), sought[row], counts)
        for place in range(sought.shape[1]):
            count = counts[place]
            found[row, place] = count > 0 and own[count - np.uint32(1)] == sought[row, place]


@compiled()
def _unlisted(starts, items, users, ranks, found, first, last):  # type: ignore[no-untyped-def]
    """Compute `unlisted`: there are items[j] - j unlisted integers below items[j]."""
    counts = np.empty(ranks.shape[1], np.uint32)
    for row in range(first, last):
        own = items[starts[users[row]] : starts[users[row] + 1]]
        _up_to(own, np.int32(1), ranks[row], counts)
        for place in range(ranks.shape[1]):
            found[row, place] = ranks[row, place] + np.int32(counts[place])


@compiled()
def _marks(row_starts, entries, column_starts, columns, found, first, last):  # type: ignore[no-untyped-def]
    """Compute `marks`: entries of row r begin at row_starts[r], columns of item i likewise."""
    for row in range(first, last):
        for entry in range(row_starts[row], row_starts[row + 1]):
            item = entries[entry]
            for place in range(column_starts[item], column_starts[item + 1]):
                found[row, columns[place]] = True


def _sort(values: NDArray[Any], found: NDArray[Any], first: int, last: int) -> None:
    """Sort rows. NumPy's sort uses vector instructions; numba's takes twenty times as long."""
    found[first:last] = np.sort(values[first:last], axis=1)


@compiled()
def _counts_up_to(ordered, rows, numbers, found, first, last):  # type: ignore[no-untyped-def]
    """Compute `counts_up_to` for rows that are ordered."""
    counts = np.empty(numbers.shape[1], np.uint32)
    for row in range(first, last):
        _up_to(ordered[rows[row]], np.float32(0), numbers[row], counts)
        for place in range(numbers.shape[1]):
            found[row, place] = np.int32(counts[place])


def dots(
    vectors: NDArray[np.float32], table: NDArray[np.float32], columns: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Compute `kernels.dots`; a column that is not between 0 and m - 1 is an IndexError."""
    found = np.empty(columns.shape, np.float32)
    run(_dots, found, table.shape[1], vectors, table, columns, found)
    return found


def columns(weights: NDArray[np.float32], uniform: NDArray[np.float32]) -> NDArray[np.int32]:
    """Compute `kernels.columns`."""
    found = np.empty(uniform.shape, np.int32)
    run(_columns, weights, 1, weights, uniform, found)
    return found


def members(
    starts: NDArray[np.int64],
    items: NDArray[np.int32],
    users: NDArray[np.int32],
    sought: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Compute `kernels.members`."""
    found = np.empty(sought.shape, np.bool_)
    run(_members, found, SEARCH, starts, items, users, sought, found)
    return found


def unlisted(
    starts: NDArray[np.int64],
    items: NDArray[np.int32],
    users: NDArray[np.int32],
    ranks: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Compute `kernels.unlisted`."""
    found = np.empty(ranks.shape, np.int32)
    run(_unlisted, found, SEARCH, starts, items, users, ranks, found)
    return found


def repeats(items: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Compute `kernels.repeats`."""
    found = np.empty(items.shape, np.bool_)
    size = int(items.max(initial=-1)) + 1
    run(_repeats, items, 1, items, size, found)
    return found


def counts_up_to(
    values: NDArray[np.float32], rows: NDArray[np.int32], numbers: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Compute `kernels.counts_up_to`."""
    ordered = np.empty_like(values)
    run(_sort, values, SORTING, values, ordered)
    found = np.empty(numbers.shape, np.int32)
    run(_counts_up_to, found, SEARCH, ordered, rows, numbers, found)
    return found


def marks(
    owner: NDArray[np.int32],
    entries: NDArray[np.int32],
    items: NDArray[np.int32],
    num_rows: np.int32,
    num_items: np.int32,
) -> NDArray[np.bool_]:
    """Compute `kernels.marks`."""
    row_starts = np.searchsorted(owner, np.arange(num_rows + 1))
    columns = np.argsort(items, kind="stable")
    column_starts = np.searchsorted(items[columns], np.arange(num_items + 1))
    found = np.zeros((num_rows, len(items)), np.bool_)
    run(_marks, found, 1, row_starts, entries, column_starts, columns, found)
    return found
