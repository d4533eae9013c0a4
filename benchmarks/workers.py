"""What a worker of --strategy=columns keeps in memory and what a step sends, by the cost model too.

Run: .venv/bin/python -m benchmarks.workers [--shape=small --workers=1,2,4 --output=FOLDER]

Every number of workers trains some steps of LightGCN with every sampler, over the loopback of this
machine, whose counters say how many bytes a step has sent. The cost model is that of docs/scale.md.
Steps are not timed: the workers share the cores of one machine.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.graphs import SHAPES
from recns_tf.commands import app
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config
from recns_tf.config.flags import A_FOLDER, Checked, one_of, option, some_of, whole
from recns_tf.experiments import figures
from recns_tf.utils.files import write_json
from recns_tf.utils.worker_processes import run_together

COUNTS = ("1", "2", "3", "4", "8")
MEGA = 1e6

SCORES: dict[str, Callable[[Config], int]] = {
    "unins": lambda c: c.num_negatives + 1,
    "recns": lambda c: 3 * c.num_candidates + c.num_negatives + 2,
    "mcns": lambda c: 1 + c.mcns_burn + c.mcns_thin * c.num_negatives + c.num_negatives + 1,
    "dns": lambda c: c.num_candidates * c.num_negatives + c.num_negatives + 1,
    "srns": lambda c: (
        16 * c.num_negatives + 1 + c.srns_window * (8 * c.num_negatives + 1) + c.num_negatives + 1
    ),
}
"""The scores per pair that a step sums, by sampler: the table of docs/scale.md."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared(Checked):
    """What to train, and by how many workers."""

    shape: str = option("small", "size of the graph", one_of(*SHAPES))
    samplers: str = option(",".join(SCORES), "negative samplers", some_of(*SCORES))
    workers: str = option("1,2,4", "numbers of workers", some_of(*COUNTS))
    dim: int = option(64, "columns of the embeddings", whole(8, 4096))
    batch_size: int = option(8192, "pairs of a batch", whole(1, 1_000_000))
    steps: int = option(3, "measured steps, after a first one", whole(1, 1000))
    output: str = option("runs/workers-bench", "folder of the numbers and the pictures", A_FOLDER)


class Point(NamedTuple):
    """What was measured of some workers.

    Attributes:
        sampler: its name.
        workers: how many there were.
        sent: bytes of a step over the loopback.
        model_sent: those of the cost model.
        memory: bytes that the model and its steps add to the last worker.
        model_memory: those that a run requires before it starts (training/memory.py), and pairs.
        building: those that were needed to build the model.
    """

    sampler: str
    workers: int
    sent: float
    model_sent: float
    memory: float
    model_memory: float
    building: float


def measure(compared: Compared) -> list[Point]:
    """Measure a step with every sampler and number of workers."""
    tasks = [
        (sampler, int(count))
        for sampler in compared.samplers.split(",")
        for count in compared.workers.split(",")
    ]
    return [
        measure_one(compared, sampler, count)
        for sampler, count in tqdm(tasks, desc="measuring", disable=None)
    ]


def measure_one(compared: Compared, sampler: str, count: int) -> Point:
    """Measure a step of some workers, processes of their own; see benchmarks/worker.py."""
    with tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.asdict(compared) | {"sampler": sampler, "folder": folder}
        command = [sys.executable, "-m", "benchmarks.worker", json.dumps(settings)]
        run_together(command, count, Path(folder))
        found = [json.loads((Path(folder) / f"{n}.json").read_text()) for n in range(count)]
    summed = 4 * compared.batch_size * SCORES[sampler](Config.for_run("random", "lightgcn"))
    return Point(
        sampler,
        count,
        found[0]["sent"],
        # In a ring, a sum makes the way around twice, without the last step.
        2 * (count - 1) * summed,
        found[-1]["memory"],
        found[-1]["model_memory"],
        found[-1]["building"],
    )


def table(points: list[Point]) -> str:
    """Return the points as a Markdown table."""
    lines = [
        "| sampler | workers | MB sent per step | cost model | MB in a step | cost model "
        "| MB to build |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in points:
        numbers = (each.sent, each.model_sent, each.memory, each.model_memory, each.building)
        cells = " | ".join(f"{number / MEGA:,.2f}" for number in numbers)
        lines.append(f"| `{each.sampler}` | {each.workers} | {cells} |")
    return "\n".join(lines)


def draw(points: list[Point], folder: Path) -> None:
    """Draw what a step sends, and what it needs in a worker, by the number of workers."""
    several = [each for each in points if each.workers > 1]
    for name, drawn, label in (
        ("sent", several, "MB sent per step, by all workers"),
        ("memory", points, "MB that a step needs in a worker"),
    ):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        lines(axes, drawn, name, label)
        if name == "sent":
            axes.set_yscale("log")
        figures.save_figure(figure, folder / name)


def lines(axes: Axes, points: list[Point], name: str, label: str) -> None:
    """Draw a measured number by sampler, and dashed lines of the cost model."""
    for number, sampler in enumerate(dict.fromkeys(each.sampler for each in points)):
        own = [each for each in points if each.sampler == sampler]
        counts = [each.workers for each in own]
        color = f"C{number}"
        for part, style in ((name, "o"), (f"model_{name}", "--")):
            values = [getattr(each, part) / MEGA for each in own]
            axes.plot(counts, values, style, color=color, label=sampler if style == "o" else None)
    axes.plot([], [], "--", color="0.4", label="cost model")
    axes.set(xlabel="workers", ylabel=label, xticks=sorted({each.workers for each in points}))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))


def main(call: Call) -> None:
    """Run the benchmark."""
    compared = call.settings(Compared)
    points = measure(compared)
    folder = Path(compared.output)
    folder.mkdir(parents=True, exist_ok=True)
    print(table(points))
    found: dict[str, Any] = {"settings": dataclasses.asdict(compared)}
    write_json(folder / "workers.json", found | {"points": [each._asdict() for each in points]})
    draw(points, folder)


COMMAND = Command(
    about=__doc__ or "",
    words="",
    example="--shape=small --samplers=unins,dns",
    settings=(Compared,),
    run=main,
    interrupted="nothing is written",
)

if __name__ == "__main__":
    app.run(COMMAND, sys.argv[1:], "python -m benchmarks.workers")
