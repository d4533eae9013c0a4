"""Read logs with one list of impressions per line: a user, and all items shown, in one field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import BadValue, IdColumn
from recns_tf.datasets.formats.tables import line_of_row, read_batches
from recns_tf.datasets.formats.text import Layout
from recns_tf.datasets.preprocessing.log import Log
from recns_tf.errors import UserError

WHITE_SPACE = "\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""The white space of Unicode, as part of a class of a regular expression."""
NOT_SPACE = f"[^{WHITE_SPACE}]"
"""Regular expression of a character of an id: no white space, so that no two ids become one."""


class Impressions(NamedTuple):
    """Impressions from a batch of lines, as arrays of equal length.

    Attributes:
        lines: int64, line of each impression within the batch.
        users, items: text, the original ids.
        positive: booleans, whether the item was chosen.
        times: int64.
        train_only: booleans, whether the item is a positive that is never held out; None for a
            format without such items.
    """

    lines: pa.Array
    users: pa.Array
    items: pa.Array
    positive: pa.Array
    times: pa.Array
    train_only: pa.Array | None = None


def read_lists(
    paths: Sequence[Path],
    layout: Layout,
    columns: Sequence[str],
    parse: Callable[..., Impressions],
) -> Log:
    """Return the log stored in files with one list of impressions per line.

    Args:
        paths: the files, in order.
        layout: their layout.
        columns: names of the columns to pass to `parse`.
        parse: converts the columns of a batch to Impressions; the row of a BadValue that it raises
            is a line of the batch.

    Raises:
        UserError: a file is missing or corrupt, or a line is malformed.
    """
    users, items = IdColumn("user", any_text=True), IdColumn("item", any_text=True)
    positive: list[NDArray[np.bool_]] = []
    times: list[NDArray[np.int64]] = []
    train_only: list[NDArray[np.bool_]] = []
    for path in paths:
        rows = 0
        for batch in read_batches(path, columns, layout):
            before = users.rows
            impressions = None
            try:
                require(pc.not_equal(batch[0], ""), batch[0], "user", "an id")
                impressions = parse(*batch)
                users.add(impressions.users)
                items.add(impressions.items)
            except BadValue as bad:
                row = bad.row
                if impressions is not None:  # the row of an id counts impressions, not lines
                    row = impressions.lines[bad.row - before].as_py()
                where = line_of_row(path, rows + row, layout)
                raise UserError(f"{where}: {bad.reason}.") from bad
            positive.append(impressions.positive.to_numpy(zero_copy_only=False))
            times.append(impressions.times.to_numpy())
            if impressions.train_only is not None:
                train_only.append(impressions.train_only.to_numpy(zero_copy_only=False))
            rows += len(batch[0])
    user_numbers, user_ids = users.finish()
    item_numbers, item_ids = items.finish()
    return Log(
        users=user_numbers,
        items=item_numbers,
        positive=np.concatenate(positive),
        times=np.concatenate(times),
        user_ids=user_ids,
        item_ids=item_ids,
        train_only=np.concatenate(train_only) if train_only else None,
    )


def unnest(lists: pa.Array, separator: str) -> tuple[pa.Array, pa.Array]:
    """Split each text of a batch into a list, and flatten the lists.

    Returns:
        The line of each element, int64 [n], counted from 0, and the elements, text [n]. Spaces
        around elements and empty elements are dropped.
    """
    split = pc.split_pattern(lists, separator)
    lines, elements = pc.list_parent_indices(split), pc.list_flatten(split)
    elements = pc.ascii_trim(elements, " ")
    filled = pc.not_equal(elements, "")
    return lines.filter(filled), elements.filter(filled)


def require(
    good: pa.Array, values: pa.Array, name: str, form: str, lines: pa.Array | None = None
) -> None:
    """Raise BadValue for the first of `values` for which `good` is False.

    Args:
        good: booleans [n].
        values: text [n].
        name: what the values are, for the message.
        form: the expected form, for the message.
        lines: the line of each value; by default, its index.
    """
    if pc.all(good).as_py() is False:
        place = pc.index(good, False).as_py()
        row = place if lines is None else lines[place].as_py()
        raise BadValue(row, f"{name} '{visible(values[place].as_py())}' is not {form}")


def visible(text: str) -> str:
    """Return `text` with white space other than ordinary spaces as escapes."""
    return "".join(ascii(mark)[1:-1] if mark.isspace() and mark != " " else mark for mark in text)
