"""RecNS-O: positive-assisted sampling (§4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf

from recns_tf.config import distributions
from recns_tf.config.distributions import Distribution
from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import Tables
from recns_tf.ops import random
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class PositiveAssisted(Sampler):
    """Draws k of the M candidates, with replacement, in proportion to eq. (7).

    Args:
        num_negatives: k.
        alpha: distribution of the assistance coefficient α, drawn per pair and candidate.
        draw_law: one of DRAW_LAWS; proportional is eq. (7).
    """

    default_region: ClassVar[str] = "intermediate"
    uses_candidates: ClassVar[bool] = True
    needs_scores_alone: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("hardness",)

    def __init__(self, num_negatives: int, alpha: Distribution, draw_law: str = "proportional"):
        super().__init__(num_negatives)
        self.alpha = Distribution(*alpha)
        self.draw_law = draw_law
        self.log_weights = DRAW_LAWS[draw_law]

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        del context
        return cls(config.num_negatives, distributions.parse(config.alpha), config.draw_law)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items. `hardness`: mean score of the drawn minus that of all candidates."""
        user_scores = tables.products(tables.users(batch.users), batch.candidates)
        positive_scores = tables.products(tables.items(batch.positives), batch.candidates)
        alpha = random.sample_distribution(
            self.alpha, tf.shape(batch.candidates), random.stream(seed, Purpose.ALPHA)
        )
        drawn = random.categorical(
            self.log_weights(user_scores, positive_scores, alpha),
            self.num_negatives,
            random.stream(seed, Purpose.CHOICE),
        )
        hardness = tf.reduce_mean(tf.gather(user_scores, drawn, batch_dims=1)) - tf.reduce_mean(
            user_scores
        )
        ids = tf.gather(batch.candidates, drawn, batch_dims=1)
        return Choice(ids, {"hardness": hardness})


def proportional(user_scores: tf.Tensor, positive_scores: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Return the log of eq. (7)'s numerators, log σ(α e_u·e_c + (1 - α) e_v·e_c): float32 [B, M].

    Args:
        user_scores: e_u·e_c of each candidate c, [B, M].
        positive_scores: e_v·e_c, [B, M].
        alpha: α, [B, M].
    """
    return tf.math.log_sigmoid(alpha * user_scores + (1 - alpha) * positive_scores)


def softmax(user_scores: tf.Tensor, positive_scores: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Return σ(…) of eq. (7) as a log-weight: the distribution is nearly uniform.

    Source: the authors' LightGCN (zyang-16/RecNS), which passes σ to a function of logits.
    """
    return tf.sigmoid(alpha * user_scores + (1 - alpha) * positive_scores)


def user_softmax(user_scores: tf.Tensor, positive_scores: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Return e_u·e_c as a log-weight, without α and the positive.

    Source: the authors' PinSage (zyang-16/RecNS).
    """
    del positive_scores, alpha
    return user_scores


def hardest(user_scores: tf.Tensor, positive_scores: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Return 0 for the candidates with the highest e_u·e_c and -inf for the others.

    "Without positive assistance" (§5.4.2, Figure 8): all k negatives are the hardest candidate.
    """
    del positive_scores, alpha
    best = tf.reduce_max(user_scores, axis=1, keepdims=True)
    return tf.where(user_scores >= best, 0.0, -np.inf)


DRAW_LAWS = {
    "proportional": proportional,
    "softmax": softmax,
    "user_softmax": user_softmax,
    "hardest": hardest,
}
"""Functions that return the log-weights of the M candidates, by the names of --draw_law."""
