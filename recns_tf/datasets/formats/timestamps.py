"""Parse the times of a log: numbers (larger is later), ISO 8601 dates, or dates in a given format.

Dates become seconds since 1970.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import BadValue, require_present
from recns_tf.datasets.formats.labels import to_number, to_numbers
from recns_tf.utils.text import count

NUMBER, DATE, DATE_WITH_OFFSET = "a number", "a date", "a date with an offset from UTC"
UTC_NAMES = r" ?(UTC|GMT)$"
UNITS = {"seconds": 1e8, "milliseconds": 1e11, "microseconds": 1e14, "nanoseconds": 1e17}
"""The smallest number that is taken for a time since 1970 in each unit. A hundred times that number
is the end: times in seconds reach from 1973 to 2286."""

BAND = 100
EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1900, 2200))
LATEST_DAY_MOVED = 3
"""A day that does not exist, such as February 29 to 31, becomes March 1, 2 or 3."""

LEAST_OF_FOUR_DIGITS = 1000
"""A year below this may be written with fewer digits, which Python's strptime refuses."""

OTHER_FORMAT = "--time_format='%d.%m.%Y %H:%M' names another format"


class TimeColumn:
    """Collects a column of times batch by batch; all times must have the same form.

    Args:
        name: name of the column, for messages.
        time_format: format of the dates, as in Python's datetime.strptime; "" for numbers and ISO
            dates. Dates without an offset are taken as UTC.
    """

    def __init__(self, name: str, time_format: str = ""):
        self.name = name
        self.time_format = time_format
        self.form = ""
        self.first: object = None
        self.batches: list[NDArray[np.float64]] = []

    def add(self, values: pa.Array) -> None:
        """Append a batch: an Arrow array of numbers, times, or text in either form.

        Examples of dates: 2022-04-08, 2022-04-08 12:00:01, 2022-04-08T12:00:01+08:00,
        2022-04-08 12:00:01 UTC.

        Raises:
            BadValue: a value is missing, is not a time, or differs in form from earlier values;
                rows are counted from the start of the batch.
        """
        if not len(values):
            return
        try:
            form, times = self.parse(values)
        except BadValue:
            require_present(values, self.name)
            raise
        if not self.form:
            self.first = values[0].as_py()
        self.require_form(form, values[0].as_py())
        self.batches.append(times)

    def extend(self, other: TimeColumn) -> None:
        """Append the batches of another column.

        Raises:
            BadValue: its first time, row 0, has another form than those here.
        """
        if other.form:
            self.require_form(other.form, other.first)
        self.batches += other.batches

    def require_form(self, form: str, first: object) -> None:
        """Raise BadValue for a first value whose form is not that of earlier values."""
        if self.form and form != self.form:
            reason = f"{self.name} '{first}' is {form}, but each earlier value is {self.form}"
            raise BadValue(0, reason)
        self.form = form

    def parse(self, values: pa.Array) -> tuple[str, NDArray[np.float64]]:
        """Return the form of a batch of times, and the times as float64 [n].

        Raises:
            BadValue: a value is missing or is not a time.
        """
        if self.time_format and not pa.types.is_temporal(values.type):
            return DATE, parse_dates(values, self.name, self.time_format)
        return to_times(values, self.name)

    def finish(self) -> tuple[NDArray[np.float64] | None, list[str]]:
        """Return the times, float64 [n], or None without a batch; and notes on doubtful ones."""
        if not self.batches:
            return None, []
        times = np.concatenate(self.batches)
        self.batches = []
        return times, notes(times, self.name, self.form)


def notes(times: NDArray[np.float64], name: str, form: str) -> list[str]:
    """Return sentences on times that look wrong: mixed units, placeholders for no date."""
    if form != NUMBER:
        odd = int(((times < EARLIEST) | (times > LATEST)).sum())
        dates = count(odd, f"date of {name} is", f"dates of {name} are")
        text = (
            f"{dates} before 1900 or after 2200: "
            "if they stand for a missing date, remove them, since they count as the earliest or "
            "latest events"
        )
        return [text] if odd else []
    counts = {
        unit: int(((times >= low) & (times < low * BAND)).sum()) for unit, low in UNITS.items()
    }
    found = [f"{count:,} like {unit}" for unit, count in counts.items() if count]
    text = (
        f"the numbers of {name} seem to mix units ({', '.join(found)} since 1970): convert them to "
        "one unit, since the order of events is wrong otherwise"
    )
    return [text] if len(found) > 1 else []


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
    if not pa.types.is_temporal(values.type):
        return form, to_numbers(values, name, OTHER_FORMAT)
    require_present(values, name)
    try:
        times = pc.cast(values, pa.timestamp("us"), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadValue(0, f"{name} holds {values.type}, not points in time") from error
    # NumPy converts large values that Arrow's safe cast to float64 refuses, such as the year 9999.
    return form, pc.cast(times, pa.int64()).to_numpy(zero_copy_only=False) / 1e6


def to_dates(texts: pa.Array, name: str) -> tuple[str, pa.Array]:
    """Return the form of a batch of ISO dates, and the dates as Arrow times.

    Raises:
        BadValue: a text is not a date, or differs in form from the first one.
    """
    texts = pc.replace_substring_regex(texts, UTC_NAMES, "Z")
    for form, zone in ((DATE, None), (DATE_WITH_OFFSET, "UTC")):
        for unit in ("us", "ns"):
            with suppress(pa.ArrowInvalid):
                return form, pc.cast(texts, pa.timestamp(unit, zone))
    forms = []
    for row, text in enumerate(texts.to_pylist()):
        try:
            offset = datetime.fromisoformat(text).tzinfo
            pc.cast(pa.array([text]), pa.timestamp("us", "UTC" if offset else None))
        except (ValueError, TypeError) as error:
            form = "neither a number nor an ISO date such as 2022-04-08 12:00:01"
            raise BadValue(row, f"{name} '{text}' is {form}", OTHER_FORMAT) from error
        forms.append(DATE_WITH_OFFSET if offset else DATE)
        if forms[-1] != forms[0]:
            reason = f"{name} '{text}' is {forms[-1]}, but each earlier value is {forms[0]}"
            raise BadValue(row, reason)
    raise AssertionError("Arrow parses each date, but not the batch")


def parse_dates(values: pa.Array, name: str, time_format: str) -> NDArray[np.float64]:
    """Parse a batch of dates in a format of Python's datetime.strptime, float64 [n].

    Raises:
        BadValue: a text does not have the format.
    """
    texts = pc.cast(values, pa.string())
    seconds = strptime(texts, time_format)
    bad = np.flatnonzero(np.isnan(seconds))
    if len(bad):
        row = int(bad[0])
        reason = f"{name} '{texts[row].as_py()}' does not have the format --time_format="
        raise BadValue(row, f"{reason}'{time_format}'")
    return seconds


def strptime(texts: pa.Array, time_format: str) -> NDArray[np.float64]:
    """Return dates as seconds since 1970, float64 [n].

    The first text that is not such a date becomes NaN, and parsing ends there.

    Arrow parses them, 30 times as fast as Python. Python parses those that Arrow cannot parse, and
    those that Arrow may have misread: it turns February 30 into March 2, second 60 into 0, and "19"
    for %Y into the year 19.

    Args:
        texts: text [n].
        time_format: a format of Python's datetime.strptime.
    """
    seconds = np.full(len(texts), np.nan)
    doubtful = np.ones(len(texts), dtype=bool)
    if parses_as_arrow_does(time_format):
        times = pc.strptime(texts, format=time_format, unit="s", error_is_null=True)
        seconds = pc.cast(times, pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64)
        moved = pc.less_equal(pc.day(times), LATEST_DAY_MOVED)
        moved = pc.or_(moved, pc.less(pc.year(times), LEAST_OF_FOUR_DIGITS))
        if "%S" in time_format:
            moved = pc.or_(moved, pc.equal(pc.second(times), 0))
        doubtful = pc.fill_null(moved, True).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(doubtful):
        try:
            date = datetime.strptime(texts[row].as_py(), time_format)
        except ValueError:
            seconds[row] = np.nan
            break
        seconds[row] = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    return seconds


def parses_as_arrow_does(time_format: str) -> bool:
    """Return whether Arrow's strptime agrees with Python's except for dates that do not exist."""
    directives = set(re.findall("%(.)", time_format))
    is_date = {"d"} <= directives and directives & {"m", "b", "B"} and directives & {"Y", "y"}
    return bool(is_date) and directives <= set("dmbByYHMSIpaAz")


def is_time_format(text: str) -> bool:
    """Return whether `text` is a format of Python's datetime.strptime, or empty."""
    try:
        datetime.strptime(datetime(2000, 1, 1, tzinfo=UTC).strftime(text), text)
    except ValueError as error:
        return "does not match" in str(error) or "unconverted data" in str(error)
    return True
