"""The input of one training step."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Batch(NamedTuple):
    """One training step's input.

    Attributes:
        users: int32 [B], of the positive pairs.
        positives: int32 [B], the items of the pairs.
        candidates: int32 [B, M], C_u, drawn from the user's region without replacement;
            [B, 0] if the sampler does not use them.
        exposed: int32 [B, M], M_u, drawn from the items exposed to the user, without replacement
            if there are M of them, else with; `candidates` for a user without exposures;
            [B, 0] if the sampler does not use them.
        seed: int64 [2], of this step.
    """

    users: tf.Tensor
    positives: tf.Tensor
    candidates: tf.Tensor
    exposed: tf.Tensor
    seed: tf.Tensor
