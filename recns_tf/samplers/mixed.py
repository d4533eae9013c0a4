"""MixedNS: some negatives from exposed items, the others from items never shown.

Sources: J. Ding et al., "Sampler Design for Bayesian Personalized Ranking by Leveraging View
Data", arXiv 1809.08162, with exposures as negatives only, as RecNS has them; §5.1. Each negative
is, by a coin of its own, uniform over the user's exposed items with probability ω, else uniform
over the items of the pool that were not exposed. A user without exposures has ω = 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf

from recns_tf import draws
from recns_tf.draws import Purpose
from recns_tf.encoders.base import Tables
from recns_tf.interactions import Interactions
from recns_tf.item_sets import ItemSets
from recns_tf.pipeline import Batch
from recns_tf.samplers.base import Choice, Sampler, Surroundings
from recns_tf.samplers.unexposed import Unexposed

if TYPE_CHECKING:
    from recns_tf.config import Config


class MixedNS(Sampler):
    """Negative sampling from exposed and from unexposed items.

    Args:
        num_negatives: k.
        pool: what unexposed negatives come from.
        interactions: the dataset.
        exposed_share: ω.
    """

    draws_exposed: ClassVar[bool] = True

    def __init__(
        self, num_negatives: int, pool: ItemSets, interactions: Interactions, exposed_share: float
    ):
        super().__init__(num_negatives)
        self.unexposed = Unexposed(pool, interactions)
        self.exposed_share = exposed_share

    @classmethod
    def from_config(cls, config: Config, around: Surroundings) -> Self:
        """See Sampler."""
        data = around.interactions
        return cls(config.num_negatives, around.pool, data, config.exposed_share)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """See Sampler."""
        del tables
        users, k = batch.users, self.num_negatives
        exposures = self.unexposed.exposures
        shown = draws.with_replacement(exposures, users, k, draws.stream(seed, Purpose.EXPOSED))
        others = self.unexposed.draw(users, k, draws.stream(seed, Purpose.CHOICE))
        coins = tf.random.stateless_uniform(tf.shape(shown), draws.stream(seed, Purpose.COIN))
        heads = (coins < self.exposed_share) & (exposures.count(users)[:, None] > 0)
        return Choice(tf.where(heads, shown, others), {})
