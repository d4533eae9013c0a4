"""In-batch negatives: the negatives of a pair are the positives of the other pairs of its batch.

Source: X. Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
Recommendations", RecSys 2019. Nothing is drawn. All scores come from one product of the embeddings
of the users and of the positives, [B, d] x [d, B]. The positive of another pair is item j with
probability

    q_j = d_j / n with --pair_sampling=edges or filled, d_j users in n train pairs;
    q_j = Σ_{u has j} 1 / (U n_u) with --pair_sampling=users, n_u items of one of U train users.

With --inbatch_logq, each negative counts 1 / q_j times in losses with an exponential of the scores:
log q_j is subtracted from its score, multiplied by τ in losses with a temperature, which divides by
it again. The score of the positive is not corrected. The source, and TensorFlow Recommenders, also
subtract log q_v from the positive's; with `bsl`, that only adds a constant.

A negative that is a positive of the user in train is an accidental hit. It is left out, or kept as
in the code of BSL (junkangwu/BSL); TensorFlow Recommenders can leave out only the positive itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf import losses, registry
from recns_tf.encoders.saving import serializable, to_tensor
from recns_tf.encoders.tables import Tables
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Choice, Negatives, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config

KEEP = "keep"
PROPOSALS = 16
"""Columns proposed for the negative that the statistics see."""


@serializable
class InBatch(Sampler):
    """In-batch negatives.

    A pair has B negatives, of which at least its own positive is left out.

    Args:
        pool: each user's legal negatives.
        keep_hits: whether all positives but the pair's own are negatives, whatever the pool.
        log_q: float32 [I], subtracted from the scores of negatives in the loss; None for nothing.
    """

    penalizes_negatives: ClassVar[bool] = False
    leaves_out: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("negatives_kept",)

    def __init__(
        self,
        pool: ItemSets,
        *,
        keep_hits: bool = False,
        log_q: NDArray[np.float32] | tf.Tensor | None = None,
    ):
        super().__init__(1)
        self.pool = pool
        self.keep_hits = keep_hits
        self.log_q = None if log_q is None else to_tensor(log_q)

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if hits are kept, but there is a region that they may be outside of."""
        if config.inbatch_hits == KEEP and config.region not in ("auto", "all"):
            raise UserError(
                f"--inbatch_hits=keep: choose --inbatch_hits=mask with --region={config.region}, "
                "or --region=all."
            )

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        log_q = None
        if config.inbatch_logq:
            loss = registry.find(registry.LOSSES, "loss", config.loss).load()
            scale = config.temperature if losses.keywords_of(loss, ("temperature",)) else 1.0
            log_q = np.float32(scale) * log_probabilities(
                context.interactions, by_user=config.pair_sampling == "users"
            )
        return cls(context.pool, keep_hits=config.inbatch_hits == KEEP, log_q=log_q)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Return one of each pair's negatives, as the statistics see; `sample` uses all."""
        del tables
        kept = self.kept(batch, batch, tf.constant(0))
        return Choice(self.shown(batch, kept, tf.constant(0), seed), {"negatives_kept": of(kept)})

    def sample(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Negatives:
        return self.sample_share(batch, batch, tf.constant(0), tables, seed)

    def sample_share(
        self, own: Batch, whole: Batch, start: tf.Tensor, tables: Tables, seed: tf.Tensor
    ) -> Negatives:
        """Return the negatives. `negatives_kept`: mean number of negatives of a pair."""
        kept = self.kept(own, whole, start)
        vectors, items = tables.users(own.users), tables.items(whole.positives)
        positives = tf.gather(items, start + tf.range(tf.size(own.users)))
        return Negatives(
            self.shown(whole, kept, start, seed),
            tf.matmul(vectors, items, transpose_b=True),
            tf.reduce_sum(vectors * positives, axis=1),
            {"negatives_kept": of(kept)},
            kept=kept,
            shift=None if self.log_q is None else -tf.gather(self.log_q, whole.positives),
        )

    def kept(self, own: Batch, whole: Batch, start: tf.Tensor) -> tf.Tensor:
        """Return which positives of the batch are negatives of each pair: bool [b, B]."""
        if self.keep_hits:
            rows = start + tf.range(tf.size(own.users))
            return rows[:, None] != tf.range(tf.size(whole.users))
        return self.pool.membership(own.users, whole.positives)

    def shown(self, whole: Batch, kept: tf.Tensor, start: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return one of each pair's negatives, uniformly chosen: int32 [b, 1].

        Of some proposed columns, it is the first that is a negative, or the pair's first negative
        if none of them is. A pair without negatives shows its own positive.
        """
        rows, size = tf.shape(kept)[0], tf.shape(kept)[1]
        proposed = random.integers(random.stream(seed, Purpose.CHOICE), size, [rows, PROPOSALS])
        good = tf.gather(kept, proposed, batch_dims=1)
        place = tf.argmax(tf.cast(good, tf.int32), axis=1, output_type=tf.int32)
        column = tf.gather(proposed, place, batch_dims=1)
        own = start + tf.range(rows)

        def first() -> tf.Tensor:
            found = tf.argmax(tf.cast(kept, tf.int8), axis=1, output_type=tf.int32)
            return tf.where(tf.reduce_any(kept, axis=1), found, own)

        any_good = tf.reduce_any(good, axis=1)
        # All of `kept` is read in the rare case alone.
        others = tf.cond(tf.reduce_all(any_good), lambda: own, first)
        return tf.gather(whole.positives, tf.where(any_good, column, others))[:, None]


def of(kept: tf.Tensor) -> tf.Tensor:
    """Return the mean number of negatives of a pair: bool [b, B] -> float32 scalar."""
    return tf.reduce_mean(losses.number_of(kept))


def log_probabilities(interactions: Interactions, *, by_user: bool) -> NDArray[np.float32]:
    """Return log q_j, float32 [I], or 0 for an item that no pair has.

    Args:
        interactions: the dataset. Users with every item as a positive are in no pair.
        by_user: whether each user is equally likely, instead of each pair.
    """
    train = interactions.train
    items = np.diff(train.indptr)
    weight = np.where(items < interactions.num_items, 1.0, 0.0)
    if by_user:
        weight = np.divide(weight, items, out=np.zeros_like(weight), where=items > 0)
    found = np.bincount(train.indices, np.repeat(weight, items), minlength=interactions.num_items)
    q = found / found.sum()
    return np.log(q, out=np.zeros_like(q), where=q > 0).astype(np.float32)
