"""Kernels on all cores: compiled functions that let go of Python's lock, a stretch of rows each."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
STRETCHES = 4 * CORES


def even_cuts(starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where to cut the rows of a CSR array so that stretches are equal in work.

    Args:
        starts: [rows + 1] ascending; the work of a row is its nonzeros and one.

    Returns:
        int64 ascending from 0 to the number of rows.
    """
    work = starts - starts[0] + np.arange(len(starts))
    inner = np.searchsorted(work, np.linspace(0, work[-1], STRETCHES + 1)[1:-1])
    return np.concatenate([[0], inner, [len(starts) - 1]])


def row_cuts(num_rows: int) -> NDArray[np.int64]:
    """Return where to cut rows of equal work, as `even_cuts`."""
    return np.linspace(0, num_rows, STRETCHES + 1).astype(np.int64)


def over_rows(kernel: Callable[..., None], cuts: NDArray[np.int64], *arguments: Any) -> None:
    """Call kernel(*arguments, first, last) for each stretch of rows between two cuts."""
    with ThreadPoolExecutor(CORES) as pool:
        calls = [
            pool.submit(kernel, *arguments, int(first), int(last))
            for first, last in pairwise(cuts)
            if first < last
        ]
    for call in calls:
        call.result()
