"""Samplers with a generator, which proposes negatives and is rewarded by the recommender.

The generator G is a separate matrix factorization. For a pair (u, i), N candidates c are drawn; the
negatives are k independent draws from p = softmax(G(u, c) / temperature) over them. G is then
trained by REINFORCE, with rewards from the recommender before its update in the same step:

    loss_G = -mean over the draws of advantage · log p(drawn) + l2 · penalty.

In the first `warmup` epochs the negatives are the first k candidates, and G learns to score
positives above them (BPR); the sources start from pretrained models instead.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import keras
import tensorflow as tf

from recns_tf import losses
from recns_tf.encoders.base import Encoder, initial_nodes
from recns_tf.encoders.tables import Tables
from recns_tf.ops import random, replicas
from recns_tf.ops.adam import FusedAdam
from recns_tf.ops.gather import products
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Choice, Sampler
from recns_tf.samplers.batch import Batch

if TYPE_CHECKING:
    from recns_tf.config.config import Config


DENSE = 32
"""Score the whole catalog if it has at most this many times the items asked for."""


class GeneratorOptions(NamedTuple):
    """Settings of a generator and its training.

    Attributes:
        num_candidates: N.
        temperature: of the softmax.
        dim: number of columns of G's embeddings.
        learning_rate: of Adam.
        l2: coefficient of ½ Σ‖row‖² over the rows of G in the batch, divided by B.
        warmup: epochs in which the negatives are the first k candidates.
        seed: of G's initial weights.
    """

    num_candidates: int
    temperature: float = 1.0
    dim: int = 64
    learning_rate: float = 1e-3
    l2: float = 1e-5
    warmup: int = 5
    seed: int = 0

    @classmethod
    def from_settings(cls, config: Config) -> GeneratorOptions:
        """Return the options that the flags describe."""
        return cls(
            config.generator_candidates,
            config.generator_temperature,
            config.generator_dim,
            config.generator_learning_rate,
            config.generator_l2,
            config.generator_warmup,
            config.seed,
        )


class Generator(keras.layers.Layer):
    """G(u, v) = g_u·g_v + b_v.

    Its weights are `nodes` [U + I, dim], Glorot uniform, and `bias` [I], zeros.

    Args:
        num_users, num_items: U and I.
        dim: number of columns.
        seed: of the initial weights.
    """

    def __init__(self, num_users: int, num_items: int, dim: int, seed: int):
        super().__init__()
        self.num_users = num_users
        self.nodes = self.add_weight(name="nodes", shape=(num_users + num_items, dim))
        branch = random.stream(random.root(seed), Purpose.STATE)
        self.nodes.assign(initial_nodes(num_users, num_items, dim, branch))
        self.bias = self.add_weight(name="bias", shape=(num_items,), initializer="zeros")
        self.built = True

    def scores(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return G(u, v): int32 [B], [B, n] -> float32 [B, n].

        In a small catalog all scores are computed in one dense product, whose gradient is another.
        The gradient of gathered rows would add them one by one.
        """
        nodes = tf.convert_to_tensor(self.nodes)
        vectors = tf.gather(nodes, users)
        bias = tf.gather(tf.convert_to_tensor(self.bias), items)
        if self.bias.shape[0] <= items.shape[1] * DENSE:
            table = tf.split(nodes, [self.num_users, self.bias.shape[0]])[1]
            every = tf.matmul(vectors, table, transpose_b=True)
            return tf.gather(every, items, batch_dims=1) + bias
        return products(vectors, nodes, items + self.num_users) + bias

    def penalty(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Return (½ Σ‖g_u‖² + ½ Σ‖g_v‖²) / B over the rows of int32 [B] and [B, n]."""
        nodes = tf.convert_to_tensor(self.nodes)
        rows = tf.gather(nodes, users), tf.gather(nodes, items + self.num_users)
        total = tf.nn.l2_loss(rows[0]) + tf.nn.l2_loss(rows[1])
        return total / tf.cast(tf.size(users), tf.float32)


class Feedback(NamedTuple):
    """Data that a generator learns from.

    Attributes:
        candidates: int32 [B, N].
        drawn: int32 [B, k], columns of the candidates that became negatives.
        advantage: float32 [B, k], reward minus baseline.
        rewards: of the draws, for the baselines; each sampler defines its own.
    """

    candidates: tf.Tensor
    drawn: tf.Tensor
    advantage: tf.Tensor
    rewards: tuple[tf.Tensor, ...]


class GeneratorSampler(Sampler):
    """A sampler with a generator; a subclass defines candidates and rewards.

    Its state: the generator, its optimizer, and `epoch`.

    Args:
        num_negatives: k.
        num_users, num_items: U and I.
        options: of the generator.
    """

    statistics: ClassVar[tuple[str, ...]] = ("generator_reward",)

    def __init__(
        self, num_negatives: int, num_users: int, num_items: int, options: GeneratorOptions
    ):
        super().__init__(num_negatives)
        self.num_users = num_users
        self.num_items = num_items
        self.options = GeneratorOptions(*options)
        self.generator = Generator(num_users, num_items, self.options.dim, self.options.seed)
        self.optimizer = FusedAdam(self.options.learning_rate, epsilon=1e-8)
        self.optimizer.build(self.generator.trainable_variables)
        self.epoch = self.add_integers("epoch", ())
        self.epoch.assign(0)

    @abstractmethod
    def candidates(self, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draw N candidates for every pair, the first k of them uniform: int32 [B, N]."""

    @abstractmethod
    def rewards(
        self, batch: Batch, tables: Tables, ids: tf.Tensor, drawn: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Return the rewards of the negatives, each float32 [B, k].

        Args:
            batch: of the step.
            tables: the recommender's frozen embeddings.
            ids: the negatives, int32 [B, k].
            drawn: their columns among the candidates, int32 [B, k].
            seed: int64 [2].
        """

    @abstractmethod
    def advantage(self, rewards: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """Return the advantage, rewards minus baselines: float32 [B, k]."""

    def update_baselines(self, rewards: tuple[tf.Tensor, ...]) -> None:
        """Update the baselines after a step. The default has none."""

    def begin_epoch(self, epoch: int, encoder: Encoder) -> None:
        del encoder
        self.epoch.assign(epoch)

    def in_warmup(self) -> tf.Tensor:
        """Return whether the warm-up is still going on: bool scalar."""
        return tf.convert_to_tensor(self.epoch) < self.options.warmup

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items. `generator_reward`: mean of the first reward."""
        users, k = batch.users, self.num_negatives
        candidates = self.candidates(users, random.stream(seed, Purpose.CANDIDATES))
        logits = self.generator.scores(users, candidates) / self.options.temperature
        drawn = random.categorical(tf.stop_gradient(logits), k, random.stream(seed, Purpose.CHOICE))
        first = tf.broadcast_to(tf.range(k), tf.shape(drawn))
        drawn = tf.where(self.in_warmup(), first, drawn)
        ids = tf.gather(candidates, drawn, batch_dims=1)
        rewards = self.rewards(batch, tables, ids, drawn, random.stream(seed, Purpose.EXPOSED))
        feedback = Feedback(candidates, drawn, self.advantage(rewards), rewards)
        return Choice(ids, {"generator_reward": tf.reduce_mean(rewards[0])}, feedback)

    def update_state(self, batch: Batch, feedback: Feedback) -> None:
        """Take one step of the generator, then update its baselines."""
        weights = self.generator.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.generator_loss(batch, feedback)
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        # Dense, because Keras' Adam would square each part of a repeated row in a sparse gradient.
        dense = [tf.convert_to_tensor(part) for part in gradients]
        self.optimizer.apply(replicas.share_of(dense), weights)
        self.update_baselines(feedback.rewards)

    def generator_loss(self, batch: Batch, feedback: Feedback) -> tf.Tensor:
        """Return loss_G, or the BPR loss in the warm-up: a float32 scalar."""
        scores = self.generator.scores(batch.users, feedback.candidates)
        log_p = tf.nn.log_softmax(scores / self.options.temperature, axis=1)
        chosen = tf.gather(log_p, feedback.drawn, batch_dims=1)
        reinforce = -tf.reduce_mean(tf.stop_gradient(feedback.advantage) * chosen)
        positives = batch.positives[:, None]
        pretraining = losses.bpr(
            self.generator.scores(batch.users, positives)[:, 0],
            tf.gather(scores, feedback.drawn, batch_dims=1),
            0.0,
        )
        ids = tf.gather(feedback.candidates, feedback.drawn, batch_dims=1)
        rows = tf.concat([ids, positives], axis=1)
        penalty = self.options.l2 * self.generator.penalty(batch.users, rows)
        return tf.where(self.in_warmup(), pretraining, reinforce) + penalty
