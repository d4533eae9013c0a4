"""What a run leaves behind, and how a later one of the same name treats it.

runs/NAME/ holds config.json, metrics.jsonl (one object an epoch), checkpoint/ (to resume from),
best/ (weights of the best epoch), embeddings/ of that epoch, curves.png, profile/ if it was asked
for, and, once the run is finished, results.json.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recns_tf.errors import UserError
from recns_tf.utils.files import write_json, write_text

LISTS = Path("lists") / "test.npy"
"""In a run's folder: int64 [U, 20], the test lists, NO_ITEM for users who are not tested."""

Row = dict[str, Any]
"""One epoch of metrics.jsonl."""


def require(found: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return `found`, whose keys must hold `names`; raise KeyError otherwise."""
    for name in names:
        found[name]
    return found


@contextmanager
def reading(path: Path, what: str = "") -> Iterator[None]:
    """Turn any error that reading a run's file raises into one sentence.

    Args:
        path: of the file, or of the folder it is in.
        what: where in it, such as ", line 3".

    Raises:
        UserError: the block raised an exception.
    """
    try:
        yield
    except Exception as error:
        raise UserError(f"{path}{what} is damaged: --overwrite starts the run anew.") from error


class RunFolder:
    """A run's folder.

    Args:
        path: runs/NAME; made by `claim`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.results = path / "results.json"
        self.checkpoint = path / "checkpoint"
        self.best_weights = path / "best" / "model.weights.h5"
        self.embeddings = path / "embeddings"
        self.curves = path / "curves.png"
        self.profile = path / "profile"

    @contextmanager
    def claim(
        self,
        config: dict[str, Any],
        overwrite: bool,
        complete: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
    ) -> Iterator[None]:
        """Hold the folder for a run with these settings, for as long as the block lasts.

        A folder with the same settings is kept as it is, to be resumed or shown.

        Args:
            config: all settings.
            overwrite: whether an earlier run is deleted first.
            complete: brings the settings of an earlier version up to date.

        Raises:
            UserError: another process holds it, it is not a run's, or it is of a run with
                other settings.
        """
        if self.path.exists() and not self.config.exists() and self.holds_more_than_a_lock():
            raise UserError(f"{self.path} is not the folder of a run: choose another --run_name.")
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UserError(f"another process is writing to {self.path}.") from error
            if overwrite:
                self.clear()
            self.compare(config, complete)
            self.tidy()
            write_json(self.config, config)
            yield

    def holds_more_than_a_lock(self) -> bool:
        """Return whether anything stands at the path but what a run leaves that barely began."""
        return not self.path.is_dir() or any(
            not file.name.startswith(".") for file in self.path.iterdir()
        )

    def tidy(self) -> None:
        """Delete the temporary files of processes that were killed while they wrote."""
        for folder in (self.path, self.best_weights.parent, self.embeddings):
            for temporary in folder.glob(".[0-9]*.*"):
                temporary.unlink()

    def clear(self) -> None:
        """Delete what an earlier run left, and nothing else.

        The checkpoint goes first and config.json last: what is left by a process killed in
        between is never taken for a run of the new settings.
        """
        for folder in (self.checkpoint, self.best_weights.parent, self.embeddings):
            doomed = folder.with_name(f".{folder.name}.old")
            shutil.rmtree(doomed, ignore_errors=True)
            if folder.exists():
                folder.rename(doomed)
                shutil.rmtree(doomed)
        for file in (self.results, self.metrics, self.curves, self.config):
            file.unlink(missing_ok=True)

    def compare(
        self, config: dict[str, Any], complete: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> None:
        """Raise UserError if the folder is of a run with other settings than `config`."""
        if not self.config.exists():
            return
        with reading(self.config):
            earlier = json.loads(self.config.read_text(encoding="utf-8"))
            earlier = complete(require(earlier, "dataset", "encoder"))
        different = [
            f"{key} {earlier.get(key)} there, {config.get(key)} here"
            for key in sorted(earlier | config)
            if earlier.get(key) != config.get(key)
        ]
        if different:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(different)}): "
                "choose another --run_name, or --overwrite to delete it."
            )

    def rows(self, until: int | None = None) -> list[Row]:
        """Return the rows of metrics.jsonl, the first `until` of them if given.

        Raises:
            UserError: a line is damaged.
        """
        if not self.metrics.exists():
            return []
        rows: list[Row] = []
        for number, line in enumerate(self.metrics.read_text(encoding="utf-8").splitlines(), 1):
            # A process killed while it wrote leaves a cut line after the last checkpoint.
            if until is not None and len(rows) == until:
                break
            with reading(self.metrics, f", line {number}"):
                row = json.loads(line)
                rows.append(require(row, "epoch", "loss", "seconds"))
        return rows

    def rewind(self, epoch: int) -> list[Row]:
        """Drop the rows written after the checkpoint of `epoch`; return those that stay.

        Raises:
            UserError: metrics.jsonl does not hold every epoch until then, or best/ is missing.
        """
        rows = self.rows(until=epoch)
        whole = [row["epoch"] for row in rows] == list(range(1, epoch + 1))
        if not whole or (rows and not self.best_weights.exists()):
            missing = self.best_weights if whole else f"a line of {self.metrics}"
            raise UserError(f"{missing} is missing: --overwrite starts the run anew.")
        write_text(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))
        return rows

    def append(self, row: Row) -> None:
        """Add one epoch to metrics.jsonl."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def read_results(self) -> dict[str, Any] | None:
        """Return results.json, or None where the run is not finished.

        Raises:
            UserError: the file is damaged.
        """
        if not self.results.exists():
            return None
        with reading(self.results):
            results = json.loads(self.results.read_text(encoding="utf-8"))
            return require(results, "valid", "test", "config", "data", "seed", "seconds_per_epoch")
