"""SRNS: hard items from a memory, preferring those whose scores vary most between epochs.

Source: J. Ding et al., "Simplify and Robustify Negative Sampling for Implicit Collaborative
Filtering", NeurIPS 2020 (dingjingtao/SRNS); §5.1. In epoch t, from 0, for the pair (u, i) and an
item v in the memory of u, let P(v) = σ(e_u·e_v - e_u·e_i), and let std(v) be the standard deviation
of the same quantity over the models at the end of the last min(t, window) epochs. The negatives
are the k items in the memory with the largest

    P(v) + weight · min(1, t / warmup) · std(v).

Then the memory of each user in the batch is updated: S2 uniform items join its S1 items, and S1 of
all these are kept, drawn sequentially in proportion to exp(e_u·e_v / temperature).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf

from recns_tf.encoders.base import Encoder
from recns_tf.encoders.columns import Columns
from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import Tables
from recns_tf.errors import UserError
from recns_tf.ops import kernels, random
from recns_tf.ops.gather import products
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Choice, Sampler, SamplerContext, assign_rows, rows_of
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config

USERS_AT_ONCE = 16_384


@serializable
class SRNS(Sampler):
    """Negative sampling by score and by its variance.

    Its state: `memory` int32 [U, S1], filled by `begin_epoch`; `snapshots`, float32 [U + I, d]
    each, the embeddings at the end of past epochs, epoch t in number t modulo `window`; `epoch`, t.

    Args:
        num_negatives: k, at most S1.
        pool: the items that each user's negatives come from.
        num_users, num_items: U and I.
        width: d, columns of the embeddings.
        memory_size: S1, items in a user's memory.
        extra: S2, items offered to it in each step.
        weight: of the standard deviation.
        warmup: epochs until the weight is reached, linearly.
        temperature: of the update.
        window: number of past epochs in the standard deviation.
        afresh: whether to redraw memories in every epoch, as in the authors' code.
        seed: of the first memories.
    """

    scores_large_pool: ClassVar[bool] = True
    needs_scores_alone: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("memory_gap", "deviation")

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        num_users: int,
        num_items: int,
        width: int,
        *,
        memory_size: int,
        extra: int,
        weight: float = 5.0,
        warmup: int = 50,
        temperature: float = 10.0,
        window: int = 5,
        afresh: bool = False,
        seed: int = 0,
        columns: Columns | None = None,
    ):
        super().__init__(num_negatives)
        self.pool = pool
        self.num_users, self.num_items, self.width = num_users, num_items, width
        self.extra, self.weight, self.warmup = extra, weight, warmup
        self.memory_size = memory_size
        self.temperature, self.window, self.afresh = temperature, window, afresh
        self.seed = seed
        self.columns = columns
        self.memory_seed = random.stream(random.root(seed), Purpose.STATE)
        self.memory = self.add_integers("memory", (num_users, memory_size))
        # One weight per snapshot, assigned as a whole: TensorFlow copies a variable with row
        # assignments whenever it reads it.
        shape = (num_users + num_items, columns.width(width) if columns else width)
        self.snapshots = [
            self.add_weight(
                name=f"snapshot_{number}", shape=shape, initializer="zeros", trainable=False
            )
            for number in range(window)
        ]
        self.epoch = self.add_integers("epoch", ())
        self.epoch.assign(0)

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if the memory holds fewer than k items."""
        if 0 < config.srns_memory < config.num_negatives:
            raise UserError(
                f"--srns_memory={config.srns_memory}: choose at least {config.num_negatives}, "
                "--num_negatives, or 0 for 8 times as many."
            )

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        memory = config.srns_memory or 8 * config.num_negatives
        return cls(
            config.num_negatives,
            context.pool,
            context.interactions.num_users,
            context.interactions.num_items,
            context.width,
            memory_size=memory,
            extra=config.srns_extra or memory,
            weight=config.srns_weight,
            warmup=config.srns_warmup,
            temperature=config.srns_temperature,
            window=config.srns_window,
            afresh=config.srns_afresh,
            seed=config.seed,
            columns=context.columns,
        )

    def fill(self, generation: int) -> None:
        """Draw every user's memory uniformly from the pool, distinct items if it has enough."""
        size = self.memory.shape[1]
        for start in range(0, self.num_users, USERS_AT_ONCE):
            users = tf.range(start, min(start + USERS_AT_ONCE, self.num_users))
            seed = random.stream(self.memory_seed, generation, start)
            drawn = random.without_replacement(self.pool, users, size, seed)
            self.memory.value.scatter_update(tf.IndexedSlices(drawn, users))

    def begin_epoch(self, epoch: int, encoder: Encoder) -> None:
        """Store the embeddings after the last epoch; fill the memories in the first epoch."""
        self.epoch.assign(epoch)
        if epoch:
            number = (epoch - 1) % len(self.snapshots)
            self.snapshots[number].assign(np.concatenate(encoder.embeddings()))
        if self.afresh or not epoch:
            self.fill(epoch)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items.

        `memory_gap`: mean score of the memory minus that of uniform items; `deviation`: mean
        standard deviation of the chosen items.
        """
        users = batch.users
        vectors = tables.users(users)
        memory = rows_of(self.memory, users)
        memory_scores = tables.products(vectors, memory)
        positive = tables.products(vectors, batch.positives[:, None])
        deviation = self.deviation(batch, memory)
        epoch = tf.cast(tf.convert_to_tensor(self.epoch), tf.float32)
        ramp = tf.minimum(1.0, epoch / self.warmup) if self.warmup else 1.0
        # P(v) - 1 has the order of P(v), and distinguishes scores where P(v) rounds to 1.
        missing = -tf.sigmoid(positive - memory_scores)
        criterion = missing + self.weight * ramp * deviation
        best = tf.math.top_k(criterion, self.num_negatives).indices

        offered = random.with_replacement(
            self.pool, users, self.extra, random.stream(seed, Purpose.CANDIDATES)
        )
        offered_scores = tables.products(vectors, offered)
        renewed = renew(
            tf.concat([memory, offered], axis=1),
            tf.concat([memory_scores, offered_scores], axis=1) / self.temperature,
            memory.shape[1],
            random.stream(seed, Purpose.CHOICE),
        )
        statistics = {
            "memory_gap": tf.reduce_mean(memory_scores) - tf.reduce_mean(offered_scores),
            "deviation": tf.reduce_mean(tf.gather(deviation, best, batch_dims=1)),
        }
        return Choice(tf.gather(memory, best, batch_dims=1), statistics, renewed)

    def update_state(self, batch: Batch, feedback: tf.Tensor) -> None:
        """Write the new memories, once per distinct user."""
        assign_rows(self.memory, batch.users, feedback)

    def deviation(self, batch: Batch, items: tf.Tensor) -> tf.Tensor:
        """Return std(v) of the items int32 [B, n]: float32 [B, n], 0 in the first epoch."""
        epoch = tf.convert_to_tensor(self.epoch)
        pairs = self.num_users + tf.concat([batch.positives[:, None], items], axis=1)
        past = [
            products(tf.gather(snapshot, batch.users), snapshot, pairs)
            for snapshot in map(tf.convert_to_tensor, self.snapshots)
        ]
        scores = (
            tf.stack(past) if self.columns is None else self.columns.group.total(tf.stack(past))
        )
        used = tf.cast(tf.range(len(past)) < epoch, tf.float32)[:, None, None]
        count = tf.maximum(tf.reduce_sum(used), 1.0)
        values = tf.sigmoid(scores[..., 1:] - scores[..., :1])
        mean = tf.reduce_sum(used * values, axis=0) / count
        return tf.sqrt(tf.reduce_sum(used * tf.square(values - mean), axis=0) / count)


def renew(items: tf.Tensor, logits: tf.Tensor, size: int, seed: tf.Tensor) -> tf.Tensor:
    """Return `size` of each row's items, drawn without replacement in proportion to exp(logit).

    A repeated item is drawn as if it occurred once: its later places are not drawn while there are
    others.

    Args:
        items: int32 [B, n].
        logits: float32 [B, n].
        size: at most n.
        seed: int64 [2].
    """
    repeated = kernels.repeats(items)
    kept = random.distinct_categorical(tf.where(repeated, -np.inf, logits), size, seed)
    return tf.gather(items, kept, batch_dims=1)
