"""Data frames of several libraries: which one a frame is of, and frames made from columns.

A frame is one of pandas, Polars or PyArrow, another object with Arrow's C interface, or a dict of
arrays. Narwhals and Arrow convert between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import narwhals as nw
import pyarrow as pa
from numpy.typing import NDArray

from recns_tf.errors import UserError
from recns_tf.utils.text import one_line, shown

DICT, PYARROW = "dict", "pyarrow"
LIBRARIES = ("pandas", "polars", PYARROW, DICT)
"""The kinds of frames that results can have."""

FRAME = "the frame"
"""What messages call a frame."""


def opened(frame: Any) -> nw.DataFrame[Any] | Mapping[str, Any]:
    """Return a frame as Narwhals sees it; a dict of arrays as it is.

    Call it once per frame: a stream of Arrow can be read only once.

    Raises:
        UserError: it is not a frame in memory, or two of its columns have the same name.
    """
    if isinstance(frame, Mapping):
        return frame
    try:
        return nw.from_native(frame, eager_only=True)
    except nw.exceptions.DuplicateError as error:
        raise UserError(f"{FRAME} has columns of equal names ({one_line(error)}).") from error
    except TypeError:
        if hasattr(frame, "__arrow_c_stream__"):
            return nw.from_native(pa.table(frame), eager_only=True)
    raise UserError(
        f"{type(frame).__name__} is not a data frame in memory: give one of pandas, Polars or "
        "PyArrow, or a dict of arrays."
    )


def library_of(frame: nw.DataFrame[Any] | Mapping[str, Any]) -> str:
    """Return the kind of an opened frame, one of LIBRARIES; PYARROW for other libraries."""
    if isinstance(frame, Mapping):
        return DICT
    name = frame.implementation.value
    return name if name in LIBRARIES else PYARROW


def to_frame(columns: Mapping[str, NDArray[Any]], library: str) -> Any:
    """Return columns of equal length as a frame of a library.

    Args:
        columns: the columns, [n] each, by name.
        library: one of LIBRARIES.

    Raises:
        UserError: there is no such library, or it is not installed, or it cannot hold the ids.
    """
    if library not in LIBRARIES:
        raise UserError(f"frames={shown(library)}: choose one of {', '.join(LIBRARIES)}.")
    if library == DICT:
        return dict(columns)
    values = {
        name: each.tolist() if each.dtype == object else each for name, each in columns.items()
    }
    try:
        if library == PYARROW:
            return pa.table(values)
        return nw.from_dict(values, backend=cast(Any, library)).to_native()
    except ModuleNotFoundError as error:
        raise UserError(
            f"{library} is not installed: install it, or choose frames='{PYARROW}' or '{DICT}'."
        ) from error
    except pa.ArrowException as error:
        raise UserError(
            f"a table of {library} cannot hold these ids ({one_line(error)}): choose "
            f"frames='{DICT}'."
        ) from error
