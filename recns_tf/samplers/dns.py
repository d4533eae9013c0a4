"""DNS: the item that the current model scores highest among M random ones.

Source: W. Zhang et al., "Optimizing Top-N Collaborative Filtering via Dynamic Negative Item
Sampling", SIGIR 2013; §5.1. Each of the k negatives has its own M independent candidates: the
best k of one set of M, such as 15 of 20, would be nearly uniform. With N items in the pool and
distinct scores, the item of rank r from below is chosen with probability
(r / N)^M - ((r - 1) / N)^M.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf

from recns_tf.encoders.base import Tables
from recns_tf.encoders.saving import serializable
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class DNS(Sampler):
    """Dynamic negative sampling.

    Args:
        num_negatives: k.
        pool: the items that each user's candidates come from.
        num_candidates: M, candidates per negative.
    """

    scores_large_pool: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("hardness",)

    def __init__(self, num_negatives: int, pool: ItemSets, num_candidates: int):
        super().__init__(num_negatives)
        self.pool = pool
        self.num_candidates = num_candidates

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        return cls(config.num_negatives, context.pool, config.num_candidates)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items. `hardness`: mean score of the chosen minus that of all candidates."""
        total = self.num_negatives * self.num_candidates
        drawn = random.with_replacement(self.pool, batch.users, total, seed)
        drawn_scores = tables.products(tables.users(batch.users), drawn)
        shape = [-1, self.num_negatives, self.num_candidates]
        candidates = tf.reshape(drawn, shape)
        candidate_scores = tf.reshape(drawn_scores, shape)
        best = tf.argmax(candidate_scores, axis=2, output_type=tf.int32)
        hardness = tf.reduce_mean(tf.reduce_max(candidate_scores, axis=2)) - tf.reduce_mean(
            candidate_scores
        )
        return Choice(tf.gather(candidates, best, batch_dims=2), {"hardness": hardness})
