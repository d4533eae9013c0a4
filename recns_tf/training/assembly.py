"""The whole model of a run over several workers; see encoders/columns.py and encoders/rows.py.

After each epoch the chief has the whole model up to date, so that checkpoints, kept weights and
results are those of an ordinary run, and any number of workers can go on from them. Tables travel
in blocks of rows. All workers must call the methods in the same order.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.config.config import Config
from recns_tf.encoders.columns import Columns
from recns_tf.encoders.rows import Rows
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.ops.workers import Workers
from recns_tf.training.sampled_rec import SampledRec

ROWS = 1 << 16
"""Rows of a block."""


Division = Columns | Rows
"""What of the model's work this worker does."""


class Copies:
    """The state of training, of which every worker has a copy (--strategy=batch).

    Args:
        model: this worker's model.
        group: the workers.
    """

    def __init__(self, model: SampledRec, group: Workers):
        self.model, self.group = model, group

    def collect(self) -> None:
        """Bring the chief's whole model up to date: it is."""

    def distribute(self) -> None:
        """Give every worker the state of the chief's model."""
        for variable in state(self.model):
            assign_chiefs(self.group, variable, variable.numpy())

    def embeddings(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the embeddings, on every worker: float32 [U, D] and [I, D]."""
        return self.model.encoder.embeddings()


class Assembly:
    """Copies the state of training between the workers' columns and the whole model.

    Args:
        part: this worker's model.
        whole: the whole model, compiled; None except on the chief.
        columns: the columns that `part` keeps.
    """

    def __init__(self, part: SampledRec, whole: SampledRec | None, columns: Columns):
        self.part, self.columns, self.group = part, columns, columns.group
        self.parts = state(part)
        self.wholes = state(whole) if whole is not None else None
        shapes = [each.shape for each in self.wholes or self.parts]
        last = np.array([int(shape[-1]) if len(shape) else 0 for shape in shapes])
        self.widths = [int(width) for width in self.group.from_chief(last)]
        """Number of columns of each variable of the whole model."""

    def collect(self) -> None:
        """Bring the chief's whole model up to date."""
        for number, (part, width) in enumerate(zip(self.parts, self.widths, strict=True)):
            if self.is_divided(part, width):
                found = self.joined(part.numpy(), keep=self.group.is_chief)
            else:
                found = part.numpy()
            if self.wholes is not None:
                self.wholes[number].assign(found)

    def distribute(self) -> None:
        """Give every worker its part of the chief's whole model."""
        for number, (part, width) in enumerate(zip(self.parts, self.widths, strict=True)):
            divided = self.is_divided(part, width)
            shape = (*part.shape[:-1], width) if divided else part.shape
            # Only the shape of the others' values counts; zeros take no memory until they are read.
            whole = self.wholes[number].numpy() if self.wholes else np.zeros(shape, part.dtype)
            own = self.columns.of(width) if divided else slice(None)
            assign_chiefs(self.group, part, whole, own)

    def embeddings(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the embeddings with all columns, on every worker: float32 [U, d] and [I, d]."""
        users, items = self.part.encoder.embeddings()
        return self.joined(users), self.joined(items)

    def joined(self, part: NDArray[Any], keep: bool = True) -> NDArray[Any]:
        """Return the rows of all workers with all columns, or nothing unless `keep`."""
        blocks = []
        for start in range(0, len(part), ROWS):
            block = self.group.gather(tf.constant(part[start : start + ROWS]), axis=1)
            if keep:
                blocks.append(block.numpy())
        return np.concatenate(blocks) if blocks else part[:0]

    def is_divided(self, part: Any, width: int) -> bool:
        """Return whether a variable holds some columns of a whole one with `width` columns."""
        return len(part.shape) > 0 and part.shape[-1] != width


def shared_state(
    division: Division, part: SampledRec, whole: SampledRec | None
) -> Assembly | Copies:
    """Return what keeps the state of training together; `part` and `whole` are as for Assembly."""
    if isinstance(division, Columns):
        return Assembly(part, whole, division)
    return Copies(part, division.group)


def assign_chiefs(
    group: Workers, variable: Any, whole: NDArray[Any], columns: slice = slice(None)
) -> None:
    """Assign to a variable some columns of the chief's array, which travels in blocks of rows."""
    if not whole.ndim:
        variable.assign(group.from_chief(whole))
        return
    blocks = (whole[start : start + ROWS] for start in range(0, len(whole), ROWS))
    found = [group.from_chief(each)[..., columns] for each in blocks]
    variable.assign(np.concatenate(found) if found else whole[..., columns])


def agree_on_start(
    division: Division, config: Config, interactions: Interactions, done: int
) -> int:
    """Return the chief's number of finished epochs; all of --epochs if nothing is left to do.

    Raises:
        UserError: this worker has other settings or data than the chief.
    """
    settings = dataclasses.replace(config, strategy=division.strategy).to_json()
    group = division.group
    text = json.dumps([settings, interactions.checksum], sort_keys=True)
    mine = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "little")
    done, chiefs = group.from_chief(np.array([done, mine], np.int64)).tolist()
    if mine != chiefs:
        raise UserError(
            f"worker {group.number} has other settings or data than worker 0: start all with the "
            "same command and the same files."
        )
    return int(done)


def state(model: SampledRec) -> list[Any]:
    """Return the variables that training changes."""
    return [*model.weights, *model.optimizer.variables]


class Collect(keras.callbacks.Callback):
    """Brings the whole model up to date, before the chief saves it."""

    def __init__(self, assembly: Assembly | Copies):
        super().__init__()
        self.assembly = assembly

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Collect what the workers have trained."""
        del epoch, logs
        self.assembly.collect()


class Follow(keras.callbacks.Callback):
    """Takes part in the chief's validation.

    Args:
        validate, is_validated: as for EpochEnd.
    """

    def __init__(
        self, validate: Callable[[int], dict[str, Any]] | None, is_validated: Callable[[int], bool]
    ):
        super().__init__()
        self.validate, self.is_validated = validate, is_validated

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validate if the chief does; `epoch` counts from 0."""
        del logs
        if self.validate and self.is_validated(epoch + 1):
            self.validate(epoch + 1)


class Agree(keras.callbacks.Callback):
    """Stops training on all workers when the chief stops, at the end of an epoch."""

    def __init__(self, assembly: Assembly | Copies):
        super().__init__()
        self.group = assembly.group

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ask the chief."""
        del epoch, logs
        self.model.stop_training = bool(self.group.from_chief(np.array(self.model.stop_training)))
