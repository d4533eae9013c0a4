"""Compiled loops for dot products with gates, called from inside the graph by `kernels`.

They work as those of `compiled_kernels` do. `_powers_of` is not compiled: it calls NumPy, whose
vector instructions are faster than what numba compiles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.ops.compiled_kernels import ANY_ORDER, FLOATS_OF_LINE, run
from recns_tf.utils.compiled import compiled
from recns_tf.utils.parallel import even_cuts, over_rows
from recns_tf.utils.prefetch import AHEAD, prefetch

GATE = 2
"""Cost of a gate and its product, relative to a multiplication."""

LARGEST = 87.0
"""exp(±LARGEST) are normal numbers of float32."""

FAR = 70.0
"""A gate σ(x + y) with |y| <= FAR and |x| > LARGEST is 0 or 1 up to rounding of float32."""

EXPONENTIAL = 4
"""Cost of an exponential and of the check of its number."""


@compiled(fastmath=ANY_ORDER, error_model="numpy")
def _gate(x, y, power_x, power_y, are_far):  # type: ignore[no-untyped-def]
    """Return σ(x + y), given exp(-x) and exp(-y), which are of use unless both rows are far.

    exp(-(x + y)) is the product of two exponentials, each computed once per row instead of once
    per pair of rows, which makes this several times as fast.
    """
    one = np.float32(1)
    if are_far:
        return one / (one + np.exp(-(x + y)))
    return one / (one + power_x * power_y)


@compiled(fastmath=ANY_ORDER, error_model="numpy")
def _gated_dots(  # type: ignore[no-untyped-def]
    vectors, shifts, own_powers, own_far, table, mapped, powers, far, kept, columns, found,
    first, last,
):  # fmt: skip
    """Compute `gated_dots`, given what `powers_of` returns for `shifts` and for `mapped`."""
    coming = columns.ravel()
    for row in range(first, last):
        for place in range(columns.shape[1]):
            ahead = coming[min(row * columns.shape[1] + place + AHEAD, coming.size - 1)]
            for number in range(0, table.shape[1], FLOATS_OF_LINE):
                prefetch(table, np.int64(ahead), number)
                prefetch(powers, np.int64(ahead), number)
            column = columns[row, place]
            if not 0 <= column < len(table):
                raise IndexError("an id is not one of the table's rows")
            are_far = own_far[row] and far[column]
            total = np.float32(0)
            for number in range(table.shape[1]):
                gate = _gate(
                    shifts[row, number], mapped[column, number],
                    own_powers[row, number], powers[column, number], are_far,
                )  # fmt: skip
                total += vectors[row, number] * table[column, number] * (kept - gate)
            found[row, place] = total


@compiled(fastmath=ANY_ORDER, error_model="numpy")
def _gated_gradients(  # type: ignore[no-untyped-def]
    vectors, shifts, own_powers, own_far, table, mapped, powers, far, kept,
    starts, columns, weights, to_vectors, to_shifts, first, last,
):  # fmt: skip
    """Compute the gradients of weighted `gated_dots` with respect to vectors and shifts.

    Since vectors and shifts are to `table` and `mapped` as these are to them, it also computes the
    gradients with respect to those, from the transposed lists.

    Args:
        starts: [B + 1], where the columns of each vector begin.
        columns: int32 [t], rows of the table, all vectors' one after the other.
        weights: float32 [t], of the products.
        to_vectors, to_shifts: float32 [B, d], zeros, to which the gradients are added.
        first, last: rows to compute.
        vectors, shifts, own_powers, own_far, table, mapped, powers, far, kept: as above.
    """
    one = np.float32(1)
    for row in range(first, last):
        for place in range(starts[row], starts[row + 1]):
            column, weight = columns[place], weights[place]
            are_far = own_far[row] and far[column]
            for number in range(table.shape[1]):
                gate = _gate(
                    shifts[row, number], mapped[column, number],
                    own_powers[row, number], powers[column, number], are_far,
                )  # fmt: skip
                other = weight * table[column, number]
                to_vectors[row, number] += other * (kept - gate)
                slope = gate * (one - gate)
                to_shifts[row, number] -= other * vectors[row, number] * slope


def _powers_of(
    numbers: NDArray[np.float32],
    powers: NDArray[np.float32],
    far: NDArray[np.bool_],
    first: int,
    last: int,
) -> None:
    """Compute `powers_of`. NumPy uses vector instructions; numba's exp takes longer."""
    some, found = numbers[first:last], powers[first:last]
    far[first:last] = (np.abs(some) > FAR).any(axis=1)
    np.clip(some, -LARGEST, LARGEST, out=found)
    np.exp(np.negative(found, out=found), out=found)


def powers_of(numbers: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return exp(-numbers), within LARGEST, and which rows have a number beyond FAR."""
    powers, far = np.empty_like(numbers), np.empty(len(numbers), np.bool_)
    run(_powers_of, numbers, EXPONENTIAL, numbers, powers, far)
    return powers, far


def gated_dots(
    vectors: NDArray[np.float32],
    table: NDArray[np.float32],
    shifts: NDArray[np.float32],
    mapped: NDArray[np.float32],
    kept: np.float32,
    columns: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Compute `kernels.gated_dots`; a column that is not between 0 and m - 1 is an IndexError."""
    found = np.empty(columns.shape, np.float32)
    own = (vectors, shifts, *powers_of(shifts))
    others = (table, mapped, *powers_of(mapped))
    cost = GATE * table.shape[1]
    run(_gated_dots, found, cost, *own, *others, np.float32(kept), columns, found)
    return found


def gated_gradients(
    vectors: NDArray[np.float32],
    table: NDArray[np.float32],
    shifts: NDArray[np.float32],
    mapped: NDArray[np.float32],
    kept: np.float32,
    columns: NDArray[np.int32],
    upstream: NDArray[np.float32],
) -> tuple[NDArray[np.float32], ...]:
    """Compute `kernels.gated_gradients`."""
    own = (vectors, shifts, *powers_of(shifts))
    others = (table, mapped, *powers_of(mapped))
    starts = np.arange(len(columns) + 1) * columns.shape[1]
    lists = csr_array((upstream.ravel(), columns.ravel(), starts), (len(columns), len(table)))
    to_vectors, to_shifts, to_table, to_mapped = map(
        np.zeros_like, (vectors, shifts, table, mapped)
    )
    for sides, lines, found in (
        ((*own, *others), lists, (to_vectors, to_shifts)),
        ((*others, *own), lists.tocsc(), (to_table, to_mapped)),
    ):
        parts = (lines.indptr, lines.indices, lines.data)
        cuts = even_cuts(lines.indptr.astype(np.int64))
        over_rows(_gated_gradients, cuts, *sides, np.float32(kept), *parts, *found)
    return to_vectors, to_table, to_shifts, to_mapped
