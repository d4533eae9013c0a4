"""Run benchmarks at one or more sizes.

Each benchmark runs in its own process, one after the other. Run nothing else on the machine
meanwhile. The folder --output then holds WHAT-SHAPE.json of each benchmark, and table.md, bench.png
and bench.svg of all files in it.

`peers` and `service` run only if they are named, alone and without flags.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import pictures
from benchmarks.graphs import SHAPES
from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import A_DURATION, A_FOLDER, Checked, option, some_of
from recns_tf.errors import UserError
from recns_tf.utils import markdown
from recns_tf.utils.files import write_text

WHATS = {
    "propagation": "a step's propagation, relative to the memory bound and to other methods",
    "step": "the parts of a LightGCN step with RecNS",
    "samplers": "a LightGCN step with every sampler",
    "kernels": "a step with TensorFlow's kernels, relative to compiled ones",
    "encoders": "a step of every encoder",
    "scaling": "a step and a region on a quarter, a half and the whole of the graph",
    "regions": "building regions and drawing from them",
    "ranking": "top-20 lists with both engines and other methods",
    "recommend": "lists for all users in every format, against a bare search",
    "formats": "reading a log in every format",
    "startup": "the start of a run up to its first step, against the import of TensorFlow",
    "epoch": "a whole epoch: load, first step, input, validation, checkpoint, memory",
}

APART = {
    "peers": "LightGCN beside that of RecBole, which is installed on first use",
    "service": "the service under load, and killed",
}
"""Benchmarks with flags of their own, which run only if they are named."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmarks(Checked):
    """Settings that all benchmarks share."""

    shapes: str = option("small,zhihu", "sizes of the graph", some_of(*SHAPES))
    rounds: int = option(5, "timed rounds, after an untimed one", A_DURATION)
    output: str = option("runs/bench", "folder for the results", A_FOLDER)


def main(call: Call) -> None:
    """Run the benchmarks named on the command line, or all of them."""
    known = WHATS | APART
    for word in call.words:
        if word not in known:
            raise UserError(f"unknown benchmark '{word}': choose some of {', '.join(known)}.")
    settings = call.settings(Benchmarks)
    if APART.keys() & set(call.words):
        run_apart(call)
        return
    folder = Path(settings.output)
    folder.mkdir(parents=True, exist_ok=True)
    plan = [(what, shape) for shape in settings.shapes.split(",") for what in call.words or WHATS]
    failed = []
    for number, (what, shape) in enumerate(plan, 1):
        print(f"[{number} of {len(plan)}] {what}, {shape}: {WHATS[what]}", flush=True)
        start = time.monotonic()
        command = [sys.executable, "-m", f"benchmarks.{what}", f"--shape={shape}"]
        command += [f"--rounds={settings.rounds}", f"--json={folder / f'{what}-{shape}.json'}"]
        if subprocess.run(command, check=False).returncode:
            failed.append(f"{what} at {shape}")
        print(f"{time.monotonic() - start:.0f} s\n", flush=True)
    found = read(folder)
    write_text(folder / "table.md", "\n".join(as_markdown(found)) + "\n")
    pictures.draw(found, folder)
    print(f"{folder}/: table.md bench.png bench.svg, and a JSON file for each benchmark")
    if failed:
        raise UserError(f"failed, see above: {', '.join(failed)}.")


def run_apart(call: Call) -> None:
    """Run a benchmark that has flags of its own, with their defaults.

    Raises:
        UserError: there are other words or flags, or it fails.
    """
    what = next(word for word in call.words if word in APART)
    given = [
        field.name for field in dataclasses.fields(Benchmarks) if call.flags[field.name].present
    ]
    if len(call.words) > 1 or given:
        raise UserError(
            f"'bench {what}' takes no other words and no flags: its own flags are those of "
            f".venv/bin/python -m benchmarks.{what}."
        )
    print(f"{what}: {APART[what]}", flush=True)
    if subprocess.run([sys.executable, "-m", f"benchmarks.{what}"], check=False).returncode:
        raise UserError(f"failed, see above: {what}.")


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the results in a folder, ordered by SHAPES and WHATS."""
    paths = [folder / f"{what}-{shape}.json" for shape in SHAPES for what in WHATS]
    return [
        json.loads(path.read_text(encoding="utf-8")) | {"size": path.stem.rpartition("-")[2]}
        for path in paths
        if path.exists()
    ]


def as_markdown(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines of a Markdown document with a table for each benchmark."""
    lines = []
    for each in found:
        shape = each["shape"]
        size = f"{shape['users']:,} users, {shape['items']:,} items, {shape['edges']:,} train pairs"
        machine = each["machine"]
        lines += [f"## {each['what']}, {each['size']}", "", f"{each['about']}; {size}.", ""]
        head = ("", "ms", f"× {each['against']}", "processor ms", f"× {each['against']}")
        lines += markdown.table(head, map(cells, each["rows"]))
        lines += ["", *(f"- {name}: {value:,}" for name, value in each["notes"].items())]
        lines += ["", f"{machine['processor']}, {machine['cores']} cores; {each['git_commit']}", ""]
    return lines


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the table cells of a row of results."""
    busy = ("", "")
    if "busy_ratio" in row:
        busy = (f"{row['busy_milliseconds']:,.1f}", f"{row['busy_ratio']:.2f}")
    return (row["name"], f"{row['milliseconds']:,.1f}", f"{row['ratio']:.2f}", *busy)


COMMAND = Command(
    about=__doc__ or "",
    words="[WHAT…]",
    example="ranking --shapes=small",
    settings=(Benchmarks,),
    run=main,
    interrupted="finished measurements are kept",
)
