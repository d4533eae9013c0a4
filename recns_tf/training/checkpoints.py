"""Checkpoints: the state of training after the last epoch, to resume from."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import tensorflow as tf

from recns_tf.runs.files import ANEW
from recns_tf.runs.folder import RunFolder
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.utils.damage import reading

FILE = re.compile(r"ckpt-(\d+)\.(?:index|data-\d+-of-\d+)")
"""Not the temporary files of TensorFlow that a killed process leaves."""


class Checkpoints:
    """Saves and restores a model, its optimizer and the number of completed epochs.

    Args:
        folder: the run's folder. Its manifest says which checkpoint counts; in runs of earlier
            versions, which have none, it is the one with the highest number.
        model: the compiled model.

    Attributes:
        epoch: int64 variable, the number of completed epochs.
    """

    def __init__(self, folder: RunFolder, model: SampledRec):
        self.folder = folder
        self.epoch = tf.Variable(0, dtype=tf.int64)
        # TensorFlow does not track weights that a Keras layer holds in a list: list all of them.
        self.checkpoint = tf.train.Checkpoint(
            model=model, weights=model.weights, optimizer=model.optimizer, epoch=self.epoch
        )

    def save(self, epoch: int) -> None:
        """Write the checkpoint of an epoch, commit it, and delete the others."""
        self.epoch.assign(epoch)
        self.checkpoint.write(str(self.folder.checkpoint / f"ckpt-{epoch}"))
        self.folder.commit(
            [file for file in self.folder.checkpoint.iterdir() if is_of(file, epoch)]
        )
        self.tidy()

    def restore(self) -> bool:
        """Restore the last checkpoint, and return whether there is one.

        Raises:
            UserError: a file of the checkpoint is missing, damaged or changed.
        """
        prefix = self.latest()
        if prefix is None:
            return False
        with reading(self.folder.checkpoint, ANEW):
            # Objects that the checkpoint lacks keep their values unless this is asserted.
            self.checkpoint.read(str(prefix)).assert_existing_objects_matched()
        self.tidy()
        return True

    def tidy(self) -> None:
        """Delete everything but the checkpoint of the present epoch."""
        for file in list(self.folder.checkpoint.iterdir()):
            if file.is_dir():
                shutil.rmtree(file)
            elif not is_of(file, int(self.epoch)):
                file.unlink()

    def latest(self) -> Path | None:
        """Return the path of the last checkpoint without its suffixes, or None without any."""
        files = self.folder.listed_checkpoint() or self.folder.checkpoint.glob("*.index")
        epochs = [int(match[1]) for file in files if (match := FILE.fullmatch(file.name))]
        return self.folder.checkpoint / f"ckpt-{max(epochs)}" if epochs else None


def is_of(file: Path, epoch: int) -> bool:
    """Return whether a file belongs to the checkpoint of an epoch."""
    match = FILE.fullmatch(file.name)
    return match is not None and int(match[1]) == epoch
