"""The time from the start of the program to the end of its first step, in new processes.

Run: .venv/bin/python -m benchmarks.startup [--shape=small --sampler=recns]

Everything is relative to a process that imports TensorFlow alone. The synthetic dataset and its
region are prepared beforehand. `until the first step` includes the import of TensorFlow and of all
other packages; `until the second step` also the tracing of the step.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

import numpy as np

from benchmarks import epoch, measuring
from benchmarks.alternating import Timing
from benchmarks.graphs import Shape
from recns_tf.config.config import Config

BASE = "import of TensorFlow"
COMMANDS = {
    BASE: [sys.executable, "-c", "import tensorflow"],
    "--help": [sys.executable, "-m", "recns_tf", "--help"],
}


def call(command: list[str]) -> tuple[str, Timing]:
    """Run a command, and return what it prints and how long it takes."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, Timing(time.perf_counter() - start, busy)


def arguments(config: Config, folder: str) -> list[str]:
    """Return the command line, without the program, of a run on the dataset in a folder."""
    names = ("sampler", "epochs", *(n for n in vars(config) if n.startswith("synthetic_")))
    flags = [f"--{name}={getattr(config, name)}" for name in names]
    return [config.dataset, config.encoder, *flags, f"--data_dir={folder}", f"--runs_dir={folder}"]


def measure(shape: Shape, rounds: int, chosen: measuring.Model) -> measuring.Report:
    """Measure the parts of the start of a run, relative to the import of TensorFlow.

    Args:
        shape: size of the graph.
        rounds: timed rounds, after an untimed one.
        chosen: the model.
    """
    config = epoch.settings(shape, chosen)
    times: dict[str, list[Timing]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        epoch.prepare_elsewhere(config, folder)
        program = [sys.executable, "-m", "benchmarks.first_step"]
        for _ in range(rounds + 1):
            for name, command in COMMANDS.items():
                times[name].append(call(command)[1])
            line = [*program, str(time.perf_counter()), *arguments(config, folder)]
            found = json.loads(call(line)[0])
            for name, part in found["ends"].items():
                times[name].append(Timing(*part))
    medians = {name: Timing(*np.median(np.array(each[1:]), axis=0)) for name, each in times.items()}
    about = f"{config.encoder} with {config.sampler}, medians of {rounds} processes"
    notes = {"peak gigabytes of a run": round(found["gigabytes"], 2)}
    return measuring.report("startup", about, shape, medians, BASE, notes)


if __name__ == "__main__":
    measuring.run(measure, measuring.Model)
