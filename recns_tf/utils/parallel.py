"""Runs compiled kernels on all cores, each call on a range of rows.

The kernels must release Python's global interpreter lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
CHUNKS = 4 * CORES

THREADS = ContextVar("THREADS", default=CORES)
"""Threads that run kernels."""


@contextmanager
def on_cores(number: int) -> Iterator[None]:
    """Run the kernels of the block on this many cores; results do not depend on it."""
    token = THREADS.set(number)
    try:
        yield
    finally:
        THREADS.reset(token)


def even_cuts(starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where to cut the rows of a CSR array so that all chunks have equal work.

    Args:
        starts: int64 [rows + 1], ascending; a row's work is its number of nonzeros plus one.

    Returns:
        int64 [CHUNKS + 1], ascending from 0 to the number of rows.
    """
    work = starts - starts[0] + np.arange(len(starts))
    inner = np.searchsorted(work, np.linspace(0, work[-1], CHUNKS + 1)[1:-1])
    return np.concatenate([[0], inner, [len(starts) - 1]])


def row_cuts(num_rows: int, smallest: int = 1) -> NDArray[np.int64]:
    """Return where to cut rows that all have the same work; see `even_cuts`.

    Args:
        num_rows: number of rows.
        smallest: rows per chunk, at least, where there are as many.
    """
    chunks = min(CHUNKS, max(num_rows // smallest, 1))
    return np.linspace(0, num_rows, chunks + 1).astype(np.int64)


def over_rows(kernel: Callable[..., None], cuts: NDArray[np.int64], *arguments: Any) -> None:
    """Call kernel(*arguments, first, last) for each chunk of rows between two cuts."""
    chunks = [(int(first), int(last)) for first, last in pairwise(cuts) if first < last]
    if len(chunks) == 1:
        kernel(*arguments, *chunks[0])
        return
    with ThreadPoolExecutor(THREADS.get()) as pool:
        calls = [pool.submit(kernel, *arguments, *chunk) for chunk in chunks]
    for call in calls:
        call.result()
