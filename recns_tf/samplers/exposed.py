"""ExpNS: only items that were shown to the user and not chosen.

Sources: J. Ding et al., "Sampler Design for Bayesian Personalized Ranking by Leveraging View
Data", arXiv 1809.08162, where it is compared with; §5.1. The k negatives are distinct where the
user has k exposed items, else drawn with replacement; a user without any has uniform ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf

from recns_tf import draws
from recns_tf.draws import Purpose
from recns_tf.encoders.base import Tables
from recns_tf.interactions import Interactions
from recns_tf.item_sets import ItemSets, Listed
from recns_tf.pipeline import Batch
from recns_tf.samplers.base import Choice, Sampler, Surroundings

if TYPE_CHECKING:
    from recns_tf.config import Config


class ExpNS(Sampler):
    """Negative sampling from exposed items.

    Args:
        num_negatives: k.
        pool: what users without exposures draw from.
        interactions: the dataset.
    """

    draws_exposed: ClassVar[bool] = True

    def __init__(self, num_negatives: int, pool: ItemSets, interactions: Interactions):
        super().__init__(num_negatives)
        self.pool = pool
        self.exposures = Listed(interactions.exposed)

    @classmethod
    def from_config(cls, config: Config, around: Surroundings) -> Self:
        """See Sampler."""
        return cls(config.num_negatives, around.pool, around.interactions)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """See Sampler."""
        del tables
        users, k = batch.users, self.num_negatives
        shown = draws.without_replacement(
            self.exposures, users, k, draws.stream(seed, Purpose.EXPOSED)
        )
        others = draws.with_replacement(self.pool, users, k, draws.stream(seed, Purpose.CHOICE))
        return Choice(tf.where(self.exposures.count(users)[:, None] > 0, shown, others), {})
