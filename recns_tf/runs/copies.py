"""Copies of finished runs that contain their dataset, and so depend on no other folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from recns_tf.datasets import cache
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder


def copy_run(run: RunFolder, target: Path, interactions: Interactions) -> None:
    """Write a finished run, without its checkpoint, and its dataset into an empty folder.

    Args:
        run: the run.
        target: the folder.
        interactions: the run's dataset.

    Raises:
        UserError: a file of the run is damaged or was changed.
    """
    copy = RunFolder(target)
    files = (run.config, run.metrics, run.best_weights, run.lists, run.curves, run.results)
    listed = []
    for file in (*files, *sorted(run.embeddings.glob("*.npy"))):
        if not file.exists():
            continue
        run.manifest.verify(file)
        place = target / file.relative_to(run.path)
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, place)
        if file != run.curves:
            listed.append(place)
    cache.write(copy.interactions, interactions)
    copy.manifest.record([*listed, copy.interactions])
