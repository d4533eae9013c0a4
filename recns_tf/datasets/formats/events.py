"""Read a log, stored as one or more tables with one event per row, into a Log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import BadValue, IdColumn
from recns_tf.datasets.formats.labels import label_filter
from recns_tf.datasets.formats.tables import BY_NAME, Layout, line_of_row, read_batches
from recns_tf.datasets.formats.timestamps import TimeColumn
from recns_tf.datasets.preprocessing.log import Log
from recns_tf.datasets.preprocessing.split import TEST, TRAIN, VALID
from recns_tf.errors import UserError

PARTS = {"train": TRAIN, "valid": VALID, "test": TEST}
ANY_POSITIVE = ">0"
REST, NONE = "rest", "none"
POSITIVE, EXPOSED, IGNORED = np.int8(1), np.int8(0), np.int8(-1)


class Events(NamedTuple):
    """The columns of a log and the meaning of its labels.

    Attributes:
        user, item: columns with the ids.
        label: the column with the outcome; "" if every row is a positive.
        timestamp: the column with the times, numbers or dates; "" if there is none.
        part: the column that assigns each positive to train, valid or test; "" if there is none.
        positive: label filter for positives, such as ">=4".
        exposed: label filter for items shown but not chosen; REST selects all other rows, NONE
            selects none. Rows that are neither positive nor exposed are ignored.
        any_text: whether ids that look like malformed numbers are accepted as text.
        layout: the layout of text tables.
    """

    user: str
    item: str
    label: str = ""
    timestamp: str = ""
    part: str = ""
    positive: str = ANY_POSITIVE
    exposed: str = REST
    any_text: bool = False
    layout: Layout = BY_NAME


def read_events(paths: Sequence[Path], events: Events) -> Log:
    """Return the log stored in one or more tables.

    Memory: 9 bytes per row, 17 with times, plus the ids.

    Raises:
        UserError: a table cannot be read, or contains an invalid value; the message names the
            file and the line.
    """
    reader = Reader(events)
    starts = []
    try:
        for path in paths:
            starts.append(reader.rows)
            for batch in read_batches(path, reader.columns, events.layout):
                reader.add(dict(zip(reader.columns, batch, strict=True)))
        return reader.finish()
    except BadValue as bad:
        place = int(np.searchsorted(starts, bad.row, side="right")) - 1
        where = line_of_row(paths[place], bad.row - starts[place], events.layout)
        raise UserError(f"{where}: {bad.reason}.") from bad


class Reader:
    """Collects batches of tables into a Log. BadValue.row counts from the first batch."""

    def __init__(self, events: Events):
        self.events = events
        named = (events.user, events.item, events.label, events.timestamp, events.part)
        self.columns = [name for name in named if name]
        self.users = IdColumn(events.user, events.any_text)
        self.items = IdColumn(events.item, events.any_text)
        self.rows = 0
        self.label_rows: list[NDArray[np.int8]] = []
        self.times = TimeColumn(events.timestamp)
        self.parts: list[NDArray[np.int8]] = []

    def add(self, batch: Mapping[str, pa.Array]) -> None:
        """Append a batch, given as one Arrow array per column.

        Raises:
            BadValue: a value is invalid.
        """
        events = self.events
        self.users.add(batch[events.user])
        self.items.add(batch[events.item])
        try:
            if events.label:
                self.label_rows.append(label_rows(batch[events.label], events))
            if events.timestamp:
                self.times.add(batch[events.timestamp])
            if events.part:
                positive = self.label_rows[-1] == POSITIVE if events.label else None
                self.parts.append(to_parts(batch[events.part], events.part, positive))
        except BadValue as bad:
            raise BadValue(self.rows + bad.row, bad.reason) from bad
        self.rows += len(batch[events.user])

    def finish(self) -> Log:
        """Return the log and release the batches.

        Raises:
            BadValue: an id is invalid.
        """
        users, user_ids = self.users.finish()
        items, item_ids = self.items.finish()
        outcome = concatenate(self.label_rows)
        kept = slice(None)
        ignored = 0
        if outcome is None:
            outcome = np.full(self.rows, POSITIVE)
        elif ignored := int((outcome == IGNORED).sum()):
            kept = outcome != IGNORED
            users, user_ids = drop_unused_ids(users[kept], user_ids)
            items, item_ids = drop_unused_ids(items[kept], item_ids)
        times, parts = concatenate(self.times.batches), concatenate(self.parts)
        return Log(
            users=users,
            items=items,
            positive=outcome[kept] == POSITIVE,
            times=None if times is None else times[kept],
            user_ids=user_ids,
            item_ids=item_ids,
            parts=None if parts is None else parts[kept],
            ignored=ignored,
        )


def label_rows(labels: pa.Array, events: Events) -> NDArray[np.int8]:
    """Return POSITIVE, EXPOSED or IGNORED for each label of a batch, int8 [n].

    Raises:
        BadValue: a label is invalid.
    """
    positive = label_filter(events.positive).matches(labels, events.label)
    if events.exposed == REST:
        return np.where(positive, POSITIVE, EXPOSED)
    if events.exposed == NONE:
        return np.where(positive, POSITIVE, IGNORED)
    exposed = label_filter(events.exposed).matches(labels, events.label)
    return np.where(positive, POSITIVE, np.where(exposed, EXPOSED, IGNORED))


def to_parts(
    names: pa.Array, column: str, positive: NDArray[np.bool_] | None = None
) -> NDArray[np.int8]:
    """Return the part of each row of a batch: TRAIN, VALID or TEST, int8 [n].

    Args:
        names: Arrow array of part names.
        column: name of the column, for messages.
        positive: bool [n], or None if all rows are positives. A row that is not positive may
            have no name; it then belongs to train.

    Raises:
        BadValue: a name is not in PARTS.
    """
    names = pc.cast(names, pa.string()).fill_null("")
    if positive is not None:
        unnamed = pc.and_(pc.equal(names, ""), pa.array(~positive))
        names = pc.if_else(unnamed, "train", names)
    places = pc.index_in(names, pa.array(list(PARTS)))
    if places.null_count:
        row = int(np.flatnonzero(places.is_null().to_numpy(zero_copy_only=False))[0])
        raise BadValue(row, f"{column} '{names[row].as_py()}' is not one of {', '.join(PARTS)}")
    return np.array(list(PARTS.values()), dtype=np.int8)[places.to_numpy()]


def concatenate(batches: list[NDArray[Any]]) -> NDArray[Any] | None:
    """Concatenate the batches and clear the list; return None if it is empty."""
    whole = np.concatenate(batches) if batches else None
    batches.clear()
    return whole


def drop_unused_ids(
    numbers: NDArray[np.int32], ids: NDArray[np.generic]
) -> tuple[NDArray[np.int32], NDArray[np.generic]]:
    """Drop the ids that do not occur in `numbers`, and renumber the rest."""
    occurs = np.zeros(len(ids), dtype=bool)
    occurs[numbers] = True
    renumbered = np.cumsum(occurs, dtype=np.int32) - 1
    return renumbered[numbers], ids[occurs]
