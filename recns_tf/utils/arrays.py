"""Reading of NumPy files; pickled objects are refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_npy(path: Path) -> NDArray[Any]:
    """Return the array of a .npy file.

    Raises:
        ValueError: the file is not a .npy file, or holds more or fewer bytes than its header says.
        Exception: other errors of NumPy on damaged files.
    """
    with path.open("rb") as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise ValueError("there are bytes after the array")
    return array


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a .npz file by name.

    The check values of the archive are verified before any array is made, so that a damaged size
    does not ask for memory.

    Raises:
        ValueError: a check value does not match.
        Exception: other errors of zipfile and NumPy on damaged files.
    """
    with zipfile.ZipFile(path) as archive:
        if (bad := archive.testzip()) is not None:
            raise ValueError(f"the check value of {bad} does not match")
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
