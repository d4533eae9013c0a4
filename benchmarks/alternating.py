"""Times functions in alternating rounds, so that ratios do not depend on the machine's load."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm


class Timing(NamedTuple):
    """Seconds of wall-clock time, and of processor time summed over cores if known."""

    wall: float
    busy: float | None = None


def time_all(functions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Timing]:
    """Return each function's median times over `rounds` rounds, after one untimed round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in functions}
    turns = [(name, function) for _ in range(rounds + 1) for name, function in functions.items()]
    for name, function in tqdm(turns, desc="timing", leave=False, disable=None):
        start, busy = time.perf_counter(), time.process_time()
        function()
        found[name].append((time.perf_counter() - start, time.process_time() - busy))
    return {name: Timing(*np.median(times[1:], axis=0)) for name, times in found.items()}
