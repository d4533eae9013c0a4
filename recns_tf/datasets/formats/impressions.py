"""Logs whose lines hold lists of impressions: a user, and all that was shown in one field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import BadValue, IdColumn
from recns_tf.datasets.formats.tables import Layout, line_of_row, read_batches
from recns_tf.datasets.preprocessing.log import Log
from recns_tf.errors import UserError


class Impressions(NamedTuple):
    """Impressions of a batch of lines, all of one length: int64, text, text, booleans, int64."""

    lines: pa.Array
    users: pa.Array
    items: pa.Array
    positive: pa.Array
    times: pa.Array


def read_lists(
    paths: Sequence[Path],
    layout: Layout,
    columns: Sequence[str],
    parse: Callable[..., Impressions],
) -> Log:
    """Return the log of files whose lines hold lists.

    Args:
        paths: the files, one after the other.
        layout: how they are written.
        columns: names of the columns that `parse` takes.
        parse: makes impressions of a batch's columns; a BadValue counts its lines.

    Raises:
        UserError: a file is absent or damaged, or a line is not of its form.
    """
    users, items = IdColumn("user", any_text=True), IdColumn("item", any_text=True)
    positive: list[NDArray[np.bool_]] = []
    times: list[NDArray[np.int64]] = []
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
                if impressions is not None:  # an id, counted over all impressions
                    row = impressions.lines[bad.row - before].as_py()
                where = line_of_row(path, rows + row, layout)
                raise UserError(f"{where}: {bad.reason}.") from bad
            positive.append(impressions.positive.to_numpy(zero_copy_only=False))
            times.append(impressions.times.to_numpy())
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
    )


def unnest(lists: pa.Array, separator: str) -> tuple[pa.Array, pa.Array]:
    """Return the elements of a batch of lists in text, and the line [n] of each.

    Returns:
        int64 [n], counted from 0, and text [n]. An empty text is an empty list.
    """
    split = pc.split_pattern(lists, separator)
    lines, elements = pc.list_parent_indices(split), pc.list_flatten(split)
    filled = pc.not_equal(elements, "")
    return lines.filter(filled), elements.filter(filled)


def require(
    good: pa.Array, values: pa.Array, name: str, form: str, lines: pa.Array | None = None
) -> None:
    """Raise BadValue for the first of `values` where `good` is False.

    Args:
        good: booleans [n].
        values: text [n].
        name: what a value is, for the message.
        form: what it should be.
        lines: the line of each value, if that is not its place.
    """
    if pc.all(good).as_py() is False:
        place = pc.index(good, False).as_py()
        row = place if lines is None else lines[place].as_py()
        raise BadValue(row, f"{name} '{values[place].as_py()}' is not {form}")
