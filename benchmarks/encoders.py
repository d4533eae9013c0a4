"""Encoders and samplers: milliseconds of a training step, seconds of an epoch, peak memory.

Run: .venv/bin/python -m benchmarks.encoders [--users=16015 --items=44175 --edges=2630000]
     .venv/bin/python -m benchmarks.encoders --encoders=lightgcn --samplers=all

Each encoder with each sampler trains in a process of its own, with the settings of its
flagfile, on a random graph of the size of Zhihu unless flags say otherwise. Its steps are given
beside those of the first of them, and how much of a step is spent choosing negatives. Peak memory
is that of the whole process, data and region included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.graphs import ZHIHU, random_interactions
from benchmarks.memory import peak_gigabytes
from recns_tf import options
from recns_tf.catalog import ENCODERS, SAMPLERS
from recns_tf.config import Config
from recns_tf.errors import UserError

USERS = flags.DEFINE_integer("users", ZHIHU[0], "number of users", lower_bound=1)
ITEMS = flags.DEFINE_integer("items", ZHIHU[1], "number of items", lower_bound=1)
EDGES = flags.DEFINE_integer("edges", ZHIHU[2], "train pairs, about", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 8, "steps timed, after two that are not", lower_bound=1)
NAMES = flags.DEFINE_list("encoders", list(ENCODERS), "which encoders")
CHOSEN = flags.DEFINE_list("samplers", ["recns", "unins"], "which samplers; all for every one")


def one(settings: Config) -> None:
    """Time the steps of one model and print the figures as JSON."""
    import tensorflow as tf

    from recns_tf import training

    interactions = random_interactions(USERS.value, ITEMS.value, EDGES.value)
    model, pipeline, region_sets = training.build(settings, interactions)
    region_sets.prepare(0)
    model.sampler.begin_epoch(settings.generator_warmup, model.encoder)
    step = tf.function(model.train_step, jit_compile=False)
    seconds, sampling = [], []
    for batch in pipeline.batches().take(STEPS.value + 2):
        start = time.perf_counter()
        sampling.append(step(batch)["sampling_seconds"].numpy())
        seconds.append(time.perf_counter() - start)
    median = float(np.median(seconds[2:]))
    figures = {
        "milliseconds": median * 1e3,
        "sampling_milliseconds": float(np.median(np.diff(sampling)[1:])) * 1e3,
        "epoch_seconds": median * pipeline.steps_per_epoch,
        "peak_gigabytes": peak_gigabytes(),
    }
    print(json.dumps(figures))


def main(words: list[str]) -> None:
    """Time every encoder with every sampler, or the encoder that a word names."""
    if len(words) == 2:
        one(options.from_flags(Config, dataset="random", encoder=words[1]))
        return
    if len(words) != 1:
        raise UserError("no word is needed: choose with --encoders and --samplers.")
    sizes = [f"--{flag.name}={flag.value}" for flag in (USERS, ITEMS, EDGES, STEPS)]
    first = None
    print(
        f"{'':20}{'ms a step':>12}{'of the first':>14}{'ms sampling':>13}{'s an epoch':>12}"
        f"{'GB, peak':>10}"
    )
    for encoder in NAMES.value:
        for sampler in SAMPLERS if CHOSEN.value == ["all"] else CHOSEN.value:
            flagfile = Path("flags") / f"{encoder}.flags"
            command = [sys.executable, "-m", "benchmarks.encoders", encoder, *sizes]
            command += [f"--flagfile={flagfile}", f"--sampler={sampler}"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            figures = json.loads(done.stdout.splitlines()[-1])
            first = first or figures["milliseconds"]
            print(
                f"{encoder + ' ' + sampler:20}{figures['milliseconds']:>12.0f}"
                f"{figures['milliseconds'] / first:>14.2f}"
                f"{figures['sampling_milliseconds']:>13.0f}{figures['epoch_seconds']:>12.0f}"
                f"{figures['peak_gigabytes']:>10.2f}"
            )


if __name__ == "__main__":
    options.define_flags(Config)
    app.run(main)
