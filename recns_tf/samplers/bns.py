"""BNS: a candidate that is hard, but probably no false negative.

Source: B. Liu and B. Wang, "Bayesian Negative Sampling for Recommendation", ICDE 2023
(liubin06/BNS). Each of the k negatives has its own N candidates, drawn uniformly with replacement
(in the source N = 5, without replacement). With s the score of the positive, the negative is the
candidate l, of score s_l, with the smallest

    info(l) (1 - (1 + λ) unbias(l)),

where info(l) = 1 - σ(s - s_l) is the size of the gradient, and unbias(l) the posterior probability
that l is a true negative,

    unbias(l) = (1 - F) (1 - P) / (1 - F - P + 2 F P).

P, the prior probability of a false negative, is the number of train pairs of l divided by the
number of all train pairs. F is the share of the items in the user's pool with a score of at most
s_l, as in the source's code for matrix factorization: m such items among n count as m / (n + 1),
so that F < 1. The source's code for LightGCN counts all items instead.

F is exact if there are at most `sample_size` items. Otherwise it is that of `sample_size` items
drawn uniformly from the pool, with replacement, for each user of the batch. By the inequality of
Dvoretzky, Kiefer, Wolfowitz and Massart, all values of F for a user are then within
sqrt(ln(2 / δ) / (2 sample_size)) of the exact ones with probability 1 - δ: within 0.031 for 2,000
items and δ = 0.05.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.encoders.saving import derived, serializable
from recns_tf.encoders.tables import Tables
from recns_tf.interactions import degrees_of_items
from recns_tf.ops import kernels, random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.own_candidates import Candidates, OwnCandidates

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class BNS(OwnCandidates):
    """Bayesian negative sampling.

    Args:
        num_negatives: k.
        pool: the items that each user's negatives come from.
        num_candidates: N, candidates per negative.
        train: boolean CSR array [U, I], which determines the prior.
        weight: λ, how much true negatives are preferred to hard ones.
        sample_size: items that F is computed from; 0 for all.
    """

    statistics: ClassVar[tuple[str, ...]] = (*OwnCandidates.statistics, "unbias")

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        num_candidates: int,
        train: csr_array,
        *,
        weight: float = 5.0,
        sample_size: int = 2_000,
    ):
        super().__init__(num_negatives, pool, num_candidates)
        self.train = train
        self.weight = weight
        self.sample_size = sample_size

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        return cls(
            config.num_negatives,
            context.pool,
            config.num_candidates,
            context.interactions.train,
            weight=config.bns_weight,
            sample_size=config.bns_items,
        )

    @derived
    def prior(self) -> tf.Tensor:
        """P of each item: float32 [I]."""
        popularity = degrees_of_items(self.train).astype(np.float64)
        return tf.constant(popularity / max(popularity.sum(), 1), tf.float32)

    def pick(
        self, candidates: Candidates, batch: Batch, tables: Tables, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return the candidates of least risk. `unbias`: its mean over the chosen."""
        positive = tables.products(candidates.vectors, batch.positives[:, None])
        info = tf.sigmoid(candidates.scores - positive[:, :, None])
        above = 1 - self.share_below(candidates, batch, tables, seed)
        prior = tf.gather(self.prior, candidates.items)
        unbias = posterior(above, prior)
        risk = info * (1 - (1 + self.weight) * unbias)
        place = tf.argmin(risk, axis=2, output_type=tf.int32)
        return place, {"unbias": tf.reduce_mean(tf.gather(unbias, place, batch_dims=2))}

    def share_below(
        self, candidates: Candidates, batch: Batch, tables: Tables, seed: tf.Tensor
    ) -> tf.Tensor:
        """Return F of every candidate: float32 [B, k, N], less than 1."""
        # Their scores are what costs most: once for each user of the batch.
        users, row = tf.unique(batch.users)
        first = tf.math.unsorted_segment_min(tf.range(tf.size(row)), row, tf.size(users))
        vectors = tf.gather(candidates.vectors, first)
        num_items = self.train.shape[1]
        items = tf.reshape(candidates.items, [tf.size(row), -1])
        if not self.sample_size or num_items <= self.sample_size:
            everything = tf.range(num_items)
            scores = tf.matmul(vectors, tables.items(everything), transpose_b=True)
            # Their scores from the same product: those from another one may round differently.
            own = tf.gather(tf.gather(scores, row), items, batch_dims=1)
            scores = tf.where(self.pool.membership(users, everything), scores, np.inf)
            size = tf.gather(self.pool.count(users), row)[:, None, None]
        else:
            others = random.with_replacement(
                self.pool, users, self.sample_size, random.stream(seed, Purpose.POOL)
            )
            scores = tables.products(vectors, others)
            own = tf.reshape(candidates.scores, tf.shape(items))
            size = tf.constant(self.sample_size)
        below = kernels.counts_up_to(scores, row, own)
        return tf.cast(self.by_negative(below), tf.float32) / tf.cast(size + 1, tf.float32)


def posterior(above: tf.Tensor, prior: tf.Tensor) -> tf.Tensor:
    """Return the probability that an item is a true negative.

    Args:
        above: 1 - F, float32 above 0.
        prior: P, float32 below 1.
    """
    is_true = above * (1 - prior)
    return is_true / (is_true + (1 - above) * prior)
