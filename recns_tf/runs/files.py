"""The files of a run, runs/NAME/.

config.json        all settings; written first, so that its presence marks a run folder
metrics.jsonl      one JSON object per epoch: "epoch", "loss", "seconds", and others
checkpoint/        the state after the last epoch, to resume from
best/              model.weights.h5, the weights of the best epoch so far, or of the last: --keep
embeddings/        of the same epoch: user.npy and item.npy, float32 [U, d] and [I, d], and
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
"""

from __future__ import annotations

import shutil
from pathlib import Path

from recns_tf.utils.manifest import Manifest

LISTS = Path("lists") / "test.npy"
"""Path of the test lists in a run folder: int64 [U, largest K], NO_ITEM for untested users."""

ANEW = "--overwrite starts the run anew"
"""What to do if a file of a run is damaged."""


class RunFiles:
    """The paths of a run's files, which of them there are, and their deletion.

    Args:
        path: runs/NAME. The folder need not exist.
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
        self.manifest = Manifest(path, ANEW)

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
