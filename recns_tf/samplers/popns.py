"""PopNS: items drawn in proportion to a power of their popularity.

Sources: X. He et al., "Fast Matrix Factorization for Online Recommendation with Implicit
Feedback", SIGIR 2016; H.-F. Yu et al., ICDM 2017; §5.1. With pop(v) the number of users who have
v in train, P(v | u) ∝ pop(v)^power over the pool of u. An item without users is never drawn, unless
the power is 0, which gives UniNS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.encoders.saving import derived, serializable
from recns_tf.encoders.tables import Tables
from recns_tf.interactions import degrees_of_items
from recns_tf.ops import random
from recns_tf.ops.item_sets import ComplementItems, ItemSets
from recns_tf.ops.weighted_item_sets import WeightedComplement
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class PopNS(Sampler):
    """Popularity-based negative sampling.

    From a pool that is the complement of listed items, items are drawn without rejection. For any
    other pool, unobserved items are drawn until one is in it; a user whose pool has no popular
    items, or almost none, gets uniform ones.

    Args:
        num_negatives: k.
        pool: the items that each user's negatives come from.
        train: boolean CSR array [U, I], which determines popularity.
        power: exponent of the popularity.
    """

    needs_scores_alone: ClassVar[bool] = True

    def __init__(self, num_negatives: int, pool: ItemSets, train: csr_array, power: float):
        super().__init__(num_negatives)
        self.pool = pool
        self.train = train
        self.power = power

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        train = context.interactions.train
        return cls(config.num_negatives, context.pool, train, config.popularity_power)

    @derived
    def weighted(self) -> WeightedComplement:
        """Return the pool, or all unobserved items, weighted by a power of popularity."""
        weights = degrees_of_items(self.train).astype(np.float64) ** self.power
        rows = self.pool.rows if isinstance(self.pool, ComplementItems) else self.train
        return WeightedComplement(rows, weights)

    @derived
    def needs_no_rejection(self) -> bool:
        """Whether every weighted draw is in the pool of its user."""
        if not isinstance(self.pool, ComplementItems):
            return False
        return bool(tf.reduce_all(self.weighted.left(tf.range(self.train.shape[0])) > 0))

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        del tables
        if self.needs_no_rejection:
            first = random.stream(seed, 0)
            return Choice(self.weighted.draw(batch.users, self.num_negatives, first), {})
        accept = self._has_weight if isinstance(self.pool, ComplementItems) else self.pool.contains
        ids = random.accepted(
            self.weighted.draw, accept, self._uniform, batch.users, self.num_negatives, seed
        )
        return Choice(ids, {})

    def _uniform(self, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
        return random.with_replacement(self.pool, users, n, seed)

    def _has_weight(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return tf.broadcast_to(self.weighted.left(users)[:, None] > 0, tf.shape(items))
