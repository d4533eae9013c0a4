"""SampledRec (§2): an encoder and a negative sampler, trained together under Keras `fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from recns_tf.encoders.base import Encoder, StaleTables, Tables
from recns_tf.losses import Loss
from recns_tf.ops import random
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Negatives, Sampler
from recns_tf.samplers.batch import Batch
from recns_tf.training import negative_statistics
from recns_tf.training.negative_statistics import NegativeStatistics

STATISTICS = ("ranking_loss", "penalty", "positive_score", "negative_score")


class SampledRec(keras.Model):
    """The model that `fit` trains on batches of the pipeline.

    Compile it with `jit_compile=False`: the sparse kernels have no XLA form.

    Args:
        encoder: E_θ.
        sampler: S_n.
        loss: one of losses.py.
        margin: γ of the hinge losses.
        l2: coefficient of the penalty.
        report: tells what the negatives are.
        penalty: takes users, positives and negatives as Encoder.penalty does, which it is if None.
        previous: an encoder like `encoder`, to hold its weights of one step before; negatives are
            then chosen with those.
    """

    def __init__(
        self,
        encoder: Encoder,
        sampler: Sampler,
        loss: Loss,
        margin: float,
        l2: float,
        report: NegativeStatistics,
        penalty: Callable[..., tf.Tensor] | None = None,
        previous: Encoder | None = None,
    ):
        super().__init__(name="sampled_rec")
        self.encoder = encoder
        self.sampler = sampler
        self.ranking_loss = loss
        self.margin = margin
        self.l2 = l2
        self.penalty = penalty or encoder.penalty
        self.previous = previous
        self.report = report
        names = (*STATISTICS, *negative_statistics.STATISTICS, *sampler.statistics)
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.seconds = keras.metrics.Sum(name="sampling_seconds")
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means over an epoch of what each step reports, and the time spent sampling."""
        return [*self.means.values(), self.seconds]

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the means over the epoch so far, and the seconds spent choosing negatives.

        The loss is summed from the means of its parts: TensorFlow would reorder the additions of
        a mean of sums from run to run, and so round it otherwise.
        """
        means = {name: mean.result() for name, mean in self.means.items()}
        loss = means["ranking_loss"] + means["penalty"]
        return {"loss": loss, **means, "sampling_seconds": self.seconds.result()}

    def refresh(self) -> None:
        """Bring up to date the embeddings that the sampler scores many items with, if any."""
        if self.sampler.scores_large_pool:
            (self.previous or self.encoder).refresh()

    def compute(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Return the loss of a batch and what to report beside it, all scalars."""
        return self.forward(batch)[0]

    def forward(self, batch: Batch) -> tuple[dict[str, tf.Tensor], Negatives]:
        """Return what `compute` does, and the negatives it was computed with.

        The graph is propagated once: the sampler reads the same embeddings as the loss, unless
        it is to read older ones.
        """
        encoding = random.stream(batch.seed, Purpose.ENCODER)
        tables: Tables = self.encoder.encode(True, encoding)
        if self.previous is not None:
            tables = StaleTables(tables, self.previous.encode(True, encoding))
        # The clock starts when there are embeddings, and stops when negatives are chosen.
        with tf.control_dependencies([tables.users(batch.users[:1])]):
            start = tf.timestamp()
        with tf.control_dependencies([start]):
            timed = Batch(*(tf.identity(part) for part in batch))
        negatives = self.sampler.sample(timed, tables, random.stream(timed.seed, Purpose.SAMPLER))
        with tf.control_dependencies([negatives.ids]):
            stop = tf.timestamp()
        positive, negative = negatives.positive_scores, negatives.scores
        ranking_loss = self.ranking_loss(positive, negative, self.margin)
        penalty = self.l2 * self.penalty(batch.users, batch.positives, negatives.ids)
        values = {
            "loss": ranking_loss + penalty,
            "ranking_loss": ranking_loss,
            "penalty": penalty,
            "positive_score": tf.reduce_mean(positive),
            "negative_score": tf.reduce_mean(negative),
            **self.report(batch.users, negatives.ids),
            **negatives.statistics,
            "sampling_seconds": tf.cast(stop - start, tf.float32),
        }
        return values, negatives

    def train_step(self, data: Batch) -> dict[str, Any]:
        """Take one optimiser step on a batch and return the epoch's means so far.

        The sampler learns from the encoder as it was when it chose.
        """
        with tf.GradientTape() as tape:
            values, negatives = self.forward(data)
        weights = self.encoder.trainable_variables
        gradients = tape.gradient(values["loss"], [weight.value for weight in weights])
        self.sampler.update_state(data, negatives.feedback)
        if self.previous is not None:
            for before, now in zip(self.previous.weights, self.encoder.weights, strict=True):
                before.assign(now)
        self.optimizer.apply(gradients, weights)
        for name, mean in self.means.items():
            mean.update_state(values[name])
        self.seconds.update_state(values["sampling_seconds"])
        return self.get_metrics_result()
