"""Medians of functions timed in alternating rounds: the machine's own speed drops out of ratios."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Timing(NamedTuple):
    """Medians of a function's rounds, in seconds: on the clock, and of all processors."""

    wall: float
    busy: float


def time_all(functions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Timing]:
    """Return the medians of each function over `rounds`, after one round that does not count."""
    found: dict[str, list[Timing]] = {name: [] for name in functions}
    for _round in range(rounds + 1):
        for name, function in functions.items():
            start, busy = time.perf_counter(), time.process_time()
            function()
            found[name].append(Timing(time.perf_counter() - start, time.process_time() - busy))
    return {name: Timing(*np.median(times[1:], axis=0)) for name, times in found.items()}


def rows(timings: Mapping[str, Timing], against: str) -> list[dict[str, Any]]:
    """Return a row for each function: its times, and their ratios to those of `against`."""
    base = timings[against]
    return [
        {
            "name": name,
            "milliseconds": round(timing.wall * 1e3, 2),
            "ratio": round(timing.wall / base.wall, 3),
            "busy_milliseconds": round(timing.busy * 1e3, 2),
            "busy_ratio": round(timing.busy / base.busy, 3),
        }
        for name, timing in timings.items()
    ]


def show(found: Mapping[str, Any], about: str, against: str, as_json: bool) -> None:
    """Print figures of a shape, for people or as JSON.

    Args:
        found: "shape" is users, items and train pairs; "rows" are those of `rows`.
        about: what was timed.
        against: what the ratios are to.
        as_json: whether all of `found` is printed as JSON.
    """
    if as_json:
        print(json.dumps(found))
        return
    users, items, edges = found["shape"]
    print(f"{users:,} users, {items:,} items, {edges:,} train pairs: {about}")
    print(table(found["rows"], against))


def table(found: list[dict[str, Any]], against: str) -> str:
    """Return the rows as text."""
    lines = [f"{'':24}{'ms':>10}{'x ' + against:>16}{'ms, all cores':>16}{'x ' + against:>16}"]
    lines += [
        f"{row['name']:24}{row['milliseconds']:>10.1f}{row['ratio']:>16.2f}"
        f"{row['busy_milliseconds']:>16.1f}{row['busy_ratio']:>16.2f}"
        for row in found
    ]
    return "\n".join(lines)
