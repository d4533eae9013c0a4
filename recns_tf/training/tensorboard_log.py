"""Event files for TensorBoard, written by TensorFlow alone: the package tensorboard shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from recns_tf.runs.folder import RunFolder
from recns_tf.training.row_log import RowLog
from recns_tf.utils import markdown

SETTINGS = "config"
"""Name of the text with the settings."""


def kind(plugin: str, data_class: str) -> bytes:
    """Return the metadata that selects the TensorBoard plugin for a value."""
    # tf.summary.scalar and tf.summary.text do the same, but need the package tensorboard.
    metadata = tf.compat.v1.SummaryMetadata(data_class=data_class)
    metadata.plugin_data.plugin_name = plugin
    return bytes(metadata.SerializeToString())


SCALAR = kind("scalars", "DATA_CLASS_SCALAR")
TEXT = kind("text", "DATA_CLASS_TENSOR")


class TensorBoardLog(RowLog):
    """Writes scalars by epoch, and the settings as a text, into the folder tensorboard/ of a run.

    Args:
        folder: folder of the run.
    """

    def __init__(self, folder: RunFolder):
        super().__init__(folder)
        self.writer: Any = None

    def open(self) -> set[tuple[str, int]]:
        """Start another event file, and return what the earlier ones have."""
        written = written_values(self.folder.tensorboard)
        self.writer = tf.summary.create_file_writer(str(self.folder.tensorboard))
        if (SETTINGS, 0) not in written:
            settings = self.folder.read_config().items()
            lines = markdown.table(("setting", "value"), [(k, f"`{v}`") for k, v in settings])
            with self.writer.as_default():
                tf.summary.write(SETTINGS, "\n".join(lines), step=0, metadata=TEXT)
        return written

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write scalars in float32, TensorBoard's precision, and flush them to the disk."""
        with self.writer.as_default():
            for name, value in scalars.items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=SCALAR)
        self.writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self.writer.close()


def written_values(folder: Path) -> set[tuple[str, int]]:
    """Return the name and the step of every value in the event files of a folder.

    A file may end within a record, if its process was killed.
    """
    found: set[tuple[str, int]] = set()
    for file in folder.glob("events.out.tfevents.*"):
        try:
            for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
                event = tf.compat.v1.Event.FromString(record)
                found |= {(value.tag, event.step) for value in event.summary.value}
        except tf.errors.DataLossError:
            continue
    return found
