"""SampledRec (§2): an encoder and a negative sampler, trained together under Keras `fit`."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from recns_tf import draws, sampling_report
from recns_tf.draws import Purpose
from recns_tf.encoders.base import Encoder
from recns_tf.losses import Loss
from recns_tf.pipeline import Batch
from recns_tf.samplers.base import Negatives, Sampler
from recns_tf.sampling_report import SamplingReport

STATISTICS = ("ranking_loss", "penalty", "positive_score", "negative_score")


class SampledRec(keras.Model):
    """The model that `fit` trains on batches of the pipeline.

    Compile it with `jit_compile=False`: the sparse kernels have no XLA form.

    Args:
        encoder: E_θ.
        sampler: S_n.
        loss: one of losses.py.
        margin: γ of the hinge losses.
        l2: coefficient of the encoder's penalty.
        report: tells what the negatives are.
    """

    def __init__(
        self,
        encoder: Encoder,
        sampler: Sampler,
        loss: Loss,
        margin: float,
        l2: float,
        report: SamplingReport,
    ):
        super().__init__(name="sampled_rec")
        self.encoder = encoder
        self.sampler = sampler
        self.ranking_loss = loss
        self.margin = margin
        self.l2 = l2
        self.report = report
        names = (*STATISTICS, *sampling_report.NAMES, *sampler.statistics)
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
        if self.sampler.scores_many:
            self.encoder.refresh()

    def compute(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Return the loss of a batch and what to report beside it, all scalars."""
        return self.forward(batch)[0]

    def forward(self, batch: Batch) -> tuple[dict[str, tf.Tensor], Negatives]:
        """Return what `compute` does, and the negatives it was computed with.

        The graph is propagated once: the sampler reads the same embeddings as the loss.
        """
        tables = self.encoder.encode(True, draws.stream(batch.seed, Purpose.ENCODER))
        user = tables.users(batch.users)
        with tf.control_dependencies([user]):
            start = tf.timestamp()
        with tf.control_dependencies([start]):
            timed = Batch(*(tf.identity(part) for part in batch))
        negatives = self.sampler.sample(timed, tables, draws.stream(timed.seed, Purpose.SAMPLER))
        with tf.control_dependencies([negatives.ids]):
            stop = tf.timestamp()
        positive = tf.reduce_sum(user * tables.items(batch.positives), axis=1)  # eq. (4)
        negative = tf.linalg.matvec(negatives.embeddings, user)
        ranking_loss = self.ranking_loss(positive, negative, self.margin)
        penalty = self.l2 * self.encoder.penalty(batch.users, batch.positives, negatives.ids)
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
        self.sampler.learn(data, negatives.lesson)
        self.optimizer.apply(gradients, weights)
        for name, mean in self.means.items():
            mean.update_state(values[name])
        self.seconds.update_state(values["sampling_seconds"])
        return self.get_metrics_result()
