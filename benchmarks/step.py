"""A training step taken apart: propagation, choosing negatives, loss, input.

Run: .venv/bin/python -m benchmarks.step [--encoder=lightgcn --sampler=recns]

`propagation` is forward and backward; `and choosing` is its forward part and the choice of
negatives; `loss and its gradient` is all but the optimiser. Settings are those of the encoder's
flagfile. The defaults are the size of Zhihu.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import app, flags

from benchmarks import alternating
from benchmarks.graphs import ZHIHU, random_interactions
from recns_tf import draws, training
from recns_tf.experiments import settings

USERS = flags.DEFINE_integer("users", ZHIHU[0], "number of users", lower_bound=1)
ITEMS = flags.DEFINE_integer("items", ZHIHU[1], "number of items", lower_bound=1)
EDGES = flags.DEFINE_integer("edges", ZHIHU[2], "train pairs, about", lower_bound=1)
ENCODER = flags.DEFINE_string("encoder", "lightgcn", "which encoder")
SAMPLER = flags.DEFINE_string("sampler", "recns", "which sampler")
ROUNDS = flags.DEFINE_integer("rounds", 5, "rounds timed, after one that is not", lower_bound=1)
JSON = flags.DEFINE_bool("json", False, "print figures as JSON")


def measure() -> dict[str, Any]:
    """Return the figures of one encoder with one sampler."""
    config = settings.read("random", ENCODER.value, settings.flagfiles("random", ENCODER.value))
    config = dataclasses.replace(config, sampler=SAMPLER.value)
    interactions = random_interactions(USERS.value, ITEMS.value, EDGES.value)
    model, pipeline, region = training.build(config, interactions)
    region.prepare(0)
    model.sampler.begin_epoch(config.generator_warmup, model.encoder)
    batches = iter(pipeline.batches())
    batch = next(batches)
    weights = model.encoder.trainable_variables
    seed = draws.root(0)

    def slopes(value: Callable[[], tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            total = value()
        found = tape.gradient(total, [weight.value for weight in weights])
        return [tf.convert_to_tensor(part) for part in found if part is not None]

    @tf.function(jit_compile=False)
    def propagation() -> list[tf.Tensor]:
        def value() -> tf.Tensor:
            tables = model.encoder.encode(True, seed)
            users, items = tf.range(USERS.value), tf.range(ITEMS.value)
            every = tables.users(users), tables.items(items)
            return tf.reduce_sum(tf.square(every[0])) + tf.reduce_sum(tf.square(every[1]))

        return slopes(value)

    @tf.function(jit_compile=False)
    def forward() -> tf.Tensor:
        return model.encoder.encode(True, seed).frozen().users(tf.range(1))

    @tf.function(jit_compile=False)
    def choosing() -> tf.Tensor:
        tables = model.encoder.encode(True, seed)
        known = tables.cached() if model.sampler.scores_many else tables.frozen()
        return model.sampler.choose(batch, known, batch.seed).ids

    @tf.function(jit_compile=False)
    def gradient() -> list[tf.Tensor]:
        return slopes(lambda: model.compute(batch)["loss"])

    step = tf.function(model.train_step, jit_compile=False)
    functions: dict[str, Callable[[], Any]] = {
        "step": lambda: step(batch),
        "propagation": propagation,
        "propagation, forward": forward,
        "and choosing": choosing,
        "loss and its gradient": gradient,
        "input": lambda: next(batches),
    }
    timings = alternating.time_all(functions, ROUNDS.value)
    return {
        "shape": [USERS.value, ITEMS.value, interactions.train.nnz],
        "encoder": ENCODER.value,
        "sampler": SAMPLER.value,
        "steps_an_epoch": pipeline.steps_per_epoch,
        "rows": alternating.rows(timings, "propagation"),
    }


def main(_: list[str]) -> None:
    """Time the parts and print medians and ratios."""
    found = measure()
    about = f"{ENCODER.value} with {SAMPLER.value}, {found['steps_an_epoch']} steps an epoch"
    alternating.show(found, about, "propagation", JSON.value)


if __name__ == "__main__":
    app.run(main)
