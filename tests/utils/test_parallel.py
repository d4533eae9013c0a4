"""Rows are divided among the cores, each of them once."""

import threading

import numpy as np
import pytest

from recns_tf.utils.parallel import CHUNKS, over_rows, row_cuts


@pytest.mark.parametrize("rows", [0, 1, 15, 16, 33, 10_000])
@pytest.mark.parametrize("smallest", [1, 16])
def test_chunks_cover_all_rows_and_are_not_too_small(rows, smallest):
    cuts = row_cuts(rows, smallest)
    sizes = np.diff(cuts)
    assert cuts[0] == 0 and cuts[-1] == rows
    assert len(sizes) == min(CHUNKS, max(rows // smallest, 1))
    assert rows < smallest or sizes.min() >= smallest


@pytest.mark.parametrize("cuts", [[0, 5], [0, 0, 2, 5, 5]])
def test_the_kernel_sees_each_row_once(cuts):
    seen, threads = [], set()

    def kernel(offset, first, last):
        seen.extend(range(offset + first, offset + last))
        threads.add(threading.current_thread())

    over_rows(kernel, np.array(cuts), 100)
    assert sorted(seen) == [100, 101, 102, 103, 104]
    # Starting threads takes longer than a small chunk.
    assert (threads == {threading.main_thread()}) == (len(cuts) == 2)
