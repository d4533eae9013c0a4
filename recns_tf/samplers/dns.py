"""DNS: the item that the current model scores highest among M random ones.

Source: W. Zhang et al., "Optimizing Top-N Collaborative Filtering via Dynamic Negative Item
Sampling", SIGIR 2013; §5.1. Each of the k negatives has its own M independent candidates: the
best k of one set of M, such as 15 of 20, would be nearly uniform. With N items in the pool and
distinct scores, the item of rank r from below is chosen with probability
(r / N)^M - ((r - 1) / N)^M.
"""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import Tables
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.own_candidates import Candidates, OwnCandidates


@serializable
class DNS(OwnCandidates):
    """Dynamic negative sampling.

    Args:
        num_negatives: k.
        pool: the items that each user's candidates come from.
        num_candidates: M, candidates per negative.
    """

    needs_scores_alone: ClassVar[bool] = True

    def pick(
        self, candidates: Candidates, batch: Batch, tables: Tables, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        del batch, tables, seed
        return tf.argmax(candidates.scores, axis=2, output_type=tf.int32), {}
