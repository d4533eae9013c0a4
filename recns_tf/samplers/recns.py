"""RecNS: both strategies merged in embedding space (§4.3, Algorithm 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import tensorflow as tf

from recns_tf.config import distributions
from recns_tf.config.distributions import Distribution
from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import Tables
from recns_tf.errors import UserError
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.recns_o import PositiveAssisted
from recns_tf.samplers.recns_w import ExposureAugmented, pick_exposed

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class RecNS(Sampler):
    """k positive-assisted negatives, each merged with one exposed negative.

    A merged negative is not an item; `ids` are the k items drawn by eq. (7).

    Args:
        num_negatives: k.
        alpha: distribution of the assistance coefficient α.
        draw_law: one of DRAW_LAWS, in recns_o.py.
        merge: one of MERGES; flat is eq. (11).
        num_exposed: exposed negatives per pair, at most M: the best by eq. (8), each in turn merged
            with one negative, cyclically (§5.4.3, Figure 9).
        exposed_weight: weight of the exposed negative in a merged one, as a multiple of 1/k.
        renormalize: whether merged embeddings are scaled to length 1.
    """

    default_region: ClassVar[str] = "intermediate"
    uses_candidates: ClassVar[bool] = True
    uses_exposed: ClassVar[bool] = True
    needs_scores_alone: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = (
        *PositiveAssisted.statistics,
        *ExposureAugmented.statistics,
    )

    def __init__(
        self,
        num_negatives: int,
        alpha: Distribution,
        *,
        draw_law: str = "proportional",
        merge: str = "flat",
        num_exposed: int = 1,
        exposed_weight: float = 1.0,
        renormalize: bool = False,
    ):
        super().__init__(num_negatives)
        self.assisted = PositiveAssisted(num_negatives, alpha, draw_law)
        self.alpha = self.assisted.alpha
        self.draw_law = draw_law
        self.merge = merge
        self.num_exposed = num_exposed
        self.exposed_weight = exposed_weight
        self.renormalize = renormalize

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if exposed negatives exceed their candidates, or their weight 1."""
        if config.num_exposed > config.num_candidates:
            raise UserError(
                f"--num_exposed={config.num_exposed}: choose at most {config.num_candidates}, "
                "--num_candidates."
            )
        if config.exposed_weight > config.num_negatives:
            raise UserError(
                f"--exposed_weight={config.exposed_weight:g}: choose at most "
                f"{config.num_negatives}, --num_negatives."
            )

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        del context
        return cls(
            config.num_negatives,
            distributions.parse(config.alpha),
            draw_law=config.draw_law,
            merge=config.merge,
            num_exposed=config.num_exposed,
            exposed_weight=config.exposed_weight,
            renormalize=config.renormalize,
        )

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Return the k items drawn by eq. (7), then those of eq. (8): ids [B, k + exposed]."""
        assisted = self.assisted.choose(batch, tables, seed)
        exposed = pick_exposed(batch, tables, self.num_exposed)
        return Choice(
            tf.concat([assisted.ids, exposed.ids], axis=1),
            assisted.statistics | exposed.statistics,
        )

    def merge_scores(self, scores: tf.Tensor, ids: tf.Tensor, tables: Tables) -> tf.Tensor:
        """Merge the scores: merging is linear, so this gives the scores of merged negatives."""
        result = self.merge_chosen(scores)
        if self.renormalize:
            result /= tf.norm(self.merge_chosen(tables.items(ids)), axis=2)
        return result

    def merge_chosen(self, chosen: tf.Tensor) -> tf.Tensor:
        """Merge scores or embeddings of the chosen items: [B, n, …] -> [B, k, …]."""
        # The gradient of a split is one concatenation; that of a slice would be a padded copy.
        assisted, exposed = tf.split(chosen, [self.num_negatives, self.num_exposed], axis=1)
        if self.num_exposed > 1:
            turn = tf.range(self.num_negatives) % self.num_exposed
            exposed = tf.gather(exposed, turn, axis=1)
        return MERGES[self.merge](exposed, assisted, self.exposed_weight / self.num_negatives)


def flat(exposed: tf.Tensor, assisted: tf.Tensor, share: float) -> tf.Tensor:
    """Return the merged negatives of eq. (10) and (11): (1/k) e_exposed + (1 - 1/k) e_assisted.

    RecNS takes another share than 1/k if `exposed_weight` is not 1.

    Args:
        exposed: embeddings of one exposed negative per pair, [B, 1, d], or of one per negative,
            [B, k, d]; or their scores, [B, 1] or [B, k].
        assisted: embeddings of the k positive-assisted negatives, [B, k, d]; or their scores,
            [B, k].
        share: 1/k.

    Returns:
        Merged embeddings or scores, in the shape of `assisted`.
    """
    return share * exposed + (1 - share) * assisted


def nested(exposed: tf.Tensor, assisted: tf.Tensor, share: float) -> tf.Tensor:
    """Return `flat` with m = (1/k) e_exposed + (1 - 1/k) e_assisted_1 in place of e_exposed.

    Source: the authors' code (zyang-16/RecNS).
    """
    return flat(flat(exposed, assisted[:, :1], share), assisted, share)


MERGES = {"flat": flat, "nested": nested}
"""Functions that merge the exposed negative into the others."""
