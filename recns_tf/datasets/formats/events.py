"""A log in one or more tables, a row an event, read into a Log."""

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
    """Where a table says who met what, and how it ended.

    Attributes:
        user, item: columns of ids.
        label: the column that tells how it ended; "" if every row is a positive.
        timestamp: the column of times, numbers or dates; "" if there is none.
        part: the column that says train, valid or test of each positive; "" if there is none.
        positive: the labels of positives, such as ">=4".
        exposed: the labels of items shown and not chosen; REST for all others, NONE for none. A
            row that is neither positive nor exposed is ignored.
        any_text: whether ids that look like damaged numbers are text.
        layout: how the tables are written, if they are text.
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
    """Return the log that tables hold together.

    Memory: 9 bytes a row, 17 with times, and the ids.

    Raises:
        UserError: a table cannot be read, or holds a value that cannot be used; the sentence
            names the file and the line.
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
    """Collects batches of a table into a Log; a BadValue counts rows from the first batch on."""

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
        """Append a batch, an Arrow array for every column.

        Raises:
            BadValue: a value cannot be used.
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
        """Return the log; the batches are gone then.

        Raises:
            BadValue: an id cannot be used.
        """
        users, user_ids = self.users.finish()
        items, item_ids = self.items.finish()
        outcome = joined(self.label_rows)
        kept = slice(None)
        ignored = 0
        if outcome is None:
            outcome = np.full(self.rows, POSITIVE)
        elif ignored := int((outcome == IGNORED).sum()):
            kept = outcome != IGNORED
            users, user_ids = used(users[kept], user_ids)
            items, item_ids = used(items[kept], item_ids)
        times, parts = joined(self.times.batches), joined(self.parts)
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
    """Return POSITIVE, EXPOSED or IGNORED for each of a batch of labels, int8 [n].

    Raises:
        BadValue: a label cannot be used.
    """
    positive = label_filter(events.positive).holds(labels, events.label)
    if events.exposed == REST:
        return np.where(positive, POSITIVE, EXPOSED)
    if events.exposed == NONE:
        return np.where(positive, POSITIVE, IGNORED)
    exposed = label_filter(events.exposed).holds(labels, events.label)
    return np.where(positive, POSITIVE, np.where(exposed, EXPOSED, IGNORED))


def to_parts(
    names: pa.Array, column: str, positive: NDArray[np.bool_] | None = None
) -> NDArray[np.int8]:
    """Return the split of each row of a batch, int8 [n] of TRAIN, VALID, TEST.

    Args:
        names: Arrow array of names.
        column: its name, for messages.
        positive: bool [n], or None for all; other rows may have no name and are of train then.

    Raises:
        BadValue: a name is none of PARTS.
    """
    names = pc.cast(names, pa.string()).fill_null("")
    if positive is not None:
        unnamed = pc.and_(pc.equal(names, ""), pa.array(~positive))
        names = pc.if_else(unnamed, "train", names)
    places = pc.index_in(names, pa.array(list(PARTS)))
    if places.null_count:
        row = int(np.flatnonzero(places.is_null().to_numpy(zero_copy_only=False))[0])
        raise BadValue(row, f"{column} '{names[row].as_py()}' is none of {', '.join(PARTS)}")
    return np.array(list(PARTS.values()), dtype=np.int8)[places.to_numpy()]


def joined(batches: list[NDArray[Any]]) -> NDArray[Any] | None:
    """Return batches as one array, and forget them; None if there are none."""
    whole = np.concatenate(batches) if batches else None
    batches.clear()
    return whole


def used(
    numbers: NDArray[np.int32], ids: NDArray[np.generic]
) -> tuple[NDArray[np.int32], NDArray[np.generic]]:
    """Return numbers and ids without the ids that no number names."""
    occurs = np.zeros(len(ids), dtype=bool)
    occurs[numbers] = True
    renumbered = np.cumsum(occurs, dtype=np.int32) - 1
    return renumbered[numbers], ids[occurs]
