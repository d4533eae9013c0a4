"""Compiled products of sparse matrices in CSR form with dense ones.

The rows of the dense matrix that an entry needs are all over memory: the loops ask for those of
the next entries while they add. See `compiled_kernels` for what the loops have in common.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recns_tf.ops.compiled_kernels import FLOATS_OF_LINE, LITTLE
from recns_tf.utils.compiled import compiled
from recns_tf.utils.parallel import over_rows
from recns_tf.utils.prefetch import AHEAD, prefetch

Floats = NDArray[np.float32]


@compiled()
def _product_plus(starts, columns, values, x, scale, other, found, first, last):  # type: ignore[no-untyped-def]
    """Set the rows of `found`; without fused or reordered additions, as in TensorFlow's product."""
    for row in range(first, last):
        found[row] = 0
        for entry in range(starts[row], starts[row + 1]):
            ahead = columns[min(entry + AHEAD, columns.size - 1)]
            for number in range(0, x.shape[1], FLOATS_OF_LINE):
                prefetch(x, np.int64(ahead), number)
            column, value = columns[entry], values[entry]
            for number in range(x.shape[1]):
                found[row, number] += value * x[column, number]
        if len(other):
            for number in range(x.shape[1]):
                found[row, number] += scale * other[row, number]


def product_plus(
    cuts: NDArray[np.int64],
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: Floats,
    x: Floats,
    scale: np.float32,
    other: Floats,
) -> Floats:
    """Return the product of a matrix [N, M] with x, plus scale * other, [N, d].

    Args:
        cuts: where to cut the rows into chunks of equal work; see `even_cuts`.
        starts: [N + 1], where the entries of each row begin.
        columns: [entries], in [0, M).
        values: [entries].
        x: [M, d].
        scale: a factor.
        other: [N, d], or [0, d] to add nothing.
    """
    found = np.empty((len(starts) - 1, x.shape[1]), np.float32)
    if len(values) * x.shape[1] < LITTLE:
        cuts = cuts[[0, -1]]
    over_rows(_product_plus, cuts, starts, columns, values, x, scale, other, found)
    return found


def product(
    cuts: NDArray[np.int64],
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: Floats,
    x: Floats,
) -> Floats:
    """Return the product with x, [N, d]; arguments as for `product_plus`."""
    return product_plus(cuts, starts, columns, values, x, np.float32(0), x[:0])
