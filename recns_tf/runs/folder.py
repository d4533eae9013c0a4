"""The folder of a run, runs/NAME/: its files, its lock, and how a run resumes.

Contract:

    config.json        all settings; written first, so that its presence marks a run folder
    metrics.jsonl      one JSON object per epoch: "epoch", "loss", "seconds", and others
    checkpoint/        the state after the last epoch, to resume from
    best/              model.weights.h5, the weights of the best epoch so far
    embeddings/        of the best epoch: user.npy and item.npy, float32 [U, d] and [I, d], and
                       the ids of their rows, user_ids.npy and item_ids.npy
    lists/test.npy     the test lists, int64 [U, largest K]; written by closed-form baselines
    curves.png         loss and validation metrics over epochs
    profile/           TensorFlow's trace, with --profile
    results.json       metrics and provenance; written last, so that it marks a finished run
    .lock              locked by the process that writes to the folder

A run with the same name and settings resumes from the checkpoint, or shows the results if it is
finished. A run with other settings is refused unless --overwrite deletes the earlier run, which
happens when the new run has its first epoch, or its results if it has no epochs. A folder
without an epoch and results has nothing to lose: its settings are replaced. If a run is refused
before its first epoch ends, the folder that it created is deleted.
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
"""Path of the test lists in a run folder: int64 [U, largest K], NO_ITEM for untested users."""

Row = dict[str, Any]
"""One epoch of metrics.jsonl."""


def require(found: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return `found`; raise KeyError if it lacks one of the keys `names`."""
    for name in names:
        found[name]
    return found


@contextmanager
def reading(path: Path, what: str = "") -> Iterator[None]:
    """Report any error while reading a run's file as a damaged file.

    Args:
        path: the file, or its folder.
        what: position in the file, such as ", line 3".

    Raises:
        UserError: the block raised an exception.
    """
    try:
        yield
    except Exception as error:
        raise UserError(f"{path}{what} is damaged: --overwrite starts the run anew.") from error


class RunFolder:
    """A run's folder, as described in this module's docstring.

    Args:
        path: runs/NAME. The folder need not exist; `claim` creates it.

    Example:
        >>> folder = RunFolder(Path("runs/ml-100k-lightgcn-recns"))
        >>> results = folder.read_results()  # None if the run is not finished
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
        self.lists = path / LISTS
        self.profile = path / "profile"
        self.replacing: dict[str, Any] | None = None
        """The settings of this run, while the folder still holds the run that it overwrites."""

    @contextmanager
    def claim(
        self,
        config: dict[str, Any],
        overwrite: bool,
        complete: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
    ) -> Iterator[None]:
        """Create and lock the folder for a run with these settings, for the length of the block.

        Files of an earlier run with the same settings are kept. If the block raises UserError, a
        folder created here is deleted, unless it holds an epoch, results or a profile.

        Args:
            config: all settings.
            overwrite: whether `begin` deletes an earlier run; until then the folder reads as that
                of a new run.
            complete: adds settings that an earlier version did not have, at their defaults.

        Raises:
            UserError: another process has locked the folder, it is not a run folder, or it holds
                epochs or results of a run with other settings.
        """
        is_new = not self.path.exists()
        if not is_new and not self.config.exists() and self.has_other_files():
            raise UserError(f"{self.path} is not the folder of a run: choose another --run_name.")
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UserError(f"another process is writing to {self.path}.") from error
            if overwrite:
                self.replacing = config
                if not self.has_progress():
                    self.begin()
            else:
                self.make_way(config, complete)
                write_json(self.config, config)
            self.delete_temporary_files()
            try:
                yield
            except UserError:
                if is_new and not self.has_progress() and not self.profile.exists():
                    shutil.rmtree(self.path)
                raise
            finally:
                self.replacing = None

    def begin(self) -> None:
        """Delete the earlier run that this one overwrites, if any; the first results are ready."""
        if self.replacing is not None:
            self.clear()
            write_json(self.config, self.replacing)
            self.replacing = None

    def has_progress(self) -> bool:
        """Return whether the folder holds an epoch or results, which a new run would lose."""
        kept = (self.checkpoint, self.best_weights.parent, self.embeddings, self.results)
        # A process killed while writing the first row leaves a line without an end.
        has_rows = self.metrics.exists() and b"\n" in self.metrics.read_bytes()
        return has_rows or any(path.exists() for path in kept)

    def has_other_files(self) -> bool:
        """Return whether the path has more than the hidden files of a run that hardly started."""
        return not self.path.is_dir() or any(
            not file.name.startswith(".") for file in self.path.iterdir()
        )

    def delete_temporary_files(self) -> None:
        """Delete the temporary files of processes that were killed while writing."""
        for folder in (self.path, self.best_weights.parent, self.embeddings):
            for temporary in folder.glob(".[0-9]*.*"):
                temporary.unlink()

    def clear(self) -> None:
        """Delete the files of an earlier run, and no others.

        results.json goes first, so that the remains of an interrupted deletion are no finished run.
        The checkpoint goes next and config.json last, so that they are never mistaken for a run
        with the new settings.
        """
        self.results.unlink(missing_ok=True)
        for folder in (
            self.checkpoint,
            self.best_weights.parent,
            self.embeddings,
            self.lists.parent,
        ):
            doomed = folder.with_name(f".{folder.name}.old")
            shutil.rmtree(doomed, ignore_errors=True)
            if folder.exists():
                folder.rename(doomed)
                shutil.rmtree(doomed)
        for file in (self.metrics, self.curves, self.config):
            file.unlink(missing_ok=True)

    def make_way(
        self, config: dict[str, Any], complete: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> None:
        """Delete the files of a run with settings other than `config`, if there is one.

        Raises:
            UserError: that run has an epoch or results.
        """
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
        if different and not self.has_progress():
            self.clear()
        elif different:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(different)}): "
                "choose another --run_name, or --overwrite to delete it."
            )

    def rows(self, until: int | None = None) -> list[Row]:
        """Return the rows of metrics.jsonl, or its first `until` rows.

        Raises:
            UserError: a line is damaged.
        """
        if self.replacing is not None or not self.metrics.exists():
            return []
        rows: list[Row] = []
        for number, line in enumerate(self.metrics.read_text(encoding="utf-8").splitlines(), 1):
            # A process killed while writing leaves a partial line after the last checkpoint.
            if until is not None and len(rows) == until:
                break
            with reading(self.metrics, f", line {number}"):
                row = json.loads(line)
                rows.append(require(row, "epoch", "loss", "seconds"))
        return rows

    def rewind(self, epoch: int) -> list[Row]:
        """Delete the rows written after the checkpoint of `epoch`, and return the others.

        An earlier run that this one overwrites is left unchanged.

        Raises:
            UserError: metrics.jsonl lacks an epoch up to `epoch`, or best/ is missing.
        """
        rows = self.rows(until=epoch)
        is_complete = [row["epoch"] for row in rows] == list(range(1, epoch + 1))
        if not is_complete or (rows and not self.best_weights.exists()):
            missing = self.best_weights if is_complete else f"a line of {self.metrics}"
            raise UserError(f"{missing} is missing: --overwrite starts the run anew.")
        if self.replacing is None:
            write_text(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))
        return rows

    def append(self, row: Row) -> None:
        """Append the row of one epoch to metrics.jsonl; the first one calls `begin`."""
        self.begin()
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def read_results(self) -> dict[str, Any] | None:
        """Return the content of results.json, or None if the run is not finished.

        Raises:
            UserError: the file is damaged.
        """
        if self.replacing is not None or not self.results.exists():
            return None
        with reading(self.results):
            results = json.loads(self.results.read_text(encoding="utf-8"))
            return require(results, "valid", "test", "config", "data", "seed", "seconds_per_epoch")
