"""Training batches as a tf.data stream: pairs, candidates and exposures (§2.3, §4)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from recns_tf.interactions import Interactions, to_pairs
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets, ListedItems
from recns_tf.ops.random import Purpose
from recns_tf.samplers.batch import Batch
from recns_tf.training.pair_sampling import PAIR_SAMPLINGS


class Pipeline:
    """Streams the train pairs of a dataset, those of users who have an unobserved item.

    What is drawn depends on (seed, epoch, step) alone.

    Args:
        interactions: the dataset.
        region: what candidates are drawn from.
        batch_size: B.
        num_candidates: M.
        seed: the run's seed.
        with_candidates, with_exposed: whether the sampler reads them.
        pair_sampling: one of PAIR_SAMPLINGS.
    """

    def __init__(
        self,
        interactions: Interactions,
        region: ItemSets,
        *,
        batch_size: int,
        num_candidates: int,
        seed: int,
        with_candidates: bool,
        with_exposed: bool,
        pair_sampling: str = "edges",
    ):
        self.region = region
        self.exposures = ListedItems(interactions.exposed)
        self.num_candidates = num_candidates
        self.seed = seed
        self.with_candidates = with_candidates or with_exposed
        self.with_exposed = with_exposed
        pairs = to_pairs(interactions.train)
        unobserved = interactions.num_items - np.diff(interactions.train.indptr)
        pairs = pairs[unobserved[pairs[:, 0]] > 0]
        self.users = tf.constant(pairs[:, 0], tf.int32)
        self.items = tf.constant(pairs[:, 1], tf.int32)
        self.pairs = PAIR_SAMPLINGS[pair_sampling](pairs[:, 0], batch_size)
        self.steps_per_epoch = self.pairs.steps

    def batches(self, first_epoch: int = 0) -> tf.data.Dataset:
        """Return the endless stream of Batch from the start of `first_epoch` on.

        Batches are made ahead within an epoch only: what is drawn from may change between two.
        """
        epochs = tf.data.Dataset.counter(start=first_epoch)
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False
        return epochs.flat_map(
            lambda epoch: self.epoch(epoch).prefetch(tf.data.AUTOTUNE)
        ).with_options(options)

    def epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Return the stream of one epoch's batches; `epoch` is an int64 scalar from 0."""
        seed = random.stream(random.root(self.seed), Purpose.TRAINING, epoch)
        shared = self.pairs.prepare(random.stream(seed, Purpose.PAIRS))

        def batch(step: tf.Tensor) -> Batch:
            step_seed = random.stream(seed, Purpose.STEPS, step)
            chosen = self.pairs.choose(shared, step, random.stream(step_seed, Purpose.PAIRS))
            return self.draw(chosen, step_seed)

        steps = tf.data.Dataset.range(self.steps_per_epoch)
        return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def draw(self, chosen: tf.Tensor, seed: tf.Tensor) -> Batch:
        """Return the Batch of the pairs numbered `chosen` [B], drawn from the step's seed."""
        users = tf.gather(self.users, chosen)
        candidates = exposed = tf.zeros([tf.size(users), 0], tf.int32)
        if self.with_candidates:
            candidates = random.without_replacement(
                self.region,
                users,
                self.num_candidates,
                random.stream(seed, Purpose.CANDIDATES),
            )
        if self.with_exposed:
            shown = random.without_replacement(
                self.exposures,
                users,
                self.num_candidates,
                random.stream(seed, Purpose.EXPOSED),
            )
            exposed = tf.where(self.exposures.count(users)[:, None] > 0, shown, candidates)
        return Batch(users, tf.gather(self.items, chosen), candidates, exposed, seed)
