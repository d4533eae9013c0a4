"""Training batches as a tf.data stream: pairs, candidates and exposures (§2.3, §4)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, Pairs, to_pairs
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets, ListedItems
from recns_tf.ops.random import Purpose
from recns_tf.samplers.batch import Batch
from recns_tf.training.pair_sampling import PAIR_SAMPLINGS

plain = tf.autograph.experimental.do_not_convert
"""Traces a function as it is: none has an `if` or a loop on tensors, and AutoGraph is slow."""


def trainable_pairs(interactions: Interactions) -> Pairs:
    """Return the train pairs of the users who have an unobserved item, int64 [n, 2].

    Raises:
        UserError: there are none. A stream of no batches would never end.
    """
    pairs = to_pairs(interactions.train)
    unobserved = interactions.num_items - np.diff(interactions.train.indptr)
    pairs = pairs[unobserved[pairs[:, 0]] > 0]
    if not len(pairs):
        raise UserError(
            f"{interactions.name}: every user with train positives has every item, so no negative "
            "exists: hold some positives out, or prepare the log with --label, the column that "
            "tells positives from other rows."
        )
    return pairs


class Pipeline:
    """Streams batches of a dataset's train pairs, without users who have no unobserved item.

    All draws depend only on (seed, epoch, step).

    Args:
        interactions: the dataset.
        region: item sets that candidates are drawn from.
        batch_size: B, positive pairs per batch.
        num_candidates: M, candidates per pair.
        seed: the run's seed.
        with_candidates: whether the sampler reads candidates.
        with_exposed: whether the sampler reads exposed items.
        pair_sampling: key of PAIR_SAMPLINGS.

    Raises:
        UserError: no train user has an unobserved item.

    Example:
        >>> pipeline = Pipeline(
        ...     interactions, ComplementItems(interactions.train), batch_size=8192,
        ...     num_candidates=20, seed=0, with_candidates=True, with_exposed=False,
        ... )
        >>> batch = next(iter(pipeline.batches()))
        >>> batch.candidates.shape
        TensorShape([8192, 20])
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
        pairs = trainable_pairs(interactions)
        self.users = tf.constant(pairs[:, 0], tf.int32)
        self.items = tf.constant(pairs[:, 1], tf.int32)
        self.pairs = PAIR_SAMPLINGS[pair_sampling](pairs[:, 0], batch_size)
        self.steps_per_epoch = self.pairs.steps

    def batches(self, first_epoch: int = 0) -> tf.data.Dataset:
        """Return an endless stream of Batch that starts with `first_epoch`.

        Batches are prefetched only within an epoch, because pools may change between epochs.
        """
        epochs = tf.data.Dataset.counter(start=first_epoch)
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False
        return epochs.flat_map(
            plain(lambda epoch: self.epoch(epoch).prefetch(tf.data.AUTOTUNE))
        ).with_options(options)

    def epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Return the stream of one epoch's batches; `epoch` is an int64 scalar from 0."""
        seed = random.stream(random.root(self.seed), Purpose.TRAINING, epoch)
        shared = self.pairs.prepare(random.stream(seed, Purpose.PAIRS))

        @plain
        def batch(step: tf.Tensor) -> Batch:
            step_seed = random.stream(seed, Purpose.STEPS, step)
            chosen = self.pairs.choose(shared, step, random.stream(step_seed, Purpose.PAIRS))
            return self.draw(chosen, step_seed)

        steps = tf.data.Dataset.range(self.steps_per_epoch)
        return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def draw(self, chosen: tf.Tensor, seed: tf.Tensor) -> Batch:
        """Return the Batch of the pairs with indices `chosen`, int32 [B].

        Args:
            chosen: int32 [B], indices of train pairs.
            seed: int64 [2], the step's seed.
        """
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
