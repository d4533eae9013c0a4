"""RecNS: both strategies merged in embedding space (§4.3, Algorithm 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf

from recns_tf import laws
from recns_tf.encoders.base import Tables
from recns_tf.laws import Law
from recns_tf.pipeline import Batch
from recns_tf.samplers.base import Choice, Negatives, Sampler, Surroundings
from recns_tf.samplers.exposure_augmented import ExposureAugmented
from recns_tf.samplers.positive_assisted import PositiveAssisted

if TYPE_CHECKING:
    from recns_tf.config import Config


class RecNS(Sampler):
    """k positive-assisted negatives, each merged with one exposed negative.

    The merged embeddings belong to no item; `ids` of the result are the k drawn by eq. (7).

    Args:
        num_negatives: k.
        alpha: law of the assistance coefficient α.
    """

    default_region: ClassVar[str] = "intermediate"
    uses_candidates: ClassVar[bool] = True
    uses_exposed: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = (
        *PositiveAssisted.statistics,
        *ExposureAugmented.statistics,
    )

    def __init__(self, num_negatives: int, alpha: Law):
        super().__init__(num_negatives)
        self.assisted = PositiveAssisted(num_negatives, alpha)
        self.augmented = ExposureAugmented(num_negatives)

    @classmethod
    def from_config(cls, config: Config, around: Surroundings) -> Self:
        """See Sampler; the pipeline has drawn the candidates from the pool."""
        del around
        return cls(config.num_negatives, laws.parse(config.alpha))

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Return the k items drawn by eq. (7), then the one of eq. (8): ids [B, k + 1]."""
        assisted = self.assisted.choose(batch, tables, seed)
        augmented = self.augmented.choose(batch, tables, seed)
        return Choice(
            tf.concat([assisted.ids, augmented.ids], axis=1),
            assisted.statistics | augmented.statistics,
        )

    def sample(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Negatives:
        """See Sampler."""
        chosen = super().sample(batch, tables, seed)
        # Not slices: the gradient of a split is one concatenation, that of a slice a padded copy.
        parts = [self.num_negatives, 1]
        ids, _ = tf.split(chosen.ids, parts, axis=1)
        assisted, exposed = tf.split(chosen.embeddings, parts, axis=1)
        return Negatives(ids, merge(exposed, assisted), *chosen[2:])


def merge(exposed: tf.Tensor, assisted: tf.Tensor) -> tf.Tensor:
    """Return the merged negatives of eq. (10) and (11): (1/k) e_exposed + (1 - 1/k) e_assisted.

    Args:
        exposed: e of the exposed negative, [B, 1, d].
        assisted: e of the k positive-assisted negatives, [B, k, d].

    Returns:
        float32 [B, k, d].
    """
    share = 1 / assisted.shape[1]
    return share * exposed + (1 - share) * assisted
