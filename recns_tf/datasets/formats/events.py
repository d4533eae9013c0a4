"""The columns of a log with one event per row, and the reader that collects them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import BadValue, IdColumn, missing_values
from recns_tf.datasets.formats.outcomes import (
    ANY_POSITIVE,
    IGNORED,
    POSITIVE,
    REST,
    OutcomeColumn,
    UnusedLabels,
)
from recns_tf.datasets.formats.text import BY_NAME, Layout
from recns_tf.datasets.formats.timestamps import TimeColumn
from recns_tf.datasets.preprocessing.log import Log
from recns_tf.datasets.preprocessing.split import TEST, TRAIN, VALID
from recns_tf.errors import UserError

PARTS = {"train": TRAIN, "valid": VALID, "test": TEST}


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
        time_format: format of the times, see TimeColumn.
        drop_missing: whether to leave out rows without a user, an item, a label or a time, rather
            than to refuse them.
        advise: whether messages name the flags of `prepare` that would help.
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
    time_format: str = ""
    drop_missing: bool = False
    advise: bool = False
    layout: Layout = BY_NAME


class Reader:
    """Collects the batches of a table, and other tables, into a Log.

    BadValue.row counts the rows that were kept.

    Args:
        events: the columns of the tables.
        unused: a column that may hold labels although `events` names none; "" if there is none.

    Attributes:
        failure: the error that ended the reading of the table, if any.
    """

    def __init__(self, events: Events, unused: str = ""):
        self.events = events
        named = (events.user, events.item, events.label, events.timestamp, events.part, unused)
        self.columns = [name for name in named if name]
        self.users = IdColumn(events.user, events.any_text)
        self.items = IdColumn(events.item, events.any_text)
        self.rows_read = 0
        self.rows = 0
        self.dropped: list[NDArray[np.int64]] = []
        self.outcomes = OutcomeColumn(events.label, events.positive, events.exposed)
        self.times = TimeColumn(events.timestamp, events.time_format)
        self.parts: list[NDArray[np.int8]] = []
        self.unused = UnusedLabels(unused)
        self.failure: BadValue | UserError | None = None

    def add(self, batch: Mapping[str, pa.Array], part: int | None = None) -> None:
        """Append a batch.

        Args:
            batch: one Arrow array per column.
            part: TRAIN, VALID or TEST for all rows; None if the tables are not split.

        Raises:
            BadValue: a value is invalid.
        """
        events = self.events
        if events.drop_missing:
            batch = self.drop_missing(batch)
        else:
            self.rows_read += len(batch[events.user])
        self.users.add(batch[events.user])
        self.items.add(batch[events.item])
        try:
            positive = None
            if events.label:
                positive = self.outcomes.add(batch[events.label]) == POSITIVE
            if events.timestamp:
                self.times.add(batch[events.timestamp])
            if events.part:
                self.parts.append(to_parts(batch[events.part], events.part, positive))
        except BadValue as bad:
            raise BadValue(self.rows + bad.row, bad.reason, bad.advice) from bad
        if part is not None:
            self.parts.append(np.full(len(batch[events.user]), part, np.int8))
        if self.unused.name:
            self.unused.add(batch[self.unused.name])
        self.rows += len(batch[events.user])

    def compact(self) -> None:
        """Merge equal ids of different batches; nothing else changes."""
        self.users.compact()
        self.items.compact()

    def extend(self, other: Reader) -> None:
        """Append the rows of another table, as if its batches were added here.

        Raises:
            BadValue: its times have another form than those here.
            BadValue, UserError: an error ended its reading.
        """
        first = self.rows
        self.dropped += [self.rows_read + rows for rows in other.dropped]
        self.rows_read += other.rows_read
        self.rows += other.rows
        self.users.extend(other.users)
        self.items.extend(other.items)
        self.outcomes.extend(other.outcomes)
        self.unused.extend(other.unused)
        self.parts += other.parts
        try:
            self.times.extend(other.times)
            if other.failure is not None:
                raise other.failure
        except BadValue as bad:
            raise BadValue(first + bad.row, bad.reason, bad.advice) from bad

    def drop_missing(self, batch: Mapping[str, pa.Array]) -> Mapping[str, pa.Array]:
        """Return a batch without the rows in which an id, a label or a time is missing."""
        events = self.events
        missing = np.zeros(len(batch[events.user]), dtype=bool)
        for name in (events.user, events.item):
            missing |= missing_values(batch[name], events.any_text)
        for name in filter(None, (events.label, events.timestamp)):
            missing |= missing_values(batch[name])
        self.dropped.append(self.rows_read + np.flatnonzero(missing))
        self.rows_read += len(missing)
        kept = pa.array(~missing)
        return {name: values.filter(kept) for name, values in batch.items()}

    def row_read(self, row: int) -> int:
        """Return the number of a kept row among all rows read."""
        dropped = np.concatenate([np.zeros(0, np.int64), *self.dropped])
        before = np.searchsorted(dropped - np.arange(len(dropped)), row, side="right")
        return row + int(before)

    def finish(self, first_rows: Sequence[int] = ()) -> Log:
        """Return the log and release the batches.

        Args:
            first_rows: the first row of each table without a header line, among the rows read.

        Raises:
            BadValue: an id is invalid.
        """
        if not self.rows:
            raise UserError(
                f"no row is left: all {self.rows_read:,} lack a user, an item, a label or a time."
            )
        dropped = np.concatenate([np.zeros(0, np.int64), *self.dropped])
        first_kept = [row - int(np.searchsorted(dropped, row)) for row in first_rows]
        for column in (self.users, self.items):
            column.reject_heading(first_kept)
        users, user_ids = self.users.finish()
        items, item_ids = self.items.finish()
        kept = slice(None)
        outcome, label_notes = np.full(self.rows, POSITIVE), self.unused.notes()
        if self.events.label:
            outcome, label_notes = self.outcomes.finish()
        if ignored := int((outcome == IGNORED).sum()):
            kept = outcome != IGNORED
            users, user_ids = drop_unused_ids(users[kept], user_ids)
            items, item_ids = drop_unused_ids(items[kept], item_ids)
        times, time_notes = self.times.finish()
        return Log(
            users=users,
            items=items,
            positive=outcome[kept] == POSITIVE,
            times=None if times is None else times[kept],
            user_ids=user_ids,
            item_ids=item_ids,
            parts=np.concatenate(self.parts)[kept] if self.parts else None,
            ignored=ignored,
            missing=self.rows_read - self.rows,
            notes=(*label_notes, *time_notes),
        )


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


def drop_unused_ids(
    numbers: NDArray[np.int32], ids: NDArray[np.generic]
) -> tuple[NDArray[np.int32], NDArray[np.generic]]:
    """Drop the ids that do not occur in `numbers`, and renumber the rest."""
    occurs = np.zeros(len(ids), dtype=bool)
    occurs[numbers] = True
    renumbered = np.cumsum(occurs, dtype=np.int32) - 1
    return renumbered[numbers], ids[occurs]
