"""Callbacks at the start and end of epochs: refresh, validation, early stopping, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from recns_tf.evaluation.display import WARM
from recns_tf.regions.candidate_sets import CandidateSets
from recns_tf.runs.folder import Row, RunFolder
from recns_tf.training.checkpoints import Checkpoints
from recns_tf.training.divergence import require_finite_loss, require_finite_weights
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.utils.failures import require_space

SLACK_BYTES = 1 << 20
"""Room for small files besides the weights."""


def best_row(rows: list[Row], metric: str) -> Row | None:
    """Return the row with the highest validation metric, the first one in case of a tie.

    If no row is validated (the dataset has no validation positives), the last row is best.

    Args:
        rows: rows of metrics.jsonl.
        metric: `Config.selection_metric`.

    Returns:
        The best row, or None without rows.
    """
    validated = [row for row in rows if "valid" in row]
    if not validated:
        return rows[-1] if rows else None
    return max(validated, key=lambda row: row["valid"][metric])


def kept_row(rows: list[Row], metric: str, keep: str) -> Row | None:
    """Return the row of the epoch whose weights are kept.

    Args:
        rows: rows of metrics.jsonl.
        metric: `Config.selection_metric`.
        keep: "best" for the best row, "last" for the last.

    Returns:
        The row, or None without rows.
    """
    if keep == "best":
        return best_row(rows, metric)
    return rows[-1] if rows else None


def out_of_patience(rows: list[Row], patience: int, metric: str) -> bool:
    """Return whether the last `patience` validations brought no improvement (§5.1)."""
    best = best_row(rows, metric)
    since = [row for row in rows if "valid" in row and best and row["epoch"] > best["epoch"]]
    return len(since) >= patience


class Refresh(keras.callbacks.Callback):
    """Updates pools, sampler and score tables before the batches of an epoch.

    Args:
        region: its pools are redrawn when due.
        model: its sampler's `begin_epoch` is called, and its score tables, if any, are encoded at
            the start of each epoch.
        table_steps: steps between further encodings within an epoch; 0 for none.
    """

    def __init__(self, region: CandidateSets, model: SampledRec, table_steps: int):
        super().__init__()
        self.region = region
        self.sampled_rec = model
        self.table_steps = table_steps

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prepare the pools and the sampler for `epoch`, counted from 0."""
        del logs
        self.region.prepare(epoch)
        self.sampled_rec.sampler.begin_epoch(epoch, self.sampled_rec.encoder)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Encode the score tables when due; `batch` counts from 0 in each epoch."""
        del logs
        if batch == 0 or (self.table_steps and batch % self.table_steps == 0):
            self.sampled_rec.refresh()


class EpochEnd(keras.callbacks.Callback):
    """After each epoch, validates, logs, saves the weights to keep and writes a checkpoint.

    The state of early stopping (best epoch, remaining patience) is derived from the rows of
    metrics.jsonl, so a resumed run continues as if it had never stopped.

    Args:
        folder: folder of the run.
        checkpoints: saves the model and the optimizer after every epoch.
        validate: returns the validation metrics after an epoch; None disables validation.
        is_validated: returns whether to validate after an epoch, counted from 1.
        patience: validations without improvement before training stops.
        metric: the validation metric that selects the best epoch.
        keep: which epoch's weights are kept, "best" or "last".
        saved: the model whose weights are saved; None for the one that `fit` trains.
    """

    def __init__(
        self,
        folder: RunFolder,
        checkpoints: Checkpoints,
        validate: Callable[[int], dict[str, Any]] | None,
        *,
        is_validated: Callable[[int], bool],
        patience: int,
        metric: str,
        keep: str,
        saved: SampledRec | None = None,
    ):
        super().__init__()
        self.saved = saved
        self.folder = folder
        self.checkpoints = checkpoints
        self.validate = validate
        self.is_validated = is_validated
        self.patience = patience
        self.metric = metric
        self.keep = keep
        self.rows = folder.rows()
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the timer."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Finish an epoch; `epoch` counts from 0, but files count from 1.

        The values of the row are put into `logs` for the callbacks after this one.

        Raises:
            UserError: the loss, a weight or a score is not finite; the checkpoint of the
                epoch before is kept.
        """
        seconds = time.perf_counter() - self.started
        number = epoch + 1
        row: Row = {"epoch": number}
        row |= {name: rounded(value) for name, value in (logs or {}).items()}
        require_finite_loss(row["loss"], number)
        saved = self.saved or self.model
        require_finite_weights(saved.trainable_variables, number)
        if self.validate and self.is_validated(number):
            row["valid"] = self.validate(number)
        row["seconds"] = round(seconds, 3)
        self.rows.append(row)
        self.folder.append(row)
        if logs is not None:
            logs.update(epoch_logs(row))
        # HDF5 crashes on a full disk, and TensorFlow reports it as exhausted memory.
        require_space(self.folder.path, bytes_per_epoch(saved), f"epoch {number}")
        if kept_row(self.rows, self.metric, self.keep) is row:
            with self.folder.manifest.replacing(self.folder.best_weights) as temporary:
                saved.save_weights(temporary)
        self.checkpoints.save(number)
        if out_of_patience(self.rows, self.patience, self.metric):
            self.model.stop_training = True


def epoch_logs(row: Row) -> dict[str, Any]:
    """Return the values of a row of metrics.jsonl under the names that Keras uses in `logs`.

    Example:
        >>> epoch_logs({"epoch": 1, "loss": 0.3, "valid": {"recall@20": 0.2}, "seconds": 1.5})
        {'loss': 0.3, 'seconds': 1.5, 'val_recall@20': 0.2}
    """
    values = {name: value for name, value in row.items() if name not in ("epoch", "valid")}
    return values | part_logs("val", row.get("valid", {}))


def part_logs(prefix: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of a part of the data with a prefix, those of warm users with another."""
    values = {f"{prefix}_{name}": value for name, value in metrics.items() if name != WARM}
    return values | {f"{prefix}_{WARM}_{n}": value for n, value in metrics.get(WARM, {}).items()}


def bytes_per_epoch(model: keras.Model) -> int:
    """Return how many bytes an epoch writes at most: the weights to keep and a checkpoint.

    Both contain the weights and the state of the optimizer.
    """
    variables = [*model.variables, *model.optimizer.variables]
    sizes = (math.prod(each.shape) * np.dtype(each.dtype).itemsize for each in variables)
    return 2 * sum(sizes) + SLACK_BYTES


def rounded(value: Any) -> float:
    """Round a float32 to 7 significant digits, for short decimal numbers in files."""
    return float(f"{float(value):.7g}")
