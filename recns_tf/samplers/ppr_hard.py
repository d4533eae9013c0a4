"""PPR-hard: uniform negatives, and ever more items that are related to the positive.

Source: R. Ying et al., "Graph Convolutional Neural Networks for Web-Scale Recommender Systems"
(PinSage), KDD 2018, section 3.3: hard negatives are items at ranks 2,000 to 5,000 of the
personalized PageRank of the query, here of the positive v, and n - 1 of them are added in epoch n.
In epoch n, from 1, the first min(k, (n - 1) · per_epoch) negatives of a pair are independent
uniform draws from the list of v without the items outside u's pool; the others are uniform over the
pool, as they all are if nothing of the list is in the pool.

The list of v holds L items, drawn once from those at the given ranks; see pagerank.py. In a catalog
with less than `last` items besides v, both ranks are scaled by the same factor, so that the last
rank is that of the last item. The source does not give the probability of a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.encoders.base import Encoder
from recns_tf.encoders.saving import serializable, to_tensor
from recns_tf.encoders.tables import Tables
from recns_tf.errors import UserError
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Choice, Sampler, SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.pagerank import cached_lists

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class PPRHard(Sampler):
    """Negatives by PinSage's curriculum.

    Its state is `epoch`, int32, from 0.

    Args:
        num_negatives: k.
        pool: the items that each user's negatives come from.
        lists: int32 [I, L], the hard negatives of each positive.
        per_epoch: hard negatives added in each epoch after the first.
    """

    needs_scores_alone: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("hard_negatives",)

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        lists: NDArray[np.int32] | tf.Tensor,
        per_epoch: int = 1,
    ):
        super().__init__(num_negatives)
        self.pool = pool
        self.lists = to_tensor(lists)
        self.per_epoch = per_epoch
        self.epoch = self.add_integers("epoch", ())
        self.epoch.assign(0)

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if the first rank exceeds the last one."""
        if config.ppr_first > config.ppr_last:
            raise UserError(
                f"--ppr_first={config.ppr_first}: choose at most {config.ppr_last}, --ppr_last."
            )

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        """Build the sampler that the flags describe.

        Raises:
            UserError: there is only one item.
        """
        train = context.interactions.train
        first, last = scaled_ranks(config.ppr_first, config.ppr_last, train.shape[1])
        length = min(config.ppr_list, last - first + 1)
        lists = cached_lists(
            context.cache, train, first, last, length, config.ppr_restart, config.seed
        )
        return cls(config.num_negatives, context.pool, lists, config.ppr_per_epoch)

    def begin_epoch(self, epoch: int, encoder: Encoder) -> None:
        del encoder
        self.epoch.assign(epoch)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items. `hard_negatives`: share of the negatives that come from the lists."""
        del tables
        users, k = batch.users, self.num_negatives
        uniform = random.with_replacement(self.pool, users, k, random.stream(seed, Purpose.POOL))
        listed = tf.gather(self.lists, batch.positives)
        legal = self.pool.contains(users, listed)
        some = tf.reduce_any(legal, axis=1, keepdims=True)
        log_weights = tf.where(legal | ~some, 0.0, -np.inf)
        place = random.categorical(log_weights, k, random.stream(seed, Purpose.CHOICE))
        number = tf.convert_to_tensor(self.epoch) * self.per_epoch
        is_hard = (tf.range(k) < number) & some
        ids = tf.where(is_hard, tf.gather(listed, place, batch_dims=1), uniform)
        return Choice(ids, {"hard_negatives": tf.reduce_mean(tf.cast(is_hard, tf.float32))})


def scaled_ranks(first: int, last: int, num_items: int) -> tuple[int, int]:
    """Return the ranks to use in a catalog; see the module.

    Args:
        first, last: as given by the flags, 1 <= first <= last.
        num_items: I.

    Raises:
        UserError: there is only one item.
    """
    if num_items < 2:
        raise UserError("--sampler=ppr-hard needs at least 2 items: choose another sampler.")
    lowest = num_items - 1
    if last <= lowest:
        return first, last
    return max(first * lowest // last, 1), lowest
