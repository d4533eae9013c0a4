"""Building a region, drawing its pools, and drawing from it, relative to a training step.

Run: .venv/bin/python -m benchmarks.regions [--shape=zhihu]

A region is built once per dataset and cached. Pools are drawn if no exact form fits into
--region_memory. M = 20 candidates are drawn for every pair of every step. The notes give the
64-item words that the walks OR per second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.models import make_ready_model, make_step
from benchmarks.quiet import tf
from recns_tf.ops.bitmap import Bitmap
from recns_tf.ops.item_sets import ComplementItems, ItemSets, ListedItems, Pool
from recns_tf.ops.random import without_replacement
from recns_tf.regions.kernels import WORD
from recns_tf.regions.pools import draw_pools
from recns_tf.regions.region import Region, build_region

KHOPS = (3, 5)
POOL_SIZE = 512
BITMAP_GIGABYTES = 4


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Measure building and drawing, relative to a LightGCN step with RecNS."""
    interactions = random_interactions(shape)
    train = interactions.train
    ready = make_ready_model(interactions, "lightgcn", "recns")
    regions: dict[int, Region] = {}

    def build(khop: int) -> Callable[[], None]:
        return lambda: regions.update({khop: build_region(train, khop=khop)})

    functions: dict[str, Callable[[], Any]] = {"step": make_step(ready)}
    functions |= {f"region, khop {khop}": build(khop) for khop in KHOPS}
    functions[f"pools of {POOL_SIZE}"] = lambda: draw_pools(regions[KHOPS[-1]], POOL_SIZE, seed=0)
    users = next(ready.batches).users
    for name, sets in make_item_sets(train).items():
        functions[f"draw from {name}"] = make_draw(sets, users, ready.config.num_candidates)
    timings = alternating.time_all(functions, rounds)
    notes: dict[str, float] = {}
    for khop in KHOPS:
        words = train.nnz * (khop - 1) * train.shape[1] / WORD
        seconds = timings[f"region, khop {khop}"].wall
        notes[f"khop {khop}, G words per second"] = round(words / seconds / 1e9, 2)
        notes[f"khop {khop}, share of the items"] = round(regions[khop].coverage()["mean"], 3)
    return measuring.report("regions", "step: lightgcn with recns", shape, timings, "step", notes)


def make_item_sets(train: csr_array) -> dict[str, ItemSets]:
    """Return item sets of every storage form; pools and bitmaps have random content.

    The bitmap is left out if it would take more than BITMAP_GIGABYTES.
    """
    rng = np.random.default_rng(0)
    num_users, num_items = train.shape
    pool = Pool(num_users, num_items, POOL_SIZE)
    pool.assign(
        rng.integers(0, num_items, (num_users, POOL_SIZE), dtype=np.int32),
        np.full(num_users, POOL_SIZE, np.int32),
    )
    found: dict[str, ItemSets] = {
        "lists of what is missing": ComplementItems(train),
        "lists": ListedItems(train),
        "pools": pool,
    }
    if num_users * num_items / 8e9 <= BITMAP_GIGABYTES:
        words = rng.integers(0, 2**63, (num_users, -(-num_items // WORD)), dtype=np.uint64)
        found["a bitmap, half full"] = Bitmap(words, num_items)
    return found


def make_draw(sets: ItemSets, users: tf.Tensor, num_candidates: int) -> Callable[[], tf.Tensor]:
    """Return a function that draws candidates for users, different ones on each call."""
    draw = tf.function(
        lambda number: without_replacement(
            sets, users, num_candidates, tf.stack([number, tf.zeros_like(number)])
        ),
        autograph=False,
    )
    numbers = iter(range(10**6))
    return lambda: draw(tf.constant(next(numbers), tf.int64))


if __name__ == "__main__":
    measuring.run(measure)
