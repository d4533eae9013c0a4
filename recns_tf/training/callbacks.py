"""What happens at the end of an epoch: validation, early stopping, log, checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import METRIC
from recns_tf.regions.candidate_sets import RegionSets
from recns_tf.runs.folder import Row, RunFolder
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.utils.files import atomic


def best_row(rows: list[Row]) -> Row | None:
    """Return the validated row with the highest Recall@20, the first of equals.

    Where no row is validated (a dataset without validation positives) the last row is best.
    """
    validated = [row for row in rows if "valid" in row]
    if not validated:
        return rows[-1] if rows else None
    return max(validated, key=lambda row: row["valid"][METRIC])


def out_of_patience(rows: list[Row], patience: int) -> bool:
    """Return whether the last `patience` validations have not risen above the best (§5.1)."""
    best = best_row(rows)
    since = [row for row in rows if "valid" in row and best and row["epoch"] > best["epoch"]]
    return len(since) >= patience


class Refresh(keras.callbacks.Callback):
    """Brings up to date, before an epoch's batches, what training draws from and scores with.

    Args:
        region: its pools are drawn afresh when it is time.
        model: its sampler is told that an epoch begins, and its score tables are encoded as
            each epoch starts, if it has any.
        table_steps: steps between further refreshes within an epoch; 0 for none.
    """

    def __init__(self, region: RegionSets, model: SampledRec, table_steps: int):
        super().__init__()
        self.region = region
        self.sampled_rec = model
        self.table_steps = table_steps

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """See keras.callbacks.Callback; `epoch` counts from 0."""
        del logs
        self.region.prepare(epoch)
        self.sampled_rec.sampler.begin_epoch(epoch, self.sampled_rec.encoder)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """See keras.callbacks.Callback; `batch` counts from 0 in each epoch."""
        del logs
        if batch == 0 or (self.table_steps and batch % self.table_steps == 0):
            self.sampled_rec.refresh()


class EpochEnd(keras.callbacks.Callback):
    """Validates, logs, keeps the best weights, and makes the run resumable after each epoch.

    How training stands (best epoch, patience left) is derived from the rows of metrics.jsonl,
    so a resumed run goes on as if it had never stopped.

    Args:
        folder: where the run writes.
        checkpoints: saves the model, the optimiser and `epoch` every epoch.
        epoch: number of epochs done, part of the checkpoint.
        validate: returns the metrics on the validation set, or None to go without.
        eval_every: epochs between validations; the last epoch is always validated.
        patience: validations without a rise before training stops.
    """

    def __init__(
        self,
        folder: RunFolder,
        checkpoints: tf.train.CheckpointManager,
        epoch: tf.Variable,
        validate: Callable[[], dict[str, Any]] | None,
        *,
        eval_every: int,
        patience: int,
    ):
        super().__init__()
        self.folder = folder
        self.checkpoints = checkpoints
        self.epoch = epoch
        self.validate = validate
        self.eval_every = eval_every
        self.patience = patience
        self.rows = folder.rows()
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Close the epoch numbered `epoch` from 0; files number them from 1.

        Raises:
            UserError: the loss is no longer a number; the last good checkpoint stays.
        """
        seconds = time.perf_counter() - self.started
        number = epoch + 1
        row: Row = {"epoch": number}
        row |= {name: rounded(value) for name, value in (logs or {}).items()}
        if not math.isfinite(row["loss"]):
            raise UserError(
                f"the loss became {row['loss']} in epoch {number}: "
                "try a smaller --learning_rate or a larger --l2."
            )
        last = number == self.params["epochs"]
        if self.validate and (last or number % self.eval_every == 0):
            row["valid"] = self.validate()
        row["seconds"] = round(seconds, 3)
        self.rows.append(row)
        self.folder.append(row)
        if best_row(self.rows) is row:
            with atomic(self.folder.best_weights) as temporary:
                self.model.save_weights(temporary)
        self.epoch.assign(number)
        self.checkpoints.save(checkpoint_number=number)
        if out_of_patience(self.rows, self.patience):
            self.model.stop_training = True


def rounded(value: Any) -> float:
    """Return a float32 as the short decimal number that stands for it."""
    return float(f"{float(value):.7g}")
