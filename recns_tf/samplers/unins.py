"""UniNS: every item of the pool is equally likely.

Source: S. Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009;
§5.1. P(v | u) = 1 / (I - n_u) for the I - n_u unobserved items of u; k independent draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf

from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import Tables
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class UniNS(Sampler):
    """Uniform negative sampling.

    Args:
        num_negatives: k.
        pool: the items that each user's negatives come from.
    """

    needs_scores_alone: ClassVar[bool] = True

    def __init__(self, num_negatives: int, pool: ItemSets):
        super().__init__(num_negatives)
        self.pool = pool

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        return cls(config.num_negatives, context.pool)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        del tables
        return Choice(random.with_replacement(self.pool, batch.users, self.num_negatives, seed), {})
