"""SimNS: popular items that are similar to the positive.

Source: V.-A. Tran et al., "Improving Collaborative Metric Learning with Efficient Negative
Sampling", SIGIR 2019 (deezer/sigir2019-2stagesampling); §5.1. First, one batch pool of C distinct
items is drawn for the whole batch, sequentially in proportion to popularity^power. Second, each
negative is drawn from those of them that are in the user's own pool, in proportion to how rare
its inner product with the positive is on the unit sphere: with x the cosine of the two and d
columns, the weight is (1 - x² + ε)^(-(d - 3) / 2) if x > 0, else 0. If no item has a positive
cosine, all are equally likely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.encoders.saving import derived, serializable
from recns_tf.encoders.tables import Tables
from recns_tf.interactions import degrees_of_items
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config

EPSILON = 1e-8


@serializable
class SimNS(Sampler):
    """Similarity-based negative sampling in two stages.

    A user whose own pool shares no item with the batch pool gets uniform negatives.

    Args:
        num_negatives: k, drawn with replacement.
        pool: the items that each user's negatives come from.
        train: boolean CSR array [U, I], which determines popularity.
        pool_size: C; all items with a positive weight if they are fewer.
        power: exponent of the popularity.
        clip: upper bound of the cosine in the weight.
    """

    scores_large_pool: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("largest_share",)

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        train: csr_array,
        *,
        pool_size: int,
        power: float = 1.0,
        clip: float = 1.0,
    ):
        super().__init__(num_negatives)
        self.pool = pool
        self.train = train
        self.pool_size = pool_size
        self.power = power
        self.clip = clip

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        return cls(
            config.num_negatives,
            context.pool,
            context.interactions.train,
            pool_size=config.simns_pool,
            power=config.simns_power,
            clip=config.simns_clip,
        )

    @derived
    def log_weights(self) -> tf.Tensor:
        """Log of popularity^power of each item: float32 [I]."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(degrees_of_items(self.train).astype(np.float64) ** self.power)
        return tf.constant(log_weights, tf.float32)

    @derived
    def batch_pool_size(self) -> int:
        """Return C, or the number of items with a positive weight if it is smaller."""
        return min(self.pool_size, int((self.log_weights.numpy() > -np.inf).sum()))

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items. `largest_share`: mean probability of a pair's most likely item.

        The mean is over pairs whose user's own pool shares an item with the batch pool.
        """
        users, k = batch.users, self.num_negatives
        drawn = random.distinct_categorical(
            self.log_weights, self.batch_pool_size, random.stream(seed, Purpose.POOL)
        )
        legal = self.pool.membership(users, drawn)
        positive = tf.math.l2_normalize(tables.items(batch.positives), axis=1)
        others = tf.math.l2_normalize(tables.items(drawn), axis=1)
        cosine = tf.matmul(positive, others, transpose_b=True)
        alike = legal & (cosine > 0)
        any_alike, any_legal = (
            tf.reduce_any(found, axis=1, keepdims=True) for found in (alike, legal)
        )
        # Uniform over the legal items if none is alike; if none is legal, the draw is not used.
        eligible = tf.where(any_alike, alike, legal | ~any_legal)
        rarity = log_rarity(tf.minimum(cosine, self.clip), others.shape[1])
        weights = tf.where(eligible, tf.where(any_alike, rarity, 0.0), -np.inf)
        columns = random.categorical(weights, k, random.stream(seed, Purpose.CHOICE))
        uniform = random.with_replacement(
            self.pool, users, k, random.stream(seed, Purpose.CANDIDATES)
        )
        ids = tf.where(any_legal, tf.gather(drawn, columns), uniform)
        share = tf.exp(tf.reduce_max(weights, axis=1) - tf.reduce_logsumexp(weights, axis=1))
        counted = tf.cast(any_legal[:, 0], tf.float32)
        total = tf.reduce_sum(counted * share)
        mean = tf.math.divide_no_nan(total, tf.reduce_sum(counted))
        return Choice(ids, {"largest_share": mean})


def log_rarity(cosine: tf.Tensor, dim: int) -> tf.Tensor:
    """Return the log of (1 - x² + ε)^(-(d - 3) / 2), finite for all cosines x up to 1."""
    rest = tf.maximum(1 - tf.square(cosine), 0) + EPSILON
    return -(dim - 3) / 2 * tf.math.log(rest)
