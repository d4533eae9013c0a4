"""What every benchmark takes and gives: a size and a number of rounds; rows of times and ratios."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.alternating import Timing
from benchmarks.graphs import SHAPES, Shape
from benchmarks.memory import peak_gigabytes
from recns_tf.commands import app
from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import Checked, at_least, one_of, option
from recns_tf.registry import ENCODERS, SAMPLERS
from recns_tf.runs.provenance import git_commit, versions
from recns_tf.utils.files import write_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measuring(Checked):
    """How large, and how often."""

    shape: str = option("zhihu", "size of the graph", one_of(*SHAPES))
    users: int = option(0, "users, in place of the shape's; 0 for those", at_least(0))
    items: int = option(0, "items, likewise", at_least(0))
    edges: int = option(0, "train pairs, likewise, about", at_least(0))
    rounds: int = option(5, "rounds timed, after one that is not", at_least(1))
    json: str = option("", "file to write the figures into")

    def size(self) -> Shape:
        """Return the size to measure at."""
        named = SHAPES[self.shape]
        own = (self.users, self.items, self.edges)
        return Shape(*(mine or its for mine, its in zip(own, named, strict=True)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(Checked):
    """Which model, where there is one."""

    encoder: str = option("lightgcn", "which encoder", one_of(*ENCODERS))
    sampler: str = option("recns", "which sampler", one_of(*SAMPLERS))


@dataclasses.dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        what: name of the benchmark.
        about: settings, in words.
        shape: the size it was asked for.
        against: name of the row that ratios are to.
        rows: a row each: "name", "milliseconds", "ratio" and, where processor time was taken,
            "busy_milliseconds" and "busy_ratio".
        notes: further figures by name.
    """

    what: str
    about: str
    shape: Shape
    against: str
    rows: list[dict[str, Any]]
    notes: dict[str, float]

    def text(self) -> str:
        """Return the figures for the screen."""
        head = f"{'':34}{'ms':>12}{'x ' + self.against:>24}{'of all cores: ms':>18}{'x':>8}"
        lines = [f"{self.what}: {self.about}", str(self.shape), head]
        for row in self.rows:
            line = f"{row['name']:34}{row['milliseconds']:>12,.1f}{row['ratio']:>24.3f}"
            if "busy_ratio" in row:
                line += f"{row['busy_milliseconds']:>18,.1f}{row['busy_ratio']:>8.2f}"
            lines.append(line)
        return "\n".join([*lines, *(f"{name}: {value:,}" for name, value in self.notes.items())])

    def to_json(self) -> dict[str, Any]:
        """Return the figures, and the machine and the code they were taken with."""
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
    """Return the report of what was timed.

    Args:
        what, about, shape, against, notes: as of `Report`; the peak memory of the process is
            noted too.
        timings: by name of the row.
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
    """Return the note of how much memory this process has had."""
    return {"peak gigabytes": round(peak_gigabytes(), 2)}


def processor() -> str:
    """Return the processor's name."""
    about = Path("/proc/cpuinfo")
    if about.exists():
        for line in about.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def run(measure: Callable[..., Report], *settings: type[Checked]) -> None:
    """Run a benchmark as a command, with a flag for every field of Measuring and `settings`.

    Args:
        measure: takes a Shape, the number of rounds, and one of each of `settings`.
        settings: dataclasses of options.
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
    app.main(command, f"python -m benchmarks.{Path(sys.argv[0]).stem}")
