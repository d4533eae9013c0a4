"""RecNS-W: exposure-augmented sampling (§4.2)."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import Tables
from recns_tf.samplers.base import Choice, Sampler
from recns_tf.samplers.batch import Batch


@serializable
class ExposureAugmented(Sampler):
    """Picks the exposed item of eq. (8), and repeats it k times.

    Args:
        num_negatives: k.
    """

    default_region: ClassVar[str] = "intermediate"
    uses_candidates: ClassVar[bool] = True
    uses_exposed: ClassVar[bool] = True
    draws_exposed: ClassVar[bool] = True
    needs_scores_alone: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("amplification",)

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Return the exposed negative of every pair, k times: ids [B, k]."""
        del seed
        picked = pick_exposed(batch, tables, 1)
        return Choice(tf.repeat(picked.ids, self.num_negatives, axis=1), picked.statistics)


def pick_exposed(batch: Batch, tables: Tables, n: int) -> Choice:
    """Return the exposed negative v_n^e of every pair by eq. (8), or the n best: ids [B, n].

    The σ of eq. (8) is increasing, so the argmax does not need it; in float32 it would also make
    all large scores equal. The first of equal values wins. `amplification`: mean β of the picked
    items.
    """
    beta = amplification(batch.exposed, batch.candidates)
    exposed_scores = tables.products(tables.users(batch.users), batch.exposed)
    best = tf.math.top_k(beta * exposed_scores, n).indices
    return Choice(
        tf.gather(batch.exposed, best, batch_dims=1),
        {"amplification": tf.reduce_mean(tf.gather(beta, best, batch_dims=1))},
    )


def amplification(exposed: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Return the self-amplified factor β of eq. (9) for every exposed candidate.

    β is the number of distinct candidates in C_u that are also in M_u if the exposed item is in
    C_u, else 1.

    Args:
        exposed: M_u, int32 [B, M], repeats allowed.
        candidates: C_u, int32 [B, M], repeats allowed.

    Returns:
        float32 [B, M], β of each entry of `exposed`.
    """
    equal = exposed[:, :, None] == candidates[:, None, :]
    repeats = candidates[:, :, None] == candidates[:, None, :]
    # A candidate is a repeat if it equals an earlier column, strictly below the diagonal.
    earlier = tf.linalg.band_part(tf.cast(repeats, tf.int32), -1, 0)
    first = tf.reduce_sum(earlier, axis=2) == 1
    shared = tf.reduce_sum(tf.cast(tf.reduce_any(equal, axis=1) & first, tf.float32), axis=1)
    inside = tf.reduce_any(equal, axis=2)
    return tf.where(inside, shared[:, None], 1.0)
