"""Which labels of a log make a row positive, or exposed: conditions such as ">=4"."""

from __future__ import annotations

import operator
import re
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.ids import BadValue
from recns_tf.errors import UserError

COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
FORM = re.compile(rf"\s*({'|'.join(COMPARISONS)})\s*(.+?)\s*")
LEGAL = "a comparison with a number, such as '>=4', or '==click', '!=click' for a label in words"


class Condition(NamedTuple):
    """A comparison of a label with a number, or with a word.

    Attributes:
        comparison: one of COMPARISONS.
        bound: a float or a word.
    """

    comparison: str
    bound: float | str

    def holds(self, labels: pa.Array, name: str) -> NDArray[np.bool_]:
        """Return bool [n]: for which labels, an Arrow array of text or numbers, it holds.

        Raises:
            BadValue: a label is missing, or no number where one is needed.
        """
        if isinstance(self.bound, str):
            words: Any = pc.cast(labels, pa.string()).fill_null("")
            missing = np.flatnonzero(pc.equal(words, "").to_numpy(zero_copy_only=False))
            if len(missing):
                raise BadValue(int(missing[0]), f"{name} is missing")
            same = np.asarray(pc.equal(words, self.bound).to_numpy(zero_copy_only=False))
            return same if self.comparison == "==" else ~same
        return np.asarray(COMPARISONS[self.comparison](to_numbers(labels, name), self.bound))


def parse_condition(text: str) -> Condition | None:
    """Return the condition that `text` writes, or None if it writes none."""
    form = FORM.fullmatch(text)
    if not form:
        return None
    comparison, bound = form.groups()
    try:
        number = float(bound)
    except ValueError:
        return Condition(comparison, bound) if comparison in ("==", "!=") else None
    return Condition(comparison, number) if np.isfinite(number) else None


def is_condition(text: str) -> bool:
    """Return whether `text` is a legal condition."""
    return parse_condition(text) is not None


def condition(text: str) -> Condition:
    """Return the condition that `text` writes.

    Raises:
        UserError: it writes none.
    """
    parsed = parse_condition(text)
    if parsed is None:
        raise UserError(f"the condition '{text}' is not {LEGAL}.")
    return parsed


def to_numbers(values: pa.Array, name: str) -> NDArray[np.float64]:
    """Return a batch of numbers, or of text that writes numbers, as float64 [n].

    Raises:
        BadValue: a value is missing, NaN, infinite or no number.
    """
    try:
        numbers = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        numbers = np.array([to_number(value) for value in values.to_pylist()], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        row = int(bad[0])
        raise BadValue(row, f"{name} '{values[row].as_py()}' is not a number")
    return np.asarray(numbers)


def to_number(value: Any) -> float:
    """Return a single value as a number, NaN if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def to_times(values: pa.Array, name: str) -> NDArray[np.float64]:
    """Return a batch of times as float64 [n]: numbers as they are, dates as seconds since 1970.

    Dates are ISO 8601, such as 2022-04-08, 2022-04-08 12:00:01 or 2022-04-08T12:00:01+08:00.

    Raises:
        BadValue: a time is missing, or neither number nor date.
    """
    if pa.types.is_string(values.type) and len(values) and np.isnan(to_number(values[0].as_py())):
        values = to_dates(values, name)
    if pa.types.is_temporal(values.type):
        microseconds = pc.cast(pc.cast(values, pa.timestamp("us")), pa.int64())
        values = pc.divide(pc.cast(microseconds, pa.float64()), 1e6)
    return to_numbers(values, name)


def to_dates(texts: pa.Array, name: str) -> pa.Array:
    """Return a batch of ISO dates as Arrow times.

    Raises:
        BadValue: a text is none.
    """
    for zone in (None, "UTC"):  # without and with an offset from UTC
        with suppress(pa.ArrowInvalid):
            return pc.cast(texts, pa.timestamp("us", zone))
    for row, text in enumerate(texts.to_pylist()):
        try:
            datetime.fromisoformat(text)
        except ValueError as error:
            raise BadValue(row, f"{name} '{text}' is neither a number nor an ISO date") from error
    raise BadValue(0, f"{name} mixes dates with and without an offset from UTC")
