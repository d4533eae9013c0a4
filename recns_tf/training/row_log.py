"""What the logs for TensorBoard and MLflow have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import keras

from recns_tf.runs.folder import RunFolder
from recns_tf.training.callbacks import epoch_logs, part_logs

GROUPS = {"val_": "valid/", "test_": "test/"}
"""By the prefix of a name in Keras' logs, the group of its scalar."""
OTHERS = "train/"


def scalar_name(name: str) -> str:
    """Return the name of a scalar, in its group, for a name in Keras' logs.

    Example:
        >>> scalar_name("val_recall@20")
        'valid/recall@20'
    """
    for prefix, group in GROUPS.items():
        if name.startswith(prefix):
            return group + name.removeprefix(prefix)
    return OTHERS + name


class RowLog(keras.callbacks.Callback):
    """Writes each epoch's row of metrics.jsonl, and at last the test metrics, to another program.

    A scalar of an epoch that is there already is not written again, and one that is missing is
    added. So an interrupted run continues its log, and a finished one completes it.

    `EpochEnd` must come before it in the list of callbacks.

    Args:
        folder: folder of the run.
    """

    def __init__(self, folder: RunFolder):
        super().__init__()
        self.folder = folder
        self.written: set[tuple[str, int]] | None = None

    @abstractmethod
    def open(self) -> set[tuple[str, int]]:
        """Open the log of this run, and write its settings if they are missing.

        Returns:
            The name and the step of every scalar that is there.
        """

    @abstractmethod
    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write scalars by name."""

    @abstractmethod
    def close(self) -> None:
        """Complete the log of a finished run."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Add the epochs before, if the run resumes."""
        del logs
        self.catch_up()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add an epoch; `epoch` counts from 0, but steps count from 1."""
        self.add(epoch + 1, logs or {})

    def finish(self, results: Mapping[str, Any]) -> None:
        """Add what is missing and the test metrics, whose step is the kept epoch.

        Args:
            results: the content of results.json.
        """
        self.catch_up()
        self.add(results["best_epoch"], part_logs("test", results["test"]))
        self.close()

    def catch_up(self) -> None:
        """Add all rows of metrics.jsonl."""
        for row in self.folder.rows():
            self.add(row["epoch"], epoch_logs(row))

    def add(self, step: int, logs: Mapping[str, Any]) -> None:
        """Write those of some values in Keras' logs that are missing.

        The log is opened here, when the run has an epoch: before, its folder may hold an earlier
        run that it overwrites.
        """
        if self.written is None:
            self.written = self.open()
        scalars = {scalar_name(name): float(value) for name, value in logs.items()}
        new = {n: value for n, value in scalars.items() if (n, step) not in self.written}
        if new:
            self.write(step, new)
            self.written |= {(name, step) for name in new}
