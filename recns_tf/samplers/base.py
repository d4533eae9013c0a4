"""Interface of negative samplers (§2.3): v_n ~ S_n(u, v)."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import keras
import tensorflow as tf

from recns_tf.encoders.base import Encoder
from recns_tf.encoders.columns import Columns
from recns_tf.encoders.saving import Serializable
from recns_tf.encoders.tables import Tables
from recns_tf.interactions import Interactions
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.replicas import SameEverywhere
from recns_tf.samplers.batch import Batch
from recns_tf.utils.devices import HOST

if TYPE_CHECKING:
    from recns_tf.config.config import Config


class SamplerContext(NamedTuple):
    """The data of a run that a sampler is built from.

    Attributes:
        interactions: the dataset; a sampler may use train and exposed only.
        pool: each user's region, for samplers that draw items themselves.
        width: number of columns of the encoder's embeddings.
        columns: those of them that this worker keeps; None for all.
        layer_width: number of columns of each of its layers, for samplers that use them.
        cache: folder to keep what takes long to compute, if any.
    """

    interactions: Interactions
    pool: ItemSets
    width: int
    layer_width: int = 0
    cache: Path | None = None
    columns: Columns | None = None


class Choice(NamedTuple):
    """The items that a sampler chose.

    Attributes:
        ids: int32 [B, n], the k negatives, then the items merged into them, if any.
        statistics: scalars to report, by the names in the sampler's `statistics`.
        feedback: data from this choice that `update_state` needs, if any: tensors [B, …].
    """

    ids: tf.Tensor
    statistics: dict[str, tf.Tensor]
    feedback: Any = ()


class Negatives(NamedTuple):
    """The negatives of a batch, with scores.

    Attributes:
        ids: int32 [B, k], the chosen items; the L2 penalty is over their layer-0 rows.
        scores: float32 [B, k], e_u·e_n of the negatives. Gradients flow through them.
        positive_scores: float32 [B], e_u·e_v of the pairs, computed in the same product.
        statistics, feedback: as in Choice.
        kept: bool [B, k], which negatives count; None for all.
        shift: float32 [k], added to the scores of the negatives in the loss; None for nothing.
        auxiliary: float32 [B], the sampler's own loss of each pair, if it has one.
    """

    ids: tf.Tensor
    scores: tf.Tensor
    positive_scores: tf.Tensor
    statistics: dict[str, tf.Tensor]
    feedback: Any = ()
    kept: tf.Tensor | None = None
    shift: tf.Tensor | None = None
    auxiliary: Any = ()


class Sampler(Serializable, SameEverywhere, keras.layers.Layer):
    """A negative sampler. A subclass implements `choose`.

    It chooses from frozen embeddings: no gradient flows through the choice. State, if any, is kept
    in weights, so that it is saved and restored with the model; only `update_state` and
    `begin_epoch` change it. Weights of a generator are trainable; the encoder's optimizer updates
    only those that `jointly_trained` names. Constructor arguments are kept as attributes of the
    same name; see Serializable.

    Class attributes:
        default_region: region of the negatives unless --region sets another.
        uses_candidates, uses_exposed: which parts of a Batch it reads.
        draws_exposed: whether its negatives may be exposed items outside the region.
        scores_large_pool: whether it scores so many items that an encoder may return embeddings
            that are some steps old, if encoding is expensive (Tables.stale_ok).
        penalizes_negatives: whether the L2 penalty covers the negatives.
        leaves_out: whether some of its negatives do not count in the loss (Negatives.kept).
        uses_layers: whether its tables must be LayeredTables, which not every encoder has.
        has_auxiliary_loss: whether it has a loss of its own; see `auxiliary_losses`.
        needs_scores_alone: whether it sees embeddings only through Tables.products and
            Tables.scores, so that each worker may hold some of their columns (--strategy=columns).
        statistics: names of the scalars it reports in every step.

    Args:
        num_negatives: k, negatives per positive pair.

    Example:
        >>> sampler = UniNS(15, pool=ComplementItems(train))
        >>> negatives = sampler.sample(batch, sampler.encode(encoder, True, seed), seed)
    """

    default_region: ClassVar[str] = "all"
    uses_candidates: ClassVar[bool] = False
    uses_exposed: ClassVar[bool] = False
    draws_exposed: ClassVar[bool] = False
    scores_large_pool: ClassVar[bool] = False
    penalizes_negatives: ClassVar[bool] = True
    leaves_out: ClassVar[bool] = False
    uses_layers: ClassVar[bool] = False
    has_auxiliary_loss: ClassVar[bool] = False
    needs_scores_alone: ClassVar[bool] = False
    statistics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, num_negatives: int):
        super().__init__()
        self.num_negatives = num_negatives
        self.built = True

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        """Build the sampler that the flags describe.

        Args:
            config: all settings.
            context: data of the run.
        """
        del context
        return cls(config.num_negatives)

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if the sampler does not go with other settings, whatever the data.

        `reproduce` calls it before the first run, and every run before it builds the model.

        Args:
            config: all settings.
        """
        del config

    def add_integers(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        """Return a new int32 weight, in the memory of the host.

        TensorFlow has no kernels for int32 variables on a GPU. Read rows with `rows_of`, on the
        host as well; reading the weight itself would copy all of it to the GPU in each step.
        """
        with tf.device(HOST):
            return self.add_weight(name=name, shape=shape, dtype="int32", trainable=False)

    def encode(self, encoder: Encoder, training: bool, seed: tf.Tensor | None = None) -> Tables:
        """Return the embeddings for `sample`, with their layers if it uses them.

        Args:
            encoder: E_θ.
            training, seed: as for Encoder.encode.

        Raises:
            UserError: the sampler uses layers, and the encoder has none.
        """
        return (encoder.encode_layers if self.uses_layers else encoder.encode)(training, seed)

    @abstractmethod
    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items for every pair of the batch.

        Args:
            batch: users, positives, and the candidates and exposed items that it asked for.
            tables: frozen embeddings of this step.
            seed: int64 [2], of the sampler in this step.
        """

    def update_state(self, batch: Batch, feedback: Any) -> None:
        """Update the state after the choice of a training step, before the encoder is updated.

        On several devices, each calls it with the whole batch and all feedback.

        Args:
            batch: of the step.
            feedback: of its Choice.
        """
        del batch, feedback

    def begin_epoch(self, epoch: int, encoder: Encoder) -> None:
        """Update the state before an epoch, given the encoder after the last epoch.

        Args:
            epoch: from 0; repeated when a run is resumed.
            encoder: E_θ.
        """
        del epoch, encoder

    def merge_scores(self, scores: tf.Tensor, ids: tf.Tensor, tables: Tables) -> tf.Tensor:
        """Return the scores of the negatives, given those of the chosen items.

        Args:
            scores: float32 [B, n], e_u·e_i of the chosen items.
            ids: int32 [B, n], of its Choice.
            tables: this step's live embeddings.

        Returns:
            float32 [B, k]; by default `scores`, as the negatives are the chosen items.
        """
        del ids, tables
        return scores

    def sample_share(
        self, own: Batch, whole: Batch, start: tf.Tensor, tables: Tables, seed: tf.Tensor
    ) -> Negatives:
        """Return negatives for one device's share of a batch; see replicas.Shares.

        Args:
            own: the b pairs of the share.
            whole: the batch.
            start: int32 scalar, the row of the first pair of the share in the batch.
            tables, seed: as for `sample`.
        """
        del whole, start
        return self.sample(own, tables, seed)

    def score(
        self, batch: Batch, ids: tf.Tensor, tables: Tables, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the scores of the positives and of the negatives; gradients flow through them.

        Args:
            batch: of the step.
            ids: int32 [B, n], of its Choice.
            tables: this step's live embeddings.
            seed: that of the choice.

        Returns:
            float32 [B] and [B, k].
        """
        del seed
        pairs = tf.concat([batch.positives[:, None], ids], axis=1)
        positive, chosen = tf.split(tables.scores(batch.users, pairs), [1, ids.shape[1]], axis=1)
        return positive[:, 0], self.merge_scores(chosen, ids, tables)

    def auxiliary_losses(self, batch: Batch, ids: tf.Tensor, tables: Tables) -> Any:
        """Return the sampler's own loss of each pair, float32 [B], whose mean is added to the loss.

        Only for a sampler with `has_auxiliary_loss`. It trains the encoder and the weights in
        `jointly_trained`.

        Args:
            batch, ids, tables: as for `score`.
        """
        del batch, ids, tables
        return ()

    @property
    def jointly_trained(self) -> list[keras.Variable]:
        """The weights that the encoder's optimizer updates, by the gradient of the whole loss."""
        return []

    def sample(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Negatives:
        """Return k negatives for every pair of the batch, given this step's live embeddings."""
        known = tables.stale_ok() if self.scores_large_pool else tables.frozen()
        choice = self.choose(batch, known, seed)
        positive, scores = self.score(batch, choice.ids, tables, seed)
        return Negatives(
            choice.ids[:, : self.num_negatives],
            scores,
            positive,
            *choice[1:],
            auxiliary=self.auxiliary_losses(batch, choice.ids, tables),
        )


def rows_of(state: keras.Variable, rows: tf.Tensor) -> tf.Tensor:
    """Return rows of the state, read where it is: [U, …], int32 [B] -> [B, …]."""
    return tf.gather(state.value, rows)


def assign_rows(state: keras.Variable, rows: tf.Tensor, values: tf.Tensor) -> None:
    """Write values[b] into row rows[b] of the state; the first b wins among equal rows.

    Args:
        state: [U, …].
        rows: int32 [B], repeats allowed.
        values: [B, …].
    """
    distinct, place = tf.unique(rows)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(rows)), place, tf.size(distinct))
    state.value.scatter_update(tf.IndexedSlices(tf.gather(values, first), distinct))
