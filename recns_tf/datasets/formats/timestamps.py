"""Parse the times of a log: numbers (larger is later) or ISO 8601 dates (seconds since 1970)."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import BadValue
from recns_tf.datasets.formats.labels import to_number, to_numbers

NUMBER, DATE, DATE_WITH_OFFSET = "a number", "a date", "a date with an offset from UTC"


class TimeColumn:
    """Collects a column of times batch by batch; all times must have the same form.

    Args:
        name: name of the column, for messages.
    """

    def __init__(self, name: str):
        self.name = name
        self.form = ""
        self.batches: list[NDArray[np.float64]] = []

    def add(self, values: pa.Array) -> None:
        """Append a batch: an Arrow array of numbers, times, or text in either form.

        Examples of dates: 2022-04-08, 2022-04-08 12:00:01, 2022-04-08T12:00:01+08:00.

        Raises:
            BadValue: a value is missing, is not a time, or differs in form from earlier values;
                rows are counted from the start of the batch.
        """
        if not len(values):
            return
        form, times = to_times(values, self.name)
        if self.form and form != self.form:
            first = values[0].as_py()
            reason = f"{self.name} '{first}' is {form}, but each earlier value is {self.form}"
            raise BadValue(0, reason)
        self.form = form
        self.batches.append(times)


def to_times(values: pa.Array, name: str) -> tuple[str, NDArray[np.float64]]:
    """Return the form of a batch of times, and the times as float64 [n].

    Raises:
        BadValue: see TimeColumn.add.
    """
    form = NUMBER
    if pa.types.is_string(values.type) and np.isnan(to_number(values[0].as_py())):
        form, values = to_dates(values, name)
    elif pa.types.is_temporal(values.type):
        form = DATE
    if pa.types.is_temporal(values.type):
        try:
            times = pc.cast(values, pa.timestamp("us"), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise BadValue(0, f"{name} holds {values.type}, not points in time") from error
        values = pc.divide(pc.cast(pc.cast(times, pa.int64()), pa.float64()), 1e6)
    return form, to_numbers(values, name)


def to_dates(texts: pa.Array, name: str) -> tuple[str, pa.Array]:
    """Return the form of a batch of ISO dates, and the dates as Arrow times.

    Raises:
        BadValue: a text is not a date, or differs in form from the first one.
    """
    for form, zone in ((DATE, None), (DATE_WITH_OFFSET, "UTC")):
        with suppress(pa.ArrowInvalid):
            return form, pc.cast(texts, pa.timestamp("us", zone))
    forms = []
    for row, text in enumerate(texts.to_pylist()):
        try:
            offset = datetime.fromisoformat(text).tzinfo
            pc.cast(pa.array([text]), pa.timestamp("us", "UTC" if offset else None))
        except (ValueError, TypeError) as error:
            form = "neither a number nor an ISO date such as 2022-04-08 12:00:01"
            raise BadValue(row, f"{name} '{text}' is {form}") from error
        forms.append(DATE_WITH_OFFSET if offset else DATE)
        if forms[-1] != forms[0]:
            reason = f"{name} '{text}' is {forms[-1]}, but each earlier value is {forms[0]}"
            raise BadValue(row, reason)
    raise AssertionError("Arrow parses each date, but not the batch")
