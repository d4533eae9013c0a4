"""AHNS: the better the positive fits, the easier its negatives.

Source: R. Lai et al., "Adaptive Hardness Negative Sampling for Collaborative Filtering", AAAI 2024
(Riwei-HEU/AHNS). Each of the k negatives has its own N candidates, drawn uniformly with
replacement. With s the score of the positive, the negative is the candidate whose score is nearest
to the target

    t(s) = β (s + α)^(p + 1),

which is β / (s + α) for p = -2. The source uses N = 32.

Where s + α <= 0, the formula has no sensible value: it changes its sign, or is complex. Here the
target is infinite there, its limit for s + α -> 0. The hardest candidate is nearest to an infinite
target, as to all targets above its score. So t never increases in s, and a misfitting positive gets
the negatives that DNS would choose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf

from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import Tables
from recns_tf.ops.item_sets import ItemSets
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.own_candidates import Candidates, OwnCandidates

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class AHNS(OwnCandidates):
    """Adaptive hardness negative sampling.

    Args:
        num_negatives: k.
        pool: the items that each user's candidates come from.
        num_candidates: N, candidates per negative.
        alpha: α, added to the score of the positive.
        beta: β > 0, the scale of the target.
        power: p, at most -1; with -1, all pairs have the target β.
    """

    needs_scores_alone: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = (*OwnCandidates.statistics, "clamped")

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        num_candidates: int,
        *,
        alpha: float = 1.0,
        beta: float = 0.1,
        power: float = -2.0,
    ):
        super().__init__(num_negatives, pool, num_candidates)
        self.alpha, self.beta, self.power = alpha, beta, power

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        return cls(
            config.num_negatives,
            context.pool,
            config.num_candidates,
            alpha=config.ahns_alpha,
            beta=config.ahns_beta,
            power=config.ahns_power,
        )

    def target(self, positive: tf.Tensor) -> tf.Tensor:
        """Return t(s) for scores s of positives: float32 of any shape, infinite where s <= -α."""
        return self.beta * tf.pow(tf.nn.relu(positive + self.alpha), self.power + 1)

    def pick(
        self, candidates: Candidates, batch: Batch, tables: Tables, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return the nearest candidates. `clamped`: share of the pairs with s + α <= 0."""
        del seed
        scores = candidates.scores
        positive = tables.products(candidates.vectors, batch.positives[:, None])
        # A huge target would make all distances equal after rounding.
        target = tf.minimum(
            self.target(positive)[:, :, None], tf.reduce_max(scores, axis=2, keepdims=True)
        )
        nearest = tf.argmin(tf.abs(scores - target), axis=2, output_type=tf.int32)
        clamped = tf.reduce_mean(tf.cast(positive + self.alpha <= 0, tf.float32))
        return nearest, {"clamped": clamped}
