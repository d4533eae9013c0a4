"""Regions: seconds and memory of building them, by size; milliseconds of drawing from them.

Run: .venv/bin/python -m benchmarks.regions build [--users=434442 --items=227410 --edges=5700000]
     .venv/bin/python -m benchmarks.regions scaling [--plot=docs/regions-scaling.png]
     .venv/bin/python -m benchmarks.regions draws

`build` times one region, and pools with --pool_size=512. `scaling` builds three sizes, each in a
process of its own. `draws` times candidates from every form of storage beside a training step, in
alternating rounds of one run. Sizes are those of Zhihu unless flags say otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import app, flags
from matplotlib.figure import Figure

from benchmarks.graphs import ZHIHU, random_interactions, random_train
from benchmarks.memory import peak_gigabytes
from recns_tf.errors import UserError
from recns_tf.kernels import WORD
from recns_tf.pools import draw_pools
from recns_tf.regions import build_region

USERS = flags.DEFINE_integer("users", ZHIHU[0], "number of users", lower_bound=1)
ITEMS = flags.DEFINE_integer("items", ZHIHU[1], "number of items", lower_bound=1)
EDGES = flags.DEFINE_integer("edges", ZHIHU[2], "train pairs, about", lower_bound=1)
KHOP = flags.DEFINE_integer("khop", 3, "steps of the walk", lower_bound=3)
MEMORY = flags.DEFINE_float("region_memory", 2.0, "gigabytes for the exact region")
POOL = flags.DEFINE_integer("pool_size", 0, "items in a pool; 0 for no pools")
PLOT = flags.DEFINE_string("plot", "", "PNG to draw the scaling into")
JSON = flags.DEFINE_bool("json", False, "print figures as JSON")
ROUNDS = flags.DEFINE_integer("rounds", 15, "rounds timed, after two that are not", lower_bound=1)

SCALES = (0.25, 0.5, 1.0)


def build() -> None:
    """Build one region, with compilation where the compiled code is not cached."""
    train = random_train(USERS.value, ITEMS.value, EDGES.value)
    start = time.perf_counter()
    region = build_region(train, khop=KHOP.value, memory=MEMORY.value)
    seconds = time.perf_counter() - start
    assert region.form is not None
    work = train.nnz * (KHOP.value - 1) * train.shape[1] / WORD
    figures = {
        "users": USERS.value,
        "items": ITEMS.value,
        "edges": train.nnz,
        "khop": KHOP.value,
        "words": work,
        "seconds": seconds,
        "peak_gigabytes": peak_gigabytes(),
        "coverage": region.coverage()["mean"],
        "stored_as": region.form.name,
        "stored_megabytes": sum(array.nbytes for array in region.form.arrays.values()) / 1e6,
    }
    if POOL.value:
        start = time.perf_counter()
        pools, _ = draw_pools(region, POOL.value, seed=0)
        figures["pool_seconds"] = time.perf_counter() - start
        figures["pool_megabytes"] = pools.nbytes / 1e6
        figures["peak_gigabytes"] = peak_gigabytes()
    for name, value in figures.items() if not JSON.value else ():
        print(f"{name:18}{value:>16,.4g}" if isinstance(value, float) else f"{name:18}{value:>16}")
    if JSON.value:
        print(json.dumps(figures))


def scaling() -> None:
    """Build three sizes, edges and nodes in proportion, and compare time with work."""
    rows = []
    for scale in SCALES:
        sizes = (USERS.value, ITEMS.value, EDGES.value)
        words = [
            f"--{name}={int(size * scale)}"
            for name, size in zip(("users", "items", "edges"), sizes, strict=True)
        ]
        command = [sys.executable, "-m", "benchmarks.regions", "build", "--json", *words]
        done = subprocess.run(
            [*command, f"--khop={KHOP.value}"], capture_output=True, text=True, check=True
        )
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(
            f"{row['edges']:>10,} edges, {row['items']:>8,} items: {row['seconds']:7.2f} s, "
            f"{row['words'] / row['seconds'] / 1e9:6.2f} G words a second, "
            f"{row['peak_gigabytes']:5.2f} GB"
        )
    if PLOT.value:
        figure = Figure(figsize=(5, 4), layout="constrained")
        axes = figure.subplots()
        work, seconds = ([row[name] for row in rows] for name in ("words", "seconds"))
        axes.plot(work, seconds, marker="o", label="measured")
        axes.plot(
            work,
            [seconds[-1] * words / work[-1] for words in work],
            linestyle=":",
            label="in proportion to the work",
        )
        axes.set(xlabel="edges x (khop - 1) x items / 64, words", ylabel="seconds")
        axes.legend()
        axes.grid(alpha=0.3)
        figure.savefig(PLOT.value, dpi=120)
        print(Path(PLOT.value))


def draws() -> None:
    """Time M candidates for a batch from every form of storage, beside a whole step."""
    import tensorflow as tf

    from recns_tf import training
    from recns_tf.bitmap import Bitmap
    from recns_tf.config import Config
    from recns_tf.draws import without_replacement
    from recns_tf.item_sets import Complement, ItemSets, Listed, Pool

    config = Config(num_candidates=20, batch_size=8192)
    interactions = random_interactions(USERS.value, ITEMS.value, EDGES.value)
    train = interactions.train
    rng = np.random.default_rng(0)
    model, pipeline, _ = training.build(config, interactions)
    batch = next(iter(pipeline.batches()))
    step = tf.function(model.train_step, jit_compile=False)

    sample = rng.integers(0, 2**63, (USERS.value, -(-ITEMS.value // WORD)), dtype=np.uint64)
    pool = Pool(USERS.value, ITEMS.value, 512)
    pool.assign(
        rng.integers(0, ITEMS.value, (USERS.value, 512), dtype=np.int32),
        np.full(USERS.value, 512, np.int32),
    )
    forms: dict[str, ItemSets] = {
        "lists of what is missing": Complement(train),
        "lists": Listed(train),
        "bitmap, half full": Bitmap(sample, ITEMS.value),
        "pools of 512": pool,
    }

    def drawing(sets: ItemSets) -> Callable[[], object]:
        function = tf.function(
            lambda number: without_replacement(
                sets, batch.users, config.num_candidates, tf.stack([number, 0])
            )
        )
        numbers = iter(range(10**6))
        return lambda: function(tf.constant(next(numbers), tf.int64)).numpy()

    timed: dict[str, Callable[[], object]] = {"training step": lambda: step(batch)["loss"].numpy()}
    timed |= {name: drawing(sets) for name, sets in forms.items()}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(ROUNDS.value + 2):
        for name, call in timed.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(times[2:])) for name, times in seconds.items()}
    for name, median in medians.items():
        share = median / medians["training step"]
        print(f"{name:26}{median * 1e3:9.1f} ms{share:9.1%} of a step")


COMMANDS = {"build": build, "scaling": scaling, "draws": draws}


def main(words: list[str]) -> None:
    """Run the command that the first word names."""
    if len(words) != 2 or words[1] not in COMMANDS:
        raise UserError(f"one word is needed, one of {', '.join(COMMANDS)}.")
    COMMANDS[words[1]]()


if __name__ == "__main__":
    app.run(main)
