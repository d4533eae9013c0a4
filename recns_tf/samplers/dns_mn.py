"""DNS(M, N): one of the M highest-scoring items among N random ones.

Source: W. Shi et al., "On the Theories Behind Hard Negative Sampling for Recommendation", WWW 2023.
Each of the k negatives has its own N candidates, drawn uniformly with replacement, and is one of
the M best of them, each with probability 1 / M. With n items in the pool, distinct scores, and
X_r ~ Binomial(N, r / n) the number of candidates among the r best items, the item of rank r from
above is chosen with probability (E min(X_r, M) - E min(X_(r-1), M)) / M. M = 1 is DNS with the same
draws, M = N has the distribution of UniNS; a larger M gives easier negatives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf

from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import Tables
from recns_tf.errors import UserError
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.own_candidates import Candidates, OwnCandidates

if TYPE_CHECKING:
    from recns_tf.config.config import Config

SHARE = 4
"""N / M unless --dns_top sets M."""


@serializable
class DNSMN(OwnCandidates):
    """Dynamic negative sampling from the top M of N.

    Args:
        num_negatives: k.
        pool: the items that each user's candidates come from.
        num_candidates: N, candidates per negative.
        top: M, from 1 to N.
    """

    needs_scores_alone: ClassVar[bool] = True

    def __init__(self, num_negatives: int, pool: ItemSets, num_candidates: int, top: int):
        super().__init__(num_negatives, pool, num_candidates)
        self.top = top

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if M exceeds N."""
        if config.dns_top > config.num_candidates:
            raise UserError(
                f"--dns_top={config.dns_top}: choose at most {config.num_candidates}, "
                "--num_candidates, or 0 for a quarter of them."
            )

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        top = config.dns_top or -(-config.num_candidates // SHARE)
        return cls(config.num_negatives, context.pool, config.num_candidates, top)

    def pick(
        self, candidates: Candidates, batch: Batch, tables: Tables, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        del tables
        best = tf.math.top_k(candidates.scores, self.top).indices
        shape = [tf.size(batch.users), self.num_negatives]
        which = random.integers(random.stream(seed, Purpose.CHOICE), tf.constant(self.top), shape)
        return tf.gather(best, which, batch_dims=2), {}
