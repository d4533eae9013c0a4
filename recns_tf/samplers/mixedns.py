"""MixedNS: some negatives are exposed items, the others were never shown.

Sources: J. Ding et al., "Sampler Design for Bayesian Personalized Ranking by Leveraging View
Data", arXiv 1809.08162, with exposures as negatives only, as in RecNS; §5.1. Each negative is,
independently, uniform over the user's exposed items with probability ω, else uniform over the
items of the pool that were not exposed. A user without exposures has ω = 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.encoders.base import Tables
from recns_tf.encoders.saving import derived, serializable
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.unexposed import Unexposed

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class MixedNS(Sampler):
    """Negative sampling from exposed and from unexposed items.

    Args:
        num_negatives: k.
        pool: the items that unexposed negatives come from.
        exposed: boolean CSR array [U, I], the items exposed to each user.
        exposed_share: ω.
    """

    draws_exposed: ClassVar[bool] = True

    def __init__(
        self, num_negatives: int, pool: ItemSets, exposed: csr_array, exposed_share: float
    ):
        super().__init__(num_negatives)
        self.pool = pool
        self.exposed = exposed
        self.exposed_share = exposed_share

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        exposed = context.interactions.exposed
        return cls(config.num_negatives, context.pool, exposed, config.exposed_share)

    @derived
    def unexposed(self) -> Unexposed:
        """Return the items of the pool that were not exposed."""
        return Unexposed(self.pool, self.exposed)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        del tables
        users, k = batch.users, self.num_negatives
        exposures = self.unexposed.exposures
        shown = random.with_replacement(exposures, users, k, random.stream(seed, Purpose.EXPOSED))
        others = self.unexposed.draw(users, k, random.stream(seed, Purpose.CHOICE))
        coins = random.uniform(tf.shape(shown), random.stream(seed, Purpose.COIN))
        heads = (coins < self.exposed_share) & (exposures.count(users)[:, None] > 0)
        return Choice(tf.where(heads, shown, others), {})
