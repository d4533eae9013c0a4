"""MixedNS: some negatives are exposed items, the others were never shown.

Sources: J. Ding et al., "Sampler Design for Bayesian Personalized Ranking by Leveraging View
Data", arXiv 1809.08162, with exposures as negatives only, as in RecNS; §5.1. Each negative is,
independently, uniform over the user's exposed items with probability ω, else uniform over the
items of the pool that were not exposed. A user without exposures has ω = 0.

The source also has a "user-oriented weighting", whose formula could not be verified. Here, a user
with m_u exposed items and n_u train positives can have ω_u = ω m_u / (m_u + n_u), the share of the
exposed items that was not clicked times ω.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.encoders.saving import derived, serializable, to_tensor
from recns_tf.encoders.tables import Tables
from recns_tf.interactions import Interactions
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
        exposed_share: ω, or float32 [U], ω_u of each user.
    """

    needs_scores_alone: ClassVar[bool] = True
    draws_exposed: ClassVar[bool] = True

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        exposed: csr_array,
        exposed_share: float | NDArray[np.float32] | tf.Tensor,
    ):
        super().__init__(num_negatives)
        self.pool = pool
        self.exposed = exposed
        one = np.isscalar(exposed_share)
        self.exposed_share = exposed_share if one else to_tensor(exposed_share)

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        share: float | NDArray[np.float32] = config.exposed_share
        if config.exposed_share_per_user:
            share = np.float32(share) * shares_of_users(context.interactions)
        return cls(config.num_negatives, context.pool, context.interactions.exposed, share)

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
        share = self.exposed_share
        if not np.isscalar(share):
            share = tf.gather(share, users)[:, None]
        heads = (coins < share) & (exposures.count(users)[:, None] > 0)
        return Choice(tf.where(heads, shown, others), {})


def shares_of_users(interactions: Interactions) -> NDArray[np.float32]:
    """Return m_u / (m_u + n_u) of each user, float32 [U]; 0 for a user without interactions."""
    exposed = np.diff(interactions.exposed.indptr)
    every = exposed + np.diff(interactions.train.indptr)
    return (exposed / np.maximum(every, 1)).astype(np.float32)
