"""What every negative sampler is (§2.3): v_n ~ S_n(u, v)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import keras
import tensorflow as tf

from recns_tf.encoders.base import Tables
from recns_tf.interactions import Interactions
from recns_tf.item_sets import ItemSets
from recns_tf.pipeline import Batch

if TYPE_CHECKING:
    from recns_tf.config import Config

SCORE_COLUMNS = 64
"""Candidates whose embeddings are gathered at once: bounds memory at B * 64 * d floats."""


class Choice(NamedTuple):
    """Which items a sampler chose.

    Attributes:
        ids: int32 [B, n].
        statistics: scalars to report, by the names in the sampler's `statistics`.
    """

    ids: tf.Tensor
    statistics: dict[str, tf.Tensor]


class Negatives(NamedTuple):
    """What a sampler returns.

    Attributes:
        ids: int32 [B, k], the chosen items; the L2 penalty is over their layer-0 rows.
        embeddings: float32 [B, k, d], to be scored in the loss. Gradients flow through them.
        statistics: as in Choice.
    """

    ids: tf.Tensor
    embeddings: tf.Tensor
    statistics: dict[str, tf.Tensor]


class Sampler(keras.layers.Layer):
    """A negative sampler. A new one need only say how it chooses items.

    The choice is made on frozen embeddings: no gradient flows through it. State, if any, is
    kept in non-trainable weights, so that it is saved and restored with the model.

    Class attributes:
        default_region: where its negatives come from unless --region says otherwise.
        uses_candidates, uses_exposed: which parts of a Batch it reads.
        scores_many: whether it scores so many items that an encoder for which that is dear may
            hand it embeddings that are some steps old (Tables.cached).
        statistics: names of the scalars it reports every step.

    Args:
        num_negatives: k, negatives a positive pair.
    """

    default_region: ClassVar[str] = "all"
    uses_candidates: ClassVar[bool] = False
    uses_exposed: ClassVar[bool] = False
    scores_many: ClassVar[bool] = False
    statistics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, num_negatives: int):
        super().__init__()
        self.num_negatives = num_negatives
        self.built = True

    @classmethod
    def from_config(cls, config: Config, interactions: Interactions, pool: ItemSets) -> Self:
        """Build the sampler that the flags describe.

        Args:
            config: all flags; a sampler takes what concerns it.
            interactions: the dataset, of which it may look at train and exposed alone.
            pool: each user's region, for samplers that draw items themselves.
        """
        del interactions, pool
        return cls(config.num_negatives)

    @abstractmethod
    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items for every pair of the batch, given frozen embeddings.

        Args:
            batch: users, positives, and the candidates and exposures it asked for.
            tables: this step's embeddings.
            seed: int64 [2], the sampler's stream of this step.
        """

    def sample(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Negatives:
        """Return k negatives for every pair of the batch, given this step's live embeddings."""
        known = tables.cached() if self.scores_many else tables.frozen()
        choice = self.choose(batch, known, seed)
        return Negatives(choice.ids, tables.items(choice.ids), choice.statistics)


def scores(vectors: tf.Tensor, tables: Tables, ids: tf.Tensor) -> tf.Tensor:
    """Return the inner products of each row's vector with the items of that row (eq. 4).

    Args:
        vectors: float32 [B, d].
        tables: embeddings of the items.
        ids: int32 [B, n], n known when the graph is built.

    Returns:
        float32 [B, n].
    """
    parts = [
        tf.linalg.matvec(tables.items(ids[:, start : start + SCORE_COLUMNS]), vectors)
        for start in range(0, ids.shape[1], SCORE_COLUMNS)
    ]
    return tf.concat(parts, axis=1)
