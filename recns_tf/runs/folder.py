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
    interactions.npz   the dataset, if it was made in memory and is in no dataset folder
    profile/           TensorFlow's trace, with --profile
    tensorboard/       event files, with --tensorboard
    mlflow.json        the run of MLflow that goes with this one, with --mlflow
    results.json       metrics and provenance; written last, so that it marks a finished run
    manifest.json      size and SHA-256 of all of these that are read again, checked when they are
    .lock              locked by the process that writes to the folder

A run with the same name and settings resumes from the checkpoint, or shows the results if it is
finished. A run with other settings is refused unless --overwrite deletes the earlier run, which
happens when the new run has its first epoch, or its results if it has no epochs. A folder
without an epoch and results has nothing to lose: its settings are replaced. If a run is refused
before its first epoch ends, the folder that it created is deleted.

An epoch counts once manifest.json lists its checkpoint and its row of metrics.jsonl. A run that is
killed before that resumes from the epoch before, whose checkpoint is deleted afterwards. Runs of
earlier versions have no manifest; their files are read unchecked.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recns_tf.errors import UserError
from recns_tf.runs.records import check_results, check_row, check_types
from recns_tf.utils.damage import Damaged, reading
from recns_tf.utils.files import atomic, parse_json, read_object, shown_as, write_json
from recns_tf.utils.manifest import Manifest

LISTS = Path("lists") / "test.npy"
"""Path of the test lists in a run folder: int64 [U, largest K], NO_ITEM for untested users."""

Row = dict[str, Any]
"""One epoch of metrics.jsonl."""


ANEW = "--overwrite starts the run anew"
"""What to do if a file of a run is damaged."""


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
        self.interactions = path / "interactions.npz"
        self.profile = path / "profile"
        self.tensorboard = path / "tensorboard"
        self.mlflow = path / "mlflow.json"
        self.replacing: dict[str, Any] | None = None
        """The settings of this run, while the folder still holds the run that it overwrites."""
        self.manifest = Manifest(path, ANEW)

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
        locked = self.path / ".lock"
        with shown_as(self.path, locked), locked.open("w") as lock:
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
                self.write_config(config)
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
            self.write_config(self.replacing)
            self.replacing = None

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.json, unless it is there with this content."""
        if not self.manifest.lists(self.config):
            write_json(self.config, config)
            self.manifest.record([self.config])
        elif self.read_config() != config:
            with self.manifest.replacing(self.config) as temporary:
                write_json(temporary, config)

    def read_config(self) -> dict[str, Any]:
        """Return the content of config.json.

        Raises:
            UserError: the file is missing, damaged or changed, or not that of a run.
        """
        self.manifest.verify(self.config)
        with reading(self.config, ANEW):
            config = read_object(self.config)
            check_types(config, {"dataset": (str,), "encoder": (str,)}, needed=True)
            return config

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

        The manifest goes first, so that no file is missed, and results.json next, so that the
        remains of an interrupted deletion are no finished run. Then go the logs for other programs,
        so that no other run continues them, then the checkpoint, and config.json last, so that they
        are never mistaken for a run with the new settings.
        """
        self.manifest.path.unlink(missing_ok=True)
        self.results.unlink(missing_ok=True)
        self.mlflow.unlink(missing_ok=True)
        for folder in (
            self.tensorboard,
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
        for file in (self.metrics, self.curves, self.interactions, self.config):
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
        earlier = complete(self.read_config())
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

    def lines(self, until: int | None = None) -> tuple[list[bytes], list[Row]]:
        """Return the lines of metrics.jsonl as bytes and as rows, or the first `until` of both.

        Raises:
            UserError: a line is damaged, or was changed after the run wrote it.
        """
        if self.replacing is not None or not self.metrics.exists():
            return [], []
        with reading(self.metrics, ANEW):
            content = self.metrics.read_bytes()
        self.verify_metrics(content)
        # A process killed while writing leaves a partial line after the last checkpoint.
        lines = content.removesuffix(b"\n").split(b"\n") if content else []
        rows: list[Row] = []
        for number, line in enumerate(lines[:until], 1):
            with reading(f"{self.metrics}, line {number}", ANEW):
                rows.append(check_row(parse_json(line)))
        return lines[:until], rows

    def verify_metrics(self, content: bytes) -> None:
        """Raise UserError if the content of metrics.jsonl has lost rows of committed epochs.

        Further rows are legal until results.json is written.
        """
        self.manifest.verify_start(self.metrics, content)
        if self.manifest.lists(self.results):
            self.manifest.verify(self.metrics)

    def rows(self) -> list[Row]:
        """Return the rows of metrics.jsonl.

        Raises:
            UserError: as in `lines`.
        """
        _, rows = self.lines()
        return rows

    def rewind(self, epoch: int) -> list[Row]:
        """Delete the rows written after the checkpoint of `epoch`, and return the others.

        An earlier run that this one overwrites is left unchanged.

        Raises:
            UserError: metrics.jsonl lacks an epoch up to `epoch`, or best/ is missing or damaged.
        """
        lines, rows = self.lines(until=epoch)
        is_complete = [row["epoch"] for row in rows] == list(range(1, epoch + 1))
        if not is_complete or (rows and not self.best_weights.exists()):
            missing = self.best_weights if is_complete else f"a line of {self.metrics}"
            raise Damaged(f"{missing} is missing: {ANEW}.")
        if rows:
            self.manifest.verify(self.best_weights)
        if self.replacing is None:
            with atomic(self.metrics) as temporary:
                temporary.write_bytes(b"".join(line + b"\n" for line in lines))
        return rows

    def append(self, row: Row) -> None:
        """Append the row of one epoch to metrics.jsonl; the first one calls `begin`."""
        self.begin()
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def commit(self, checkpoint: Collection[Path]) -> None:
        """List the files of an epoch in the manifest, which makes it the epoch to resume from.

        Args:
            checkpoint: the files of its checkpoint, which take the place of the earlier one.
        """
        forget = [self.path / name for name in self.manifest.files() if self.of_checkpoint(name)]
        # best/ of an earlier version is not listed yet.
        unlisted = [] if self.manifest.lists(self.best_weights) else [self.best_weights]
        self.manifest.record([*checkpoint, self.metrics, *unlisted], forget)

    def listed_checkpoint(self) -> list[Path]:
        """Return the checkpoint files that the manifest lists.

        Raises:
            UserError: one of them is missing, damaged or changed.
        """
        files = [self.path / name for name in self.manifest.files() if self.of_checkpoint(name)]
        for file in files:
            self.manifest.verify(file)
        return files

    def of_checkpoint(self, name: str) -> bool:
        """Return whether a path of the manifest is that of a checkpoint file."""
        return Path(name).parent == self.checkpoint.relative_to(self.path)

    def write_results(self, results: dict[str, Any]) -> None:
        """Write results.json."""
        with self.manifest.replacing(self.results) as temporary:
            write_json(temporary, results)

    def read_results(self) -> dict[str, Any] | None:
        """Return the content of results.json, or None if the run is not finished.

        Raises:
            UserError: the file is damaged, or was changed after the run wrote it.
        """
        if self.replacing is not None or not self.results.exists():
            return None
        self.manifest.verify(self.results)
        with reading(self.results, ANEW):
            return check_results(read_object(self.results))
