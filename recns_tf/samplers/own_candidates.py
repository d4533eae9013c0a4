"""Samplers that draw candidates for each negative separately, and pick one of them by its score."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import tensorflow as tf

from recns_tf.encoders.tables import Tables
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config


class CandidateSampler(Sampler):
    """A sampler whose k negatives have N independent uniform candidates each.

    Candidates are drawn with replacement, so N may exceed the size of the pool.

    Args:
        num_negatives: k.
        pool: the items that each user's candidates come from.
        num_candidates: N, candidates per negative.
    """

    statistics: ClassVar[tuple[str, ...]] = ("hardness",)

    def __init__(self, num_negatives: int, pool: ItemSets, num_candidates: int):
        super().__init__(num_negatives)
        self.pool = pool
        self.num_candidates = num_candidates

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        return cls(config.num_negatives, context.pool, config.num_candidates)

    def draw(self, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draw the candidates of users, those of one negative after another: [B] -> [B, k N]."""
        total = self.num_negatives * self.num_candidates
        return random.with_replacement(self.pool, users, total, seed)

    def by_negative(self, values: tf.Tensor) -> tf.Tensor:
        """Return values of the candidates that `draw` returned: [B, k N] -> [B, k, N]."""
        return tf.reshape(values, [-1, self.num_negatives, self.num_candidates])


class Candidates(NamedTuple):
    """The candidates of a batch's negatives.

    Attributes:
        items: int32 [B, k, N].
        scores: float32 [B, k, N], e_u·e_c.
        vectors: float32 [B, d], the embeddings of the users.
    """

    items: tf.Tensor
    scores: tf.Tensor
    vectors: tf.Tensor


class OwnCandidates(CandidateSampler):
    """A sampler that picks one of each negative's candidates; a subclass implements `pick`."""

    scores_large_pool: ClassVar[bool] = True

    @abstractmethod
    def pick(
        self, candidates: Candidates, batch: Batch, tables: Tables, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return which candidate becomes each negative, and statistics besides `hardness`.

        Args:
            candidates: of the batch.
            batch, tables, seed: as for `choose`. The candidates are drawn with this seed, other
                draws need a branch of it.

        Returns:
            int32 [B, k], from 0 to N - 1; scalars by their names.
        """

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items. `hardness`: mean score of the chosen minus that of all candidates."""
        vectors = tables.users(batch.users)
        drawn = self.draw(batch.users, seed)
        scores = self.by_negative(tables.products(vectors, drawn))
        candidates = Candidates(self.by_negative(drawn), scores, vectors)
        place, statistics = self.pick(candidates, batch, tables, seed)
        chosen = tf.gather(scores, place, batch_dims=2)
        hardness = tf.reduce_mean(chosen) - tf.reduce_mean(scores)
        ids = tf.gather(candidates.items, place, batch_dims=2)
        return Choice(ids, {"hardness": hardness, **statistics})
