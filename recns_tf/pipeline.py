"""Training batches as a tf.data stream: pairs, candidates and exposures (§2.3, §4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from recns_tf import draws
from recns_tf.draws import Purpose
from recns_tf.interactions import Interactions, to_pairs
from recns_tf.item_sets import ItemSets, Listed
from recns_tf.pair_sampling import PAIR_SAMPLINGS


class Batch(NamedTuple):
    """One training step's input.

    Attributes:
        users: int32 [B], of the positive pairs.
        positives: int32 [B], the items of the pairs.
        candidates: int32 [B, M], C_u: drawn from the user's region without replacement.
            [B, 0] where the sampler reads none.
        exposed: int32 [B, M], M_u: drawn from the items exposed to the user, without
            replacement if there are M of them, else with; a user with no exposure gets
            `candidates` in their place. [B, 0] where the sampler reads none.
        seed: int64 [2], of this step.
    """

    users: tf.Tensor
    positives: tf.Tensor
    candidates: tf.Tensor
    exposed: tf.Tensor
    seed: tf.Tensor


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
        self.exposures = Listed(interactions.exposed)
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
        seed = draws.stream(draws.root(self.seed), Purpose.TRAINING, epoch)
        shared = self.pairs.prepare(draws.stream(seed, Purpose.PAIRS))

        def batch(step: tf.Tensor) -> Batch:
            step_seed = draws.stream(seed, Purpose.STEPS, step)
            chosen = self.pairs.choose(shared, step, draws.stream(step_seed, Purpose.PAIRS))
            return self.draw(chosen, step_seed)

        steps = tf.data.Dataset.range(self.steps_per_epoch)
        return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def draw(self, chosen: tf.Tensor, seed: tf.Tensor) -> Batch:
        """Return the Batch of the pairs numbered `chosen` [B], drawn from the step's seed."""
        users = tf.gather(self.users, chosen)
        candidates = exposed = tf.zeros([tf.size(users), 0], tf.int32)
        if self.with_candidates:
            candidates = draws.without_replacement(
                self.region,
                users,
                self.num_candidates,
                draws.stream(seed, Purpose.CANDIDATES),
            )
        if self.with_exposed:
            shown = draws.without_replacement(
                self.exposures,
                users,
                self.num_candidates,
                draws.stream(seed, Purpose.EXPOSED),
            )
            exposed = tf.where(self.exposures.count(users)[:, None] > 0, shown, candidates)
        return Batch(users, tf.gather(self.items, chosen), candidates, exposed, seed)
