"""Compiled loops over the rows of a batch, called from inside the graph.

TensorFlow has no product of chosen pairs of rows: it gathers the rows, writes them out, and reads
them again. It sums up along rows on one core, searches all lists to search one, and finds repeats
by sorting. These do without. They stand in one file for the reason that kernels.py tells, let go of
Python's lock, and work on the rows from `first` to `last`: see parallel.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numba import njit
from numpy.typing import NDArray

from recns_tf.utils.parallel import over_rows, row_cuts

LITTLE = 1_000_000
"""Work that is done sooner than threads would have begun: less than half a millisecond's."""

SEARCH = 32
"""The work of a search in a list, where that of a multiplication or an addition is 1."""


def run(kernel: Callable[..., None], each: NDArray[Any], cost: int, *arguments: Any) -> None:
    """Run a kernel on all rows, on every core if there is much to do.

    Args:
        kernel: takes `arguments`, first, last.
        each: [rows, …], of each element of which the work is `cost`.
        cost: as LITTLE counts it.
        arguments: of the kernel.
    """
    if each.size * cost < LITTLE:
        kernel(*arguments, 0, len(each))
    else:
        over_rows(kernel, row_cuts(len(each)), *arguments)


def in_graph(
    function: Callable[..., NDArray[Any]],
    arguments: Sequence[tf.Tensor],
    kind: tf.DType,
    shape: tf.TensorShape,
) -> tf.Tensor:
    """Return what one of the functions below does of tensors, inside the graph or outside.

    Args:
        function: it.
        arguments: its own.
        kind, shape: of what it returns.
    """
    found = tf.numpy_function(function, arguments, kind, stateful=False)
    return tf.ensure_shape(found, shape)


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dots(vectors, table, columns, found, first, last):  # type: ignore[no-untyped-def]
    """See `dots`. Additions may be reordered, always in the same way, but nan stays nan."""
    for row in range(first, last):
        for place in range(columns.shape[1]):
            column = columns[row, place]
            if not 0 <= column < len(table):
                raise IndexError("an id is not one of the table's rows")
            total = np.float32(0)
            for number in range(table.shape[1]):
                total += vectors[row, number] * table[column, number]
            found[row, place] = total


@njit(nogil=True, cache=True)
def _repeats(items, num_items, found, first, last):  # type: ignore[no-untyped-def]
    """See `repeats`."""
    last_seen = np.full(num_items, -1, np.int64)
    for row in range(first, last):
        for place in range(items.shape[1]):
            item = items[row, place]
            found[row, place] = last_seen[item] == row
            last_seen[item] = row


@njit(nogil=True, cache=True)
def _columns(weights, uniform, found, first, last):  # type: ignore[no-untyped-def]
    """See `columns`."""
    width = weights.shape[1]
    cumulative = np.empty(width)
    for row in range(first, last):
        total = 0.0
        for column in range(width):
            total += weights[row, column]
            cumulative[column] = total
        for draw in range(uniform.shape[1]):
            column = np.searchsorted(cumulative, uniform[row, draw] * total, side="right")
            # Weights that are no numbers must not lead outside the row.
            found[row, draw] = min(column, width - 1)


@njit(nogil=True, cache=True)
def _up_to(items, start, end, number, shift):  # type: ignore[no-untyped-def]
    """Return how many of items[start:end], each less `shift` times its place, are <= number."""
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        if items[middle] - shift * (middle - start) <= number:
            low = middle + 1
        else:
            high = middle
    return low - start


@njit(nogil=True, cache=True)
def _members(starts, items, users, sought, found, first, last):  # type: ignore[no-untyped-def]
    """See `members`."""
    for row in range(first, last):
        start, end = starts[users[row]], starts[users[row] + 1]
        for place in range(sought.shape[1]):
            count = _up_to(items, start, end, sought[row, place], 0)
            found[row, place] = count > 0 and items[start + count - 1] == sought[row, place]


@njit(nogil=True, cache=True)
def _unlisted(starts, items, users, ranks, found, first, last):  # type: ignore[no-untyped-def]
    """See `unlisted`: items[j] less the number of items before it are unlisted below items[j]."""
    for row in range(first, last):
        start, end = starts[users[row]], starts[users[row] + 1]
        for place in range(ranks.shape[1]):
            rank = ranks[row, place]
            found[row, place] = rank + _up_to(items, start, end, rank, 1)


def dots(
    vectors: NDArray[np.float32], table: NDArray[np.float32], columns: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Return vectors[b] · table[columns[b, i]]: [B, d], [m, d], [B, n] -> [B, n].

    Raises:
        IndexError: a column is not from 0 to m - 1.
    """
    found = np.empty(columns.shape, np.float32)
    run(_dots, found, table.shape[1], vectors, table, columns, found)
    return found


def columns(weights: NDArray[np.float32], uniform: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the columns that uniform numbers choose in proportion to weights.

    Args:
        weights: [B, n], at least 0, each row with one above.
        uniform: [B, k], from 0 to less than 1.

    Returns:
        int32 [B, k], for each the first column up to which the weights sum to more than that
        share of all.
    """
    found = np.empty(uniform.shape, np.int32)
    run(_columns, weights, 1, weights, uniform, found)
    return found


def members(
    starts: NDArray[np.int64],
    items: NDArray[np.int32],
    users: NDArray[np.int32],
    sought: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Return whether items are in their users' lists.

    Args:
        starts: [U + 1], where each user's list begins.
        items: [t], all lists, one after the other; each ascends.
        users: [B].
        sought: [B, n].

    Returns:
        bool [B, n].
    """
    found = np.empty(sought.shape, np.bool_)
    run(_members, found, SEARCH, starts, items, users, sought, found)
    return found


def unlisted(
    starts: NDArray[np.int64],
    items: NDArray[np.int32],
    users: NDArray[np.int32],
    ranks: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Return the numbers of given rank, from 0, among those that are not in a user's list.

    Args:
        starts, items, users: as of `members`.
        ranks: [B, n].

    Returns:
        int32 [B, n].
    """
    found = np.empty(ranks.shape, np.int32)
    run(_unlisted, found, SEARCH, starts, items, users, ranks, found)
    return found


def repeats(items: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return whether a place of a row holds what an earlier place of it does: [B, n] -> [B, n]."""
    found = np.empty(items.shape, np.bool_)
    size = int(items.max(initial=-1)) + 1
    run(_repeats, items, 1, items, size, found)
    return found
