"""What the sampler of a finished run draws as negatives of one pair of a user and a positive."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.encoders.tables import Tables
from recns_tf.ops import kernels, random
from recns_tf.ops.random import Purpose
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.inbatch import InBatch
from recns_tf.training.load import Restored

ROWS = 1_000
"""Copies of the pair in a batch, so that their candidates need little memory."""

MOST_BATCHES = 200
"""Batches of in-batch negatives, at most."""


class Drawn(NamedTuple):
    """Negatives of a pair.

    Attributes:
        ids: int32 [n, k], k negatives for each of n copies of the pair.
        merged: int32 [n, m], the items that are merged into them, if any.
    """

    ids: NDArray[np.int32]
    merged: NDArray[np.int32]


class PairNegatives:
    """Draws negatives of a pair as training would, with the weights that the run kept.

    A batch holds many copies of the pair, with candidates and exposed items of their own. The
    embeddings are those that the run ranks with, without dropout. The state of the sampler stays as
    it is: every copy is the first pair of its user after the last epoch.

    Args:
        run: the run.
        epoch: from 0, whose pools are used if the region is too large to store.

    Example:
        >>> pairs = PairNegatives(restore("runs/ml-100k-lightgcn-recns"), epoch=0)
        >>> pairs.draw(user=3, positive=20, draws=10_000).ids.shape
        (667, 15)
    """

    def __init__(self, run: Restored, epoch: int = 0):
        self.model, self.pipeline, self.region, _ = run
        self.sampler = run.model.sampler
        self.epoch = epoch

    @cached_property
    def tables(self) -> Tables:
        """The embeddings to choose from."""
        # Weights were loaded after the embeddings of Tables.stale_ok were computed.
        self.model.refresh()
        known = self.sampler.encode(self.model.encoder, False)
        return known.stale_ok() if self.sampler.scores_large_pool else known.frozen()

    def draw(self, user: int, positive: int, draws: int) -> Drawn:
        """Return at least `draws` negatives; the same for the same pair.

        Args:
            user, positive: numbers of a user and of one of the user's train items.
            draws: number of negatives.

        Raises:
            ValueError: the pair is not one that the run is trained on.
        """
        users, items = self.pipeline.users.numpy(), self.pipeline.items.numpy()
        places = np.flatnonzero((users == user) & (items == positive))
        if not len(places):
            raise ValueError(f"user {user} and item {positive} are not a pair to train on")
        self.region.prepare(self.epoch)
        pair = tf.constant(places[0], tf.int32)
        root = random.stream(random.root(self.pipeline.seed), Purpose.SHOWN, pair)
        with kernels.using(self.model.implementation, self.model.sparse_engine):
            if isinstance(self.sampler, InBatch):
                return self.in_batches(self.sampler, pair, draws, root)
            return self.copies(pair, draws, root)

    def copies(self, pair: tf.Tensor, draws: int, root: tf.Tensor) -> Drawn:
        """Draw for copies of a pair."""
        k = self.sampler.num_negatives
        found: list[NDArray[np.int32]] = []
        left = -(-draws // k)
        while left:
            rows = min(left, ROWS)
            seed = random.stream(root, len(found))
            batch = self.pipeline.draw(tf.fill([rows], pair), seed)
            sampling = random.stream(seed, Purpose.SAMPLER)
            found.append(self.sampler.choose(batch, self.tables, sampling).ids.numpy())
            left -= rows
        ids = np.concatenate(found)
        return Drawn(ids[:, :k], ids[:, k:])

    def in_batches(self, sampler: InBatch, pair: tf.Tensor, draws: int, root: tf.Tensor) -> Drawn:
        """Return the negatives of a pair in batches with other random pairs, one in each row."""
        found: list[NDArray[np.int32]] = []
        for number in range(MOST_BATCHES):
            seed = random.stream(root, number)
            whole = self.pipeline.draw(self.with_others(pair, seed), seed)
            own = Batch(whole.users[:1], whole.positives[:1], whole.candidates, whole.exposed, seed)
            kept = sampler.kept(own, whole, tf.constant(0))[0]
            found.append(tf.boolean_mask(whole.positives, kept).numpy())
            if sum(map(len, found)) >= draws:
                break
        ids = np.concatenate(found)[:, None]
        return Drawn(ids, ids[:, 1:])

    def with_others(self, pair: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the pairs of a batch that starts with a given one."""
        pairs = self.pipeline.pairs
        shared = pairs.prepare(random.stream(seed, Purpose.PAIRS))
        first = tf.constant(0, tf.int64)
        chosen = pairs.choose(shared, first, random.stream(seed, Purpose.STEPS))
        others = tf.boolean_mask(chosen, chosen != pair)[: tf.size(chosen) - 1]
        return tf.concat([pair[None], others], axis=0)
