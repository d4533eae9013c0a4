"""Compiled products of sparse matrices in CSR form with dense ones.

The rows of the dense matrix that an entry needs are all over memory: the loops ask for those of
the next entries while they add. See `compiled_kernels` for what the loops have in common.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recns_tf.utils.compiled import compiled
from recns_tf.utils.parallel import even_cuts, over_rows
from recns_tf.utils.prefetch import AHEAD, LINE, prefetch

LITTLE = 1_000_000
"""Multiplications below which starting threads takes longer."""

FLOATS_OF_LINE = LINE // 4

Floats = NDArray[np.float32]


@compiled(fastmath={"contract"})
def _add_product(starts, columns, values, x, found, first, last):  # type: ignore[no-untyped-def]
    """Add to the rows of `found` those of the product."""
    for row in range(first, last):
        for entry in range(starts[row], starts[row + 1]):
            ahead = columns[min(entry + AHEAD, columns.size - 1)]
            for number in range(0, x.shape[1], FLOATS_OF_LINE):
                prefetch(x, np.int64(ahead), number)
            column, value = columns[entry], values[entry]
            for number in range(x.shape[1]):
                found[row, number] += value * x[column, number]


def add_product(
    starts: NDArray[np.int64], columns: NDArray[np.int32], values: Floats, x: Floats, found: Floats
) -> Floats:
    """Add the product of a matrix [N, M] with x to `found`, and return it.

    Args:
        starts: [N + 1], where the entries of each row begin.
        columns: [entries], in [0, M).
        values: [entries].
        x: [M, d].
        found: [N, d].
    """
    cuts = even_cuts(starts)
    if len(values) * x.shape[1] < LITTLE:
        cuts = cuts[[0, -1]]
    over_rows(_add_product, cuts, starts, columns, values, x, found)
    return found


def product(
    starts: NDArray[np.int64], columns: NDArray[np.int32], values: Floats, x: Floats
) -> Floats:
    """Return the product with x, [N, d]; arguments as for `add_product`."""
    return add_product(starts, columns, values, x, np.zeros((len(starts) - 1, x.shape[1]), x.dtype))


def product_plus(
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: Floats,
    x: Floats,
    scale: np.float32,
    other: Floats,
) -> Floats:
    """Return the product with x plus scale * other, [N, d]; arguments as for `add_product`."""
    return add_product(starts, columns, values, x, scale * other)
