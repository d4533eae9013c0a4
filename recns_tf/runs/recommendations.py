"""The test lists of a finished run, computed from its embeddings or read from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import NO_ITEM
from recns_tf.evaluation.ranking import top_items
from recns_tf.interactions import Interactions, users_with
from recns_tf.runs.folder import ANEW, RunFolder
from recns_tf.utils.arrays import read_npy
from recns_tf.utils.damage import reading
from recns_tf.utils.text import count


def lists_of(
    folder: RunFolder, data: Interactions, ranker: str = "faiss", depth: int = 0, k: int = 20
) -> NDArray[np.int64]:
    """Return the test lists of a finished run.

    Lists stored by a closed-form baseline are read; others are computed from the embeddings.

    Args:
        folder: the run's folder.
        data: the run's dataset.
        ranker, depth: the run's ranking settings; see `ranking.top_items`.
        k: length of the lists.

    Returns:
        int64 [U, k]; NO_ITEM in the rows of users without test positives.

    Raises:
        UserError: there are neither lists nor embeddings, or they do not fit the dataset, or
            the stored lists are shorter than `k`.
    """
    stored = folder.lists
    if stored.exists():
        lists = read_array(folder, stored, "iu")
        if lists.ndim != 2 or len(lists) != data.num_users:
            raise UserError(f"{stored} is not of this dataset.")
        if lists.shape[1] < k:
            raise UserError(f"{stored} has lists of {count(lists.shape[1], 'item')}, not {k}.")
        return lists[:, :k].astype(np.int64)
    user, item = read_embeddings(folder, data)
    users = users_with(data.test)
    lists = np.full((data.num_users, k), NO_ITEM, dtype=np.int64)
    lists[users] = top_items(user, item, users, data.seen("test"), k, ranker=ranker, depth=depth)
    return lists


def read_embeddings(
    folder: RunFolder, data: Interactions
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the user and item embeddings of a finished run, float32 [U, d] and [I, d].

    Raises:
        UserError: a file is missing, damaged or changed, or does not fit the dataset.
    """
    user, item = (
        read_array(folder, folder.embeddings / f"{name}.npy", "f").astype(np.float32, copy=False)
        for name in ("user", "item")
    )
    if (user.shape[:1], item.shape[:1]) != ((data.num_users,), (data.num_items,)) or (
        user.shape[1:] != item.shape[1:] or user.ndim != 2
    ):
        raise UserError(f"{folder.embeddings} is not of this dataset.")
    return user, item


def read_array(folder: RunFolder, path: Path, kinds: str) -> NDArray[Any]:
    """Return the array of a .npy file of a run.

    Args:
        folder: the run's folder.
        path: the file.
        kinds: the legal kinds of its data type, as in numpy.dtype.kind.

    Raises:
        UserError: the file is missing, damaged, or was changed after the run wrote it.
    """
    folder.manifest.verify(path)
    with reading(path, ANEW):
        array = read_npy(path)
        if array.dtype.kind not in kinds:
            raise TypeError(f"it holds {array.dtype}")
        return array
