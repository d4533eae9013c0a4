"""Settings and reports of benchmarks, and the command that runs one."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.alternating import Timing
from benchmarks.graphs import SHAPES, Shape
from benchmarks.memory import peak_gigabytes
from recns_tf.commands import app
from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import A_DURATION, A_NUMBER, Checked, one_of, option
from recns_tf.registry import ENCODERS, SAMPLERS
from recns_tf.runs.provenance import git_commit, versions
from recns_tf.utils.files import write_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measuring(Checked):
    """Size of the graph, number of rounds and output file."""

    shape: str = option("zhihu", "size of the graph", one_of(*SHAPES))
    users: int = option(0, "number of users; 0 for the shape's", A_NUMBER)
    items: int = option(0, "number of items; 0 for the shape's", A_NUMBER)
    edges: int = option(0, "approximate number of train pairs; 0 for the shape's", A_NUMBER)
    rounds: int = option(5, "timed rounds, after an untimed one", A_DURATION)
    json: str = option("", "JSON file for the results; none if empty")

    def size(self) -> Shape:
        """Return the size of the graph."""
        named = SHAPES[self.shape]
        chosen = (self.users, self.items, self.edges)
        return Shape(*(number or default for number, default in zip(chosen, named, strict=True)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(Checked):
    """The model to measure."""

    positional: ClassVar[tuple[str, ...]] = ()

    encoder: str = option("lightgcn", "graph encoder", one_of(*ENCODERS))
    sampler: str = option("recns", "negative sampler", one_of(*SAMPLERS))


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of a benchmark.

    Attributes:
        what: name of the benchmark.
        about: description of the settings.
        shape: requested size of the graph.
        against: name of the row that ratios are relative to.
        rows: dictionaries with "name", "milliseconds", "ratio" and, if processor time was
            measured, "busy_milliseconds" and "busy_ratio".
        notes: further numbers by name.
    """

    what: str
    about: str
    shape: Shape
    against: str
    rows: list[dict[str, Any]]
    notes: dict[str, float]

    def text(self) -> str:
        """Return the results as text for the screen."""
        head = f"{'':34}{'ms':>12}{'x ' + self.against:>24}{'of all cores: ms':>18}{'x':>8}"
        lines = [f"{self.what}: {self.about}", str(self.shape), head]
        for row in self.rows:
            line = f"{row['name']:34}{row['milliseconds']:>12,.1f}{row['ratio']:>24.3f}"
            if "busy_ratio" in row:
                line += f"{row['busy_milliseconds']:>18,.1f}{row['busy_ratio']:>8.2f}"
            lines.append(line)
        return "\n".join([*lines, *(f"{name}: {value:,}" for name, value in self.notes.items())])

    def to_json(self) -> dict[str, Any]:
        """Return the results with the machine, the versions and the git commit."""
        return dataclasses.asdict(self) | {
            "shape": self.shape._asdict(),
            "machine": {"processor": processor(), "cores": os.cpu_count()},
            "versions": versions(),
            "git_commit": git_commit(),
        }


def report(
    what: str,
    about: str,
    shape: Shape,
    timings: Mapping[str, Timing],
    against: str,
    notes: Mapping[str, float] | None = None,
) -> Report:
    """Return a report of timings, with the peak memory of the process added to its notes.

    Args:
        what: as in `Report`.
        about: as in `Report`.
        shape: as in `Report`.
        timings: timings by name of the row.
        against: as in `Report`.
        notes: as in `Report`.
    """
    base = timings[against]
    rows: list[dict[str, Any]] = []
    for name, timing in timings.items():
        wall = {
            "milliseconds": round(timing.wall * 1e3, 2),
            "ratio": round(timing.wall / base.wall, 4),
        }
        busy = {}
        if timing.busy is not None and base.busy is not None:
            busy = {
                "busy_milliseconds": round(timing.busy * 1e3, 2),
                "busy_ratio": round(timing.busy / base.busy, 4),
            }
        rows.append({"name": name} | wall | busy)
    return Report(what, about, shape, against, rows, dict(notes or {}) | peak())


def peak() -> dict[str, float]:
    """Return the note of the peak memory of this process."""
    return {"peak gigabytes": round(peak_gigabytes(), 2)}


def processor() -> str:
    """Return the name of the processor."""
    about = Path("/proc/cpuinfo")
    if about.exists():
        for line in about.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def run(measure: Callable[..., Report], *settings: type[Checked]) -> None:
    """Run a benchmark as a command, with a flag for every field of Measuring and `settings`.

    Args:
        measure: called with a Shape, the number of rounds, and an instance of each of `settings`.
        settings: settings classes.
    """

    def main(call: Call) -> None:
        measuring = call.settings(Measuring)
        found = measure(
            measuring.size(), measuring.rounds, *(call.settings(each) for each in settings)
        )
        print(found.text())
        if measuring.json:
            write_json(Path(measuring.json), found.to_json())

    command = Command(
        about=measure.__doc__ or "",
        words="",
        example="--shape=small",
        settings=(Measuring, *settings),
        run=main,
        interrupted="nothing is written",
    )
    app.run(command, sys.argv[1:], f"python -m benchmarks.{Path(sys.argv[0]).stem}")
