"""RNS-AS: a generator is rewarded for negatives that are hard and are, or resemble, exposed items.

Source: J. Ding et al., "Reinforced Negative Sampling for Recommendation with Exposure Data",
IJCAI 2019 (dingjingtao/ReinforceNS); §5.1. Of the N candidates of a pair, Ne are exposed to the
user, and the others are neither exposed nor positive; a user without exposures gets N of the
others. In the warm-up, which stands for the BPR model that the source starts from (sh/bpr.sh),
negatives are uniform over all items but the positives. The rewards of a negative v are

    r1 = -σ(-e_u·e_v),
    r_id = 1 if v is exposed to u, else 0,
    r_fm = 2 mean_i K(x_i, f) - 2 mean_i K(y_i, f), f = e_u ⊙ e_v,

where y are the features f of the batch's negatives, x those of a random exposed item of each user,
and K is a sum of Gaussian kernels: resembling exposed items pays, resembling other negatives does
not (maximum mean discrepancy). With the means of the last epoch as baselines b,

    advantage = (r1 - b1) + weight · ((1 - share) (r_id - b_id) + share (r_fm - b_fm)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.encoders.base import Encoder
from recns_tf.encoders.saving import derived, serializable
from recns_tf.encoders.tables import Tables
from recns_tf.errors import UserError
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.generator import GeneratorOptions, GeneratorSampler
from recns_tf.samplers.unexposed import Unexposed

if TYPE_CHECKING:
    from recns_tf.config.config import Config

WIDTHS = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Of the Gaussian kernels, in median distances; the source's 19 to 23 fit only its features."""
MEDIAN_ROWS = 64
"""Negatives whose distances to exposed items determine the median."""


@serializable
class RNSAS(GeneratorSampler):
    """Reinforced negative sampling with exposures.

    Its state, besides the generator's: `totals` [3, 2], sum and number of r1, r_id and r_fm in
    this epoch; `baselines` [3].

    Args:
        num_negatives: k.
        pool: the items that the unexposed candidates come from, and the negatives of the warm-up.
        exposed: boolean CSR array [U, I], the items exposed to each user.
        options: of the generator.
        num_exposed: Ne, at most N - k.
        weight: of the rewards from exposures.
        feature_share: share of r_fm among them.
        feature_pairs: pairs of a batch whose first negative gets an r_fm; that of all other
            negatives is at its baseline.
    """

    draws_exposed: ClassVar[bool] = True

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        exposed: csr_array,
        options: GeneratorOptions,
        *,
        num_exposed: int,
        weight: float = 2.5,
        feature_share: float = 0.75,
        feature_pairs: int = 1024,
    ):
        super().__init__(num_negatives, *exposed.shape, options)
        self.pool = pool
        self.exposed = exposed
        self.num_exposed = num_exposed
        self.weight = weight
        self.feature_share = feature_share
        self.feature_pairs = feature_pairs
        self.totals = self.add_weight(
            name="totals", shape=(3, 2), initializer="zeros", trainable=False
        )
        self.baselines = self.add_weight(
            name="baselines", shape=(3,), initializer="zeros", trainable=False
        )

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if fewer than k candidates are unexposed."""
        most = config.generator_candidates - config.num_negatives
        if most < 0:
            raise UserError(
                f"--generator_candidates={config.generator_candidates}: choose at least "
                f"{config.num_negatives + config.rnsas_exposed}, --num_negatives plus "
                "--rnsas_exposed."
            )
        if config.rnsas_exposed > most:
            raise UserError(
                f"--rnsas_exposed={config.rnsas_exposed}: choose at most {most}, "
                "--generator_candidates less --num_negatives."
            )

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        return cls(
            config.num_negatives,
            context.pool,
            context.interactions.exposed,
            GeneratorOptions.from_settings(config),
            num_exposed=config.rnsas_exposed,
            weight=config.rnsas_weight,
            feature_share=config.rnsas_feature_share,
            feature_pairs=config.rnsas_feature_pairs,
        )

    @derived
    def unexposed(self) -> Unexposed:
        """Return the items of the pool that were not exposed."""
        return Unexposed(self.pool, self.exposed)

    def begin_epoch(self, epoch: int, encoder: Encoder) -> None:
        """Make the means of the last epoch the baselines."""
        super().begin_epoch(epoch, encoder)
        total, number = tf.unstack(tf.convert_to_tensor(self.totals), axis=1)
        means = tf.math.divide_no_nan(total, number)
        self.baselines.assign(tf.where(number > 0, means, tf.convert_to_tensor(self.baselines)))
        self.totals.assign(tf.zeros([3, 2]))

    def candidates(self, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draw N candidates for every pair; the exposed ones are last: int32 [B, N].

        In the warm-up the first k, its negatives, are drawn from the whole pool.
        """
        number, exposures = self.options.num_candidates, self.unexposed.exposures
        others = self.unexposed.draw(users, number, random.stream(seed, Purpose.CANDIDATES))
        branch = random.stream(seed, Purpose.EXPOSED)
        shown = random.with_replacement(exposures, users, self.num_exposed, branch)
        common, last = tf.split(others, [number - self.num_exposed, self.num_exposed], axis=1)
        first, rest = common[:, : self.num_negatives], common[:, self.num_negatives :]
        branch = random.stream(seed, Purpose.POOL)
        whole = random.with_replacement(self.pool, users, self.num_negatives, branch)
        first = tf.where(self.in_warmup(), whole, first)
        some = exposures.count(users)[:, None] > 0
        return tf.concat([first, rest, tf.where(some, shown, last)], axis=1)

    def rewards(
        self, batch: Batch, tables: Tables, ids: tf.Tensor, drawn: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Return r1, r_id, r_fm, and 1 where r_fm is defined, else 0; each float32 [B, k]."""
        del drawn
        score = tables.products(tables.users(batch.users), ids)
        is_exposed = tf.cast(self.unexposed.exposures.contains(batch.users, ids), tf.float32)
        given, looks = self.looks_exposed(batch.users, ids[:, 0], tables, seed)
        shape = tf.shape(score)
        padding = [[0, shape[0] - tf.size(looks)], [0, shape[1] - 1]]
        looks, given = (tf.pad(values[:, None], padding) for values in (looks, given))
        return -tf.sigmoid(-score), is_exposed, looks, given

    def looks_exposed(
        self, users: tf.Tensor, items: tf.Tensor, tables: Tables, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return r_fm of the first `feature_pairs` items, and where it is defined.

        Args:
            users, items: int32 [B].
            tables: the recommender's frozen embeddings.
            seed: int64 [2], of the exposed items x.

        Returns:
            Two float32 [min(B, feature_pairs)]: 1 where r_fm is defined, else 0; and r_fm.
        """
        users, items = users[: self.feature_pairs], items[: self.feature_pairs]
        exposures = self.unexposed.exposures
        shown = random.with_replacement(exposures, users, 1, seed)[:, 0]
        is_shown = tf.cast(exposures.count(users) > 0, tf.float32)
        vectors = tables.users(users)
        negative = vectors * tables.items(items)
        given = tf.ones_like(is_shown) * tf.reduce_max(is_shown)
        return given, given * feature_matching(negative, vectors * tables.items(shown), is_shown)

    def advantage(self, rewards: tuple[tf.Tensor, ...]) -> tf.Tensor:
        hard, is_exposed, looks, given = rewards
        means = tf.unstack(tf.convert_to_tensor(self.baselines))
        share = self.feature_share
        exposure = (1 - share) * (is_exposed - means[1]) + share * given * (looks - means[2])
        return hard - means[0] + self.weight * exposure

    def update_baselines(self, rewards: tuple[tf.Tensor, ...]) -> None:
        hard, is_exposed, looks, given = rewards
        every = tf.ones_like(hard)
        sums = [
            [tf.reduce_sum(values), tf.reduce_sum(counted)]
            for values, counted in ((hard, every), (is_exposed, every), (looks, given))
        ]
        self.totals.assign_add(tf.stack([tf.stack(pair) for pair in sums]))


def feature_matching(negative: tf.Tensor, shown: tf.Tensor, is_shown: tf.Tensor) -> tf.Tensor:
    """Return r_fm of each negative: float32 [n].

    Args:
        negative: features y, float32 [n, d].
        shown: features x, float32 [n, d].
        is_shown: float32 [n], 1 for each x of a user with exposures, else 0.
    """
    membership, across = squared_distances(negative, negative), squared_distances(negative, shown)
    counted = tf.where(is_shown > 0, tf.sqrt(across[:MEDIAN_ROWS]), np.inf)
    number = tf.math.count_nonzero(tf.math.is_finite(counted), dtype=tf.int32)
    median = tf.sort(tf.reshape(counted, [-1]))[number // 2]
    likeness = [
        sum(tf.exp(-squares / (2 * tf.square(width * median) + 1e-12)) for width in WIDTHS)
        for squares in (membership, across)
    ]
    to_shown = tf.linalg.matvec(likeness[1], is_shown) / tf.maximum(tf.reduce_sum(is_shown), 1.0)
    return 2 * to_shown - 2 * tf.reduce_mean(likeness[0], axis=1)


def squared_distances(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Return ‖x_i - y_j‖² for all pairs of rows: float32 [n, d], [m, d] -> [n, m]."""
    lengths = tf.reduce_sum(tf.square(x), axis=1)[:, None] + tf.reduce_sum(tf.square(y), axis=1)
    return tf.maximum(lengths - 2 * tf.matmul(x, y, transpose_b=True), 0.0)
