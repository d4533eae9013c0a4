"""Signs that training diverges: numbers that are not finite end a run, a huge loss is a warning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.errors import UserError
from recns_tf.runs.folder import Row

REMEDY = "try a smaller --learning_rate or a larger --l2"
LARGEST_GROWTH = 1e6
"""A loss above this many times that of the first epoch is a warning."""
LARGEST_LOSS = 1e10
"""A loss above this is a warning, whatever that of the first epoch."""


def require_finite_loss(loss: float, epoch: int) -> None:
    """Raise UserError if the loss of an epoch, counted from 1, is infinite or NaN."""
    if not math.isfinite(loss):
        raise UserError(f"the loss became {loss} in epoch {epoch}: {REMEDY}.")


def require_finite_weights(weights: Iterable[keras.Variable], epoch: int) -> None:
    """Raise UserError if a weight is infinite or NaN after an epoch, counted from 1.

    The loss does not show it: it is a mean of losses before each update, and the last update of an
    epoch comes after them all.
    """
    for weight in weights:
        if not tf.reduce_all(tf.math.is_finite(weight.value)):
            raise UserError(
                f"the weights '{weight.path}' are not finite after epoch {epoch}: {REMEDY}."
            )


def require_finite_scores(
    users: NDArray[np.float32], items: NDArray[np.float32], epoch: int
) -> None:
    """Raise UserError if a score may be infinite or NaN after an epoch, counted from 1.

    Scores and embeddings may exceed the range of float32 although the weights are finite. The bound
    is that of any product, d times the largest absolute values of both tables.

    Args:
        users, items: embeddings, float32 [U, d] and [I, d].
        epoch: the epoch.
    """
    bound = float(users.shape[1])
    for table in (users, items):
        bound *= max(float(np.max(table)), -float(np.min(table)))
    # Written so that NaN is refused, too.
    if not bound <= float(np.finfo(np.float32).max):
        raise UserError(
            f"the scores of the embeddings are not finite after epoch {epoch}: {REMEDY}."
        )


def explosion(rows: Sequence[Row]) -> Row | None:
    """Return the first of some rows of metrics.jsonl whose loss is huge, or None."""
    for row in rows:
        loss, first = abs(row["loss"]), abs(rows[0]["loss"])
        if loss > LARGEST_LOSS or (first and loss > LARGEST_GROWTH * first):
            return row
    return None


def warnings(rows: Sequence[Row]) -> list[str]:
    """Return a sentence on the first huge loss, if there is one."""
    row = explosion(rows)
    if row is None:
        return []
    since = f", from {rows[0]['loss']:.4g} in epoch 1" if row is not rows[0] else ""
    return [
        f"The loss reached {row['loss']:.4g} in epoch {row['epoch']}{since}: training diverges; "
        f"{REMEDY}."
    ]
