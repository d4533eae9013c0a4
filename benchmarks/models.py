"""A model in training on a random graph: its step, and its propagation alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.quiet import tf
from recns_tf.config.config import Config
from recns_tf.interactions import Interactions
from recns_tf.ops import random
from recns_tf.samplers.batch import Batch
from recns_tf.training import profiling
from recns_tf.training.pipeline import Pipeline
from recns_tf.training.sampled_rec import SampledRec


class Ready(NamedTuple):
    """A model past its warm-up, and what it trains on.

    Attributes:
        interactions: the graph.
        config: the model's settings, those of the encoder's flagfile.
        model: it.
        pipeline: draws its batches.
        batches: of an endless epoch.
    """

    interactions: Interactions
    config: Config
    model: SampledRec
    pipeline: Pipeline
    batches: Iterator[Batch]


def ready(
    interactions: Interactions, encoder: str, sampler: str, cache: Path | None = None
) -> Ready:
    """Return a model at its first step.

    Args:
        interactions: to train on.
        encoder, sampler: names of the catalogue.
        cache: folder to keep the region in, if any.
    """
    config = Config.for_run("random", encoder)
    config = dataclasses.replace(config, sampler=sampler)
    model, pipeline = profiling.past_warmup(config, interactions, cache)
    return Ready(interactions, config, model, pipeline, iter(pipeline.batches()))


def stepping(its: Ready) -> Callable[[], Any]:
    """Return a function that takes one training step, always of the same batch."""
    batch = next(its.batches)
    step = tf.function(its.model.train_step, jit_compile=False)
    return lambda: step(batch)


def propagating(its: Ready) -> Callable[[], Any]:
    """Return a function that encodes every node and takes a loss of all of them back again."""
    encoder, seed = its.model.encoder, random.root(0)
    users, items = tf.range(its.interactions.num_users), tf.range(its.interactions.num_items)

    def value() -> tf.Tensor:
        tables = encoder.encode(True, seed)
        every = tables.users(users), tables.items(items)
        return tf.reduce_sum(tf.square(every[0])) + tf.reduce_sum(tf.square(every[1]))

    return tf.function(lambda: slopes(its.model, value), jit_compile=False)


def slopes(model: SampledRec, value: Callable[[], tf.Tensor]) -> list[tf.Tensor]:
    """Return the gradients of a value by the encoder's weights, those that it depends on."""
    weights = model.encoder.trainable_variables
    with tf.GradientTape() as tape:
        total = value()
    found = tape.gradient(total, [weight.value for weight in weights])
    return [tf.convert_to_tensor(part) for part in found if part is not None]
