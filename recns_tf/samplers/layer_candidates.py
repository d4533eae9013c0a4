"""Samplers that pick one of a negative's candidates in each layer of the encoder."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import tensorflow as tf

from recns_tf.encoders.layers import LayeredTables, layered
from recns_tf.encoders.tables import Tables
from recns_tf.samplers.base import Choice
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.own_candidates import CandidateSampler


class LayerCandidates(CandidateSampler):
    """A sampler that picks one of each negative's candidates in each layer of the encoder.

    In each layer l = 0 … L, the candidate j_l of the largest utility is picked. The negative is
    what the encoder makes of these rows, n_{j_0}^0, …, n_{j_L}^L, which may be of different items:
    their weighted sum, or their concatenation. A subclass implements `utilities` and `combine`.

    The items of layer 0 are those that it reports: the L2 penalty is over their layer-0 rows, and
    the statistics of negatives count them. The sources' penalty is over the layer-0 part of a
    negative, which for MixGCF is mixed. Choice.ids has the k items of layer 0, then those of layer
    1, and so on.
    """

    uses_layers: ClassVar[bool] = True

    @abstractmethod
    def utilities(self, batch: Batch, items: tf.Tensor, tables: LayeredTables) -> list[tf.Tensor]:
        """Return the utility of each candidate in each layer.

        Args:
            batch: of the step.
            items: int32 [B, k N], the candidates as `draw` returns them.
            tables: frozen embeddings of this step.

        Returns:
            L + 1 tensors, float32 [B, k N].
        """

    @abstractmethod
    def combine(self, positive: tf.Tensor, chosen: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the scores of the negatives, float32 [B, k].

        Args:
            positive: float32 [B, 1, L + 1], of each layer, what it adds to the positive's score.
            chosen: float32 [B, k, L + 1], what it would add to the score of the item it picked.
            seed: that of the choice. The candidates are drawn with it, other draws need a branch.
        """

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items.

        `hardness`: mean score of the picked rows, before they are mixed with anything, minus that
        of all candidates.
        """
        frozen = layered(tables)
        drawn = self.draw(batch.users, seed)
        candidates = self.by_negative(drawn)
        utilities = map(self.by_negative, self.utilities(batch, drawn, frozen))
        places = [tf.argmax(each, axis=2, output_type=tf.int32) for each in utilities]
        ids = tf.concat([tf.gather(candidates, each, batch_dims=2) for each in places], axis=1)
        _, chosen = self.layer_scores(batch, ids, frozen)
        mean = tf.reduce_mean(frozen.scores(batch.users, drawn))
        hardness = tf.reduce_mean(tf.reduce_sum(chosen, axis=2)) - mean
        return Choice(ids, {"hardness": hardness})

    def layer_scores(
        self, batch: Batch, ids: tf.Tensor, tables: LayeredTables
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what each layer adds to the scores: float32 [B, 1, L + 1] and [B, k, L + 1].

        Args:
            batch: of the step.
            ids: int32 [B, k (L + 1)], the picked items, layer by layer.
            tables: embeddings to score with.
        """
        parts = [
            layer.products(factor, tf.concat([batch.positives[:, None], picked], axis=1))
            for layer, factor, picked in zip(
                tables.layers,
                tables.factors(batch.users),
                tf.split(ids, len(tables.layers), axis=1),
                strict=True,
            )
        ]
        positive, chosen = tf.split(tf.stack(parts, axis=2), [1, self.num_negatives], axis=1)
        return positive, chosen

    def score(
        self, batch: Batch, ids: tf.Tensor, tables: Tables, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        positive, chosen = self.layer_scores(batch, ids, layered(tables))
        return tf.reduce_sum(positive, axis=2)[:, 0], self.combine(positive, chosen, seed)
