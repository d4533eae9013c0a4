"""RecNS-O: positive-assisted sampling (§4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf

from recns_tf import draws, laws
from recns_tf.draws import Purpose
from recns_tf.encoders.base import Tables
from recns_tf.laws import Law
from recns_tf.pipeline import Batch
from recns_tf.samplers.base import Choice, Sampler, Surroundings, scores

if TYPE_CHECKING:
    from recns_tf.config import Config


class PositiveAssisted(Sampler):
    """Draws k of the M candidates, with replacement, in proportion to eq. (7).

    Args:
        num_negatives: k.
        alpha: law of the assistance coefficient α, drawn afresh for every pair and candidate.
    """

    default_region: ClassVar[str] = "intermediate"
    uses_candidates: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("hardness",)

    def __init__(self, num_negatives: int, alpha: Law):
        super().__init__(num_negatives)
        self.alpha = alpha

    @classmethod
    def from_config(cls, config: Config, around: Surroundings) -> Self:
        """See Sampler; the pipeline has drawn the candidates from the pool."""
        del around
        return cls(config.num_negatives, laws.parse(config.alpha))

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """See Sampler. `hardness`: mean score of the drawn less that of all candidates."""
        user_scores = scores(tables.users(batch.users), tables, batch.candidates)
        positive_scores = scores(tables.items(batch.positives), tables, batch.candidates)
        alpha = draws.from_law(
            self.alpha, tf.shape(batch.candidates), draws.stream(seed, Purpose.ALPHA)
        )
        drawn = draws.categorical(
            log_weights(user_scores, positive_scores, alpha),
            self.num_negatives,
            draws.stream(seed, Purpose.CHOICE),
        )
        hardness = tf.reduce_mean(tf.gather(user_scores, drawn, batch_dims=1)) - tf.reduce_mean(
            user_scores
        )
        ids = tf.gather(batch.candidates, drawn, batch_dims=1)
        return Choice(ids, {"hardness": hardness})


def log_weights(user_scores: tf.Tensor, positive_scores: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Return the log of eq. (7)'s numerators, log σ(α e_u·e_c + (1 - α) e_v·e_c): float32 [B, M].

    Args:
        user_scores: e_u·e_c of each candidate c, [B, M].
        positive_scores: e_v·e_c, [B, M].
        alpha: α, [B, M].
    """
    return tf.math.log_sigmoid(alpha * user_scores + (1 - alpha) * positive_scores)
