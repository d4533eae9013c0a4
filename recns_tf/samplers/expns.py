"""ExpNS: only items that were shown to the user and not chosen.

Sources: J. Ding et al., "Sampler Design for Bayesian Personalized Ranking by Leveraging View
Data", arXiv 1809.08162, as a baseline; §5.1. The k negatives are distinct if the user has k
exposed items, else drawn with replacement. A user without exposures gets uniform negatives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.encoders.saving import derived, serializable
from recns_tf.encoders.tables import Tables
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets, ListedItems
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class ExpNS(Sampler):
    """Negative sampling from exposed items.

    Args:
        num_negatives: k.
        pool: the items that users without exposures draw from.
        exposed: boolean CSR array [U, I], the items exposed to each user.
    """

    needs_scores_alone: ClassVar[bool] = True
    draws_exposed: ClassVar[bool] = True

    def __init__(self, num_negatives: int, pool: ItemSets, exposed: csr_array):
        super().__init__(num_negatives)
        self.pool = pool
        self.exposed = exposed

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        return cls(config.num_negatives, context.pool, context.interactions.exposed)

    @derived
    def exposures(self) -> ListedItems:
        """Return the items exposed to each user."""
        return ListedItems(self.exposed)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        del tables
        users, k = batch.users, self.num_negatives
        shown = random.without_replacement(
            self.exposures, users, k, random.stream(seed, Purpose.EXPOSED)
        )
        others = random.with_replacement(self.pool, users, k, random.stream(seed, Purpose.CHOICE))
        return Choice(tf.where(self.exposures.count(users)[:, None] > 0, shown, others), {})
