"""Read a log, stored as one or more tables with one event per row, into a Log.

Each table is read on its own, so that other processes can do it, and joined to those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from recns_tf.datasets.formats.events import Events, Reader
from recns_tf.datasets.formats.ids import BadValue
from recns_tf.datasets.formats.outcomes import likely_labels
from recns_tf.datasets.formats.sources import Map, Source, as_source
from recns_tf.datasets.formats.tables import column_names, line_of_row, read_batches
from recns_tf.datasets.preprocessing.log import Log
from recns_tf.errors import UserError


def read_events(
    tables: Sequence[Source | Path], events: Events, parts: Sequence[int] = (), each: Map = map
) -> Log:
    """Return the log stored in one or more tables.

    Memory: 9 bytes per row, 17 with times, plus the ids of each table.

    Args:
        tables: the files, in order.
        events: their columns.
        parts: TRAIN, VALID or TEST for each table if the tables are split; () if they are not.
        each: reads the tables; the log does not depend on it.

    Raises:
        UserError: a table cannot be read, or contains an invalid value; the message names the
            file and the line.
    """
    sources = [as_source(table) for table in tables]
    whole = Reader(events, unused_label(sources[0], events))
    read = partial(read_table, events=events, unused=whole.unused.name)
    starts = []
    try:
        places: Sequence[int | None] = parts or [None] * len(sources)
        for reader in each(read, list(zip(sources, places, strict=True))):
            starts.append(whole.rows_read)
            whole.extend(reader)
        if not whole.rows_read:
            raise UserError(f"{sources[0]} and the other parts have no rows.")
        return whole.finish(starts if events.layout.names else ())
    except BadValue as bad:
        row = whole.row_read(bad.row)
        place = int(np.searchsorted(starts, row, side="right")) - 1
        where = line_of_row(sources[place], row - starts[place], events.layout)
        advice = f"; {bad.advice}" if bad.advice and events.advise else ""
        if events.layout.names and row == starts[place] and "heading" not in bad.reason:
            advice = "; if this line is a heading, leave --columns out"
        raise UserError(f"{where}: {bad.reason}{advice}.") from bad


def read_table(table: tuple[Source, int | None], events: Events, unused: str) -> Reader:
    """Return the rows of one table up to its first error, which `Reader.failure` holds.

    Args:
        table: the file; and TRAIN, VALID or TEST for all its rows, or None.
        events, unused: see Reader.
    """
    source, part = table
    reader = Reader(events, unused)
    try:
        for batch in read_batches(source, reader.columns, events.layout):
            reader.add(dict(zip(reader.columns, batch, strict=True)), part)
    except (BadValue, UserError) as error:
        reader.failure = error
    reader.compact()
    return reader


def unused_label(source: Source, events: Events) -> str:
    """Return the column of a table that seems to hold the labels if --label does not name it."""
    used = (events.user, events.item, events.timestamp, events.part)
    if events.label or not events.advise or not source.size:
        return ""
    names = [name for name in column_names(source, events.layout) if name not in used]
    return likely_labels(names)
