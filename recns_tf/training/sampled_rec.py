"""SampledRec (§2): an encoder and a negative sampler, trained together by Keras `fit`."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from recns_tf import losses
from recns_tf.encoders.base import Encoder
from recns_tf.encoders.rows import Rows, RowTables
from recns_tf.encoders.saving import DATA_KINDS, DataKind, Serializable, serializable
from recns_tf.encoders.tables import StaleTables, Tables
from recns_tf.losses import Loss
from recns_tf.ops import kernels, random, replicas
from recns_tf.ops.clock import seconds_after
from recns_tf.ops.random import Purpose
from recns_tf.ops.shares import shared_gradient
from recns_tf.samplers.base import Negatives, Sampler
from recns_tf.samplers.batch import Batch
from recns_tf.training import negative_statistics
from recns_tf.training.negative_statistics import NegativeStatistics

DATA_KINDS["negative_statistics"] = DataKind(
    NegativeStatistics, lambda statistics: dict(vars(statistics)), NegativeStatistics
)

STATISTICS = ("ranking_loss", "penalty", "positive_score", "negative_score")
AUXILIARY = "auxiliary_loss"


@serializable
class SampledRec(Serializable, keras.Model):
    """The model that `fit` trains on batches of the pipeline.

    Compile it with `jit_compile=False`: the sparse kernels have no XLA form. `save` writes encoder,
    sampler, optimizer and the data they need; a loaded model continues training.

    Args:
        encoder: E_θ.
        sampler: S_n.
        ranking_loss: one of losses.py.
        margin: γ of the hinge losses.
        l2: coefficient of the penalty.
        report: returns statistics of the negatives.
        l2_scope: "own" for the encoder's own penalty, "all" for the squares of all its weights,
            "final" for the final embeddings of the batch.
        previous: an encoder like `encoder` that holds the weights of one step before, to choose
            negatives with.
        implementation: of the kernels of a step, a value of --kernels.
        sparse_engine: of the sparse products of a step, a value of --sparse_engine.
        scores: what the loss sees: "inner" for inner products, "cosine" for cosines. The sampler
            always chooses by inner products.

    Example:
        >>> model, pipeline, _ = build(Config(dataset="ml-100k"), interactions)
        >>> steps = pipeline.steps_per_epoch
        >>> model.fit(pipeline.batches(), steps_per_epoch=steps, epochs=10, shuffle=False)
    """

    def __init__(
        self,
        encoder: Encoder,
        sampler: Sampler,
        ranking_loss: Loss,
        margin: float,
        l2: float,
        report: NegativeStatistics,
        l2_scope: str = "own",
        previous: Encoder | None = None,
        implementation: str = kernels.AUTO,
        sparse_engine: str = kernels.CSR,
        scores: str = "inner",
    ):
        super().__init__(name="sampled_rec")
        self.encoder = encoder
        self.sampler = sampler
        self.ranking_loss = ranking_loss
        self.margin = margin
        self.l2 = l2
        self.l2_scope = l2_scope
        self.previous = previous
        self.implementation = implementation
        self.sparse_engine = sparse_engine
        self.scores = scores
        self.report = report
        self.rows: Rows | None = None
        """Of each batch, those that this worker computes (--strategy=batch); None for all."""
        self.strategy = tf.distribute.get_strategy()
        auxiliary = (AUXILIARY,) * sampler.has_auxiliary_loss
        names = (*STATISTICS, *auxiliary, *negative_statistics.STATISTICS, *sampler.statistics)
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.seconds = keras.metrics.Sum(name="sampling_seconds")
        self.built = True

    @property
    def distribute_strategy(self) -> tf.distribute.Strategy:
        """The default one, so that `fit` does not split batches: `train_step` does."""
        return tf.distribute.get_strategy()

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means over an epoch of what each step reports, and the time spent sampling."""
        return [*self.means.values(), self.seconds]

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the means over the epoch so far, and the seconds spent choosing negatives.

        The loss is the sum of the means of its parts. TensorFlow may reorder the additions in a
        mean of sums between runs, which changes rounding.
        """
        means = {name: mean.result() for name, mean in self.means.items()}
        loss = means["ranking_loss"] + means["penalty"]
        if AUXILIARY in means:
            loss += means[AUXILIARY]
        return {"loss": loss, **means, "sampling_seconds": self.seconds.result()}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the saved model was; the optimizer updates `trained_weights` alone."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trained_weights)

    @property
    def trained_weights(self) -> list[keras.Variable]:
        """The weights that the optimizer updates: the encoder's, and those of the sampler."""
        return [*self.encoder.trainable_variables, *self.sampler.jointly_trained]

    def refresh(self) -> None:
        """Update the embeddings of Tables.stale_ok, if the sampler uses them."""
        if self.sampler.scores_large_pool:
            (self.previous or self.encoder).refresh()

    def compute(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Return the loss of a batch and the statistics to report, all scalars."""
        return self.forward(batch)[0]

    def penalty(
        self, tables: Tables, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor
    ) -> tf.Tensor:
        """Return the scalar that the L2 coefficient multiplies.

        Args:
            tables: this step's live embeddings, all on this worker.
            users, positives, negatives: as for Encoder.penalty.
        """
        if self.l2_scope == "final":
            return self.final_penalty(tables, users, positives, negatives)
        function = self.encoder.whole_penalty if self.l2_scope == "all" else self.encoder.penalty
        return self.repeated(self.encoder.total(function(users, positives, negatives)))

    def final_penalty(
        self, tables: Tables, users: tf.Tensor, positives: tf.Tensor, negatives: tf.Tensor
    ) -> tf.Tensor:
        """Return (½ Σ‖e_u‖² + ½ Σ‖e_v‖² + ½ Σ‖e_n‖²) / B over the batch's final embeddings."""

        def half_squares(users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
            return tf.nn.l2_loss(tables.users(users)) + tf.nn.l2_loss(tables.items(items))

        items = tf.concat([positives[:, None], negatives], axis=1)
        if self.rows is None:
            total = self.repeated(self.encoder.total(half_squares(users, items)))
        else:
            total = self.rows.total(half_squares, users, items)
        return total / tf.cast(tf.size(users), tf.float32)

    def repeated(self, value: tf.Tensor) -> tf.Tensor:
        """Return a value that every device, or worker with its rows, computes for all pairs."""
        copies = replicas.count() if self.rows is None else self.rows.group.count
        return shared_gradient(value, copies)

    def divided(self, tables: Tables) -> Tables:
        """Return the tables of a step, whose rows are divided among the workers, if any."""
        return tables if self.rows is None else RowTables(tables, self.rows)

    def forward(self, batch: Batch) -> tuple[dict[str, tf.Tensor], Negatives]:
        """Return the result of `compute`, and the negatives of the whole batch.

        The graph is propagated once: the sampler uses the same embeddings as the loss, unless
        `previous` is set. On several devices every replica does so, for its share of the pairs.
        """
        encoding = random.stream(batch.seed, Purpose.ENCODER)
        unscaled = self.sampler.encode(self.encoder, True, encoding)
        tables = self.divided(unscaled)
        if self.scores == "cosine":
            tables = StaleTables(tables.unit(), tables)
        if self.previous is not None:
            before = self.sampler.encode(self.previous, True, encoding)
            tables = StaleTables(tables, self.divided(before))
        shares = replicas.Shares(tf.size(batch.users))
        seed = batch.seed
        if shares.replicas > 1:
            seed = random.stream(seed, replicas.number())
        own = Batch(
            shares.own(batch.users),
            shares.own(batch.positives),
            shares.own(batch.candidates),
            shares.own(batch.exposed),
            seed,
        )
        # Time from when the embeddings are computed until the negatives are chosen.
        start = seconds_after(unscaled.users(own.users[:1]))
        with tf.control_dependencies([start]):
            timed = Batch(*(tf.identity(part) for part in own))
        sampling = random.stream(timed.seed, Purpose.SAMPLER)
        negatives = self.sampler.sample_share(timed, batch, shares.start, tables, sampling)
        stop = seconds_after(negatives.ids)
        negatives = gathered(negatives, shares)
        ranking_loss = self.loss_of(negatives)
        penalized = negatives.ids if self.sampler.penalizes_negatives else negatives.ids[:, :0]
        penalty = self.l2 * self.penalty(unscaled, batch.users, batch.positives, penalized)
        values = {
            "loss": ranking_loss + penalty,
            "ranking_loss": ranking_loss,
            "penalty": penalty,
            "positive_score": tf.reduce_mean(negatives.positive_scores),
            "negative_score": losses.mean(negatives.scores, negatives.kept),
            **self.report(batch.users, negatives.ids),
            **shares.mean(
                {
                    **negatives.statistics,
                    "sampling_seconds": tf.cast(stop - start, tf.float32),
                }
            ),
        }
        if self.sampler.has_auxiliary_loss:
            values[AUXILIARY] = tf.reduce_mean(negatives.auxiliary)
            values["loss"] += values[AUXILIARY]
        return values, negatives

    def loss_of(self, negatives: Negatives) -> tf.Tensor:
        """Return the ranking loss of a whole batch, a scalar."""
        scores, kept = negatives.scores, negatives.kept
        if negatives.shift is not None:
            scores += negatives.shift
        if kept is None:
            return self.ranking_loss(negatives.positive_scores, scores, self.margin)
        return self.ranking_loss(negatives.positive_scores, scores, self.margin, kept=kept)

    def train_step(self, data: Batch) -> dict[str, Any]:
        """Take one optimizer step on a batch and return the means over the epoch so far.

        The sampler's state is updated before the encoder.
        """
        with kernels.using(self.implementation, self.sparse_engine):
            if self.strategy.num_replicas_in_sync == 1:
                return self.record(self.take_step(data))
            with self.strategy.scope():
                found = self.strategy.run(self.take_step, args=(data,))
                # All replicas return the same.
                first = self.strategy.experimental_local_results
                return self.record({name: first(value)[0] for name, value in found.items()})

    def take_step(self, data: Batch) -> dict[str, tf.Tensor]:
        """Take one optimizer step, on each replica, and return the values to report."""
        with tf.GradientTape() as tape:
            values, negatives = self.forward(data)
        weights = self.trained_weights
        gradients = tape.gradient(values["loss"], [weight.value for weight in weights])
        if self.rows is not None:
            gradients = self.rows.gradients(gradients)
        self.sampler.update_state(data, negatives.feedback)
        if self.previous is not None:
            for before, now in zip(self.previous.weights, self.encoder.weights, strict=True):
                before.assign(now)
        self.optimizer.apply(gradients, weights)
        return values

    def record(self, values: dict[str, tf.Tensor]) -> dict[str, Any]:
        """Add the values of a step to the means over the epoch, and return these."""
        for name, mean in self.means.items():
            mean.update_state(values[name])
        self.seconds.update_state(values["sampling_seconds"])
        return self.get_metrics_result()


def gathered(negatives: Negatives, shares: replicas.Shares) -> Negatives:
    """Return the negatives of the whole batch, with the statistics of this replica's."""
    parts = negatives._replace(statistics={}, shift=None)
    every = tf.nest.map_structure(lambda part: None if part is None else shares.gather(part), parts)
    return every._replace(statistics=negatives.statistics, shift=negatives.shift)
