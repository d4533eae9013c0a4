"""Screen output of training: a progress bar within each epoch, then one line for the epoch."""

from __future__ import annotations

from typing import Any

import keras
from tqdm import tqdm

from recns_tf.runs.folder import Row
from recns_tf.training.callbacks import best_row
from recns_tf.training.divergence import explosion, warnings

WIDTH = 14


class Progress(keras.callbacks.Callback):
    """Shows each epoch's loss, sampler statistics, validation metric and time.

    The bar is shown only on a terminal; the lines are always printed, as columns under a heading.

    Args:
        rows: rows of metrics.jsonl so far; an earlier callback must append each epoch's row.
        statistics: names of the sampler's statistics.
        metric: the validation metric to show, which selects the best epoch.
        quiet: whether to show no bar.
    """

    def __init__(
        self, rows: list[Row], statistics: tuple[str, ...], metric: str, quiet: bool = False
    ):
        super().__init__()
        self.quiet = quiet
        self.rows = rows
        self.metric = metric
        self.columns = ("loss", "negative_score", *statistics)
        self.bar: tqdm[Any] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Print the heading."""
        columns = [*self.columns, self.metric, "seconds"]
        print(f"{'epoch':>9}" + "".join(f"{name:>{WIDTH + 2}}" for name in columns))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Open the bar."""
        self.bar = tqdm(
            total=self.params["steps"],
            desc=f"epoch {epoch + 1}",
            leave=False,
            disable=self.quiet or None,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance the bar."""
        if self.bar is not None and not self.bar.disable:
            self.bar.update()
            values = " ".join(f"{name} {(logs or {})[name]:.4f}" for name in self.columns)
            self.bar.set_postfix_str(values, refresh=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Print the epoch's line, and a warning if its loss is the first huge one.

        An asterisk marks the best validation so far.
        """
        if self.bar is not None:
            self.bar.close()
        row = self.rows[-1]
        cells = [f"{row[name]:>{WIDTH + 2}.4f}" for name in self.columns]
        star = "*" if best_row(self.rows, self.metric) is row else " "
        valid = f"{row['valid'][self.metric]:.4f}{star}" if "valid" in row else ""
        numbers = f"{''.join(cells)}{valid:>{WIDTH + 2}}{row['seconds']:>{WIDTH + 2}.2f}"
        print(f"{row['epoch']:>9}{numbers}", flush=True)
        if explosion(self.rows) is row:
            print(*warnings(self.rows), flush=True)
