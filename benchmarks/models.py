"""Models in training on a random graph: a training step, and the propagation alone."""

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


class ReadyModel(NamedTuple):
    """A model past its warm-up, with its data.

    Attributes:
        interactions: the dataset.
        config: settings, from the encoder's flagfile.
        model: the model.
        pipeline: draws its batches.
        batches: an endless stream of batches.
    """

    interactions: Interactions
    config: Config
    model: SampledRec
    pipeline: Pipeline
    batches: Iterator[Batch]


def make_ready_model(
    interactions: Interactions,
    encoder: str,
    sampler: str,
    cache: Path | None = None,
    **settings: Any,
) -> ReadyModel:
    """Return a model that is ready for its first step.

    Args:
        interactions: the dataset.
        encoder: name of the encoder.
        sampler: name of the sampler.
        cache: folder of cached regions, if any.
        **settings: further settings of the model.
    """
    config = Config.for_run("random", encoder)
    config = dataclasses.replace(config, sampler=sampler, **settings)
    model, pipeline = profiling.past_warmup(config, interactions, cache)
    return ReadyModel(interactions, config, model, pipeline, iter(pipeline.batches()))


def make_step(ready: ReadyModel) -> Callable[[], Any]:
    """Return a function that takes one training step, always on the same batch."""
    batch = next(ready.batches)
    step = tf.function(ready.model.train_step, jit_compile=False, autograph=False)
    return lambda: step(batch)


def make_propagation(ready: ReadyModel) -> Callable[[], Any]:
    """Return a function that encodes all nodes and computes the gradient of a loss on them."""
    encoder, seed = ready.model.encoder, random.root(0)
    users, items = tf.range(ready.interactions.num_users), tf.range(ready.interactions.num_items)

    def value() -> tf.Tensor:
        tables = encoder.encode(True, seed)
        every = tables.users(users), tables.items(items)
        return tf.reduce_sum(tf.square(every[0])) + tf.reduce_sum(tf.square(every[1]))

    return tf.function(lambda: gradients(ready.model, value), jit_compile=False, autograph=False)


def gradients(model: SampledRec, value: Callable[[], tf.Tensor]) -> list[tf.Tensor]:
    """Return the gradients of a value with respect to the encoder weights it depends on."""
    weights = model.encoder.trainable_variables
    with tf.GradientTape() as tape:
        total = value()
    found = tape.gradient(total, [weight.value for weight in weights])
    return [tf.convert_to_tensor(part) for part in found if part is not None]
