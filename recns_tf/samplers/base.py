"""What every negative sampler is (§2.3): v_n ~ S_n(u, v)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import keras
import tensorflow as tf

from recns_tf.encoders.base import Encoder, Tables
from recns_tf.encoders.saving import Serializable
from recns_tf.interactions import Interactions
from recns_tf.ops.item_sets import ItemSets
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config


class SamplerContext(NamedTuple):
    """What a sampler may know of the run it is built for.

    Attributes:
        interactions: the dataset, of which it may look at train and exposed alone.
        pool: each user's region, for samplers that draw items themselves.
        width: columns of the encoder's embeddings.
    """

    interactions: Interactions
    pool: ItemSets
    width: int


class Choice(NamedTuple):
    """Which items a sampler chose.

    Attributes:
        ids: int32 [B, n], the k negatives first, then what is merged into them, if anything.
        statistics: scalars to report, by the names in the sampler's `statistics`.
        lesson: what `learn` is to know of the choice, if anything.
    """

    ids: tf.Tensor
    statistics: dict[str, tf.Tensor]
    feedback: Any = ()


class Negatives(NamedTuple):
    """What a sampler returns.

    Attributes:
        ids: int32 [B, k], the chosen items; the L2 penalty is over their layer-0 rows.
        scores: float32 [B, k], e_u·e_n of the negatives. Gradients flow through them.
        positive_scores: float32 [B], e_u·e_v of the pairs, found in the same go.
        statistics, lesson: as in Choice.
    """

    ids: tf.Tensor
    scores: tf.Tensor
    positive_scores: tf.Tensor
    statistics: dict[str, tf.Tensor]
    feedback: Any = ()


class Sampler(Serializable, keras.layers.Layer):
    """A negative sampler. A new one need only say how it chooses items.

    The choice is made on frozen embeddings: no gradient flows through it. State, if any, is
    kept in weights, so that it is saved and restored with the model; only `learn` and
    `begin_epoch` change it. A generator's own weights are trainable, but not the encoder's.

    Class attributes:
        default_region: where its negatives come from unless --region says otherwise.
        uses_candidates, uses_exposed: which parts of a Batch it reads.
        draws_exposed: whether its negatives may be exposed items that lie outside the region.
        scores_many: whether it scores so many items that an encoder for which that is dear may
            hand it embeddings that are some steps old (Tables.cached).
        statistics: names of the scalars it reports every step.

    Args:
        num_negatives: k, negatives a positive pair.
    """

    default_region: ClassVar[str] = "all"
    uses_candidates: ClassVar[bool] = False
    uses_exposed: ClassVar[bool] = False
    draws_exposed: ClassVar[bool] = False
    scores_large_pool: ClassVar[bool] = False
    statistics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, num_negatives: int):
        super().__init__()
        self.num_negatives = num_negatives
        self.built = True

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        """Build the sampler that the flags describe.

        Args:
            config: all flags; a sampler takes what concerns it.
            around: what else it may know.
        """
        del context
        return cls(config.num_negatives)

    @abstractmethod
    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items for every pair of the batch, given frozen embeddings.

        Args:
            batch: users, positives, and the candidates and exposures it asked for.
            tables: this step's embeddings.
            seed: int64 [2], the sampler's stream of this step.
        """

    def update_state(self, batch: Batch, feedback: Any) -> None:
        """Change the state after a training step's choice, before the encoder is updated.

        Args:
            batch: of the step.
            lesson: of its Choice.
        """
        del batch, feedback

    def begin_epoch(self, epoch: int, encoder: Encoder) -> None:
        """Change the state before an epoch, given the encoder as the last epoch left it.

        Args:
            epoch: from 0; the same again where a run is resumed.
            encoder: E_θ.
        """
        del epoch, encoder

    def merged(self, scores: tf.Tensor, ids: tf.Tensor, tables: Tables) -> tf.Tensor:
        """Return the scores of the negatives, given those of the items they are made of.

        Args:
            scores: float32 [B, n], e_u·e_i of the chosen items.
            ids: int32 [B, n], of its Choice.
            tables: this step's live embeddings.

        Returns:
            float32 [B, k]; here `scores` themselves, the negatives being the items.
        """
        del ids, tables
        return scores

    def sample(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Negatives:
        """Return k negatives for every pair of the batch, given this step's live embeddings."""
        known = tables.stale_ok() if self.scores_large_pool else tables.frozen()
        choice = self.choose(batch, known, seed)
        pairs = tf.concat([batch.positives[:, None], choice.ids], axis=1)
        positive, chosen = tf.split(
            tables.scores(batch.users, pairs), [1, choice.ids.shape[1]], axis=1
        )
        return Negatives(
            choice.ids[:, : self.num_negatives],
            self.merged(chosen, choice.ids, tables),
            positive[:, 0],
            *choice[1:],
        )


def assign_rows(state: keras.Variable, rows: tf.Tensor, values: tf.Tensor) -> None:
    """Write values[b] into row rows[b] of the state; of equal rows the first b counts.

    Args:
        state: [U, …].
        rows: int32 [B], repeats allowed.
        values: [B, …].
    """
    distinct, place = tf.unique(rows)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(rows)), place, tf.size(distinct))
    state.value.scatter_update(tf.IndexedSlices(tf.gather(values, first), distinct))
