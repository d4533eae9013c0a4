"""Label filters such as ">=4", which select the positive or the exposed rows of a log."""

from __future__ import annotations

import operator
import re
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import BadValue
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
NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
TRUTH = {"true": 1.0, "false": 0.0}
LEGAL = "a comparison with a number, such as '>=4', or '==click', '!=click' for text labels"


class LabelFilter(NamedTuple):
    """A comparison of a label with a number or with text.

    Attributes:
        comparison: one of COMPARISONS.
        bound: a number or text to compare with.
    """

    comparison: str
    bound: float | str

    def matches(self, labels: pa.Array, name: str) -> NDArray[np.bool_]:
        """Return which labels match, bool [n].

        Args:
            labels: Arrow array of text or numbers, [n].
            name: name of the column, for messages.

        Raises:
            BadValue: a label is missing, or is not a number where one is needed.
        """
        if isinstance(self.bound, str):
            texts: Any = pc.cast(labels, pa.string()).fill_null("")
            missing = np.flatnonzero(pc.equal(texts, "").to_numpy(zero_copy_only=False))
            if len(missing):
                raise BadValue(int(missing[0]), f"{name} is missing")
            same = np.asarray(pc.equal(texts, self.bound).to_numpy(zero_copy_only=False))
            return same if self.comparison == "==" else ~same
        try:
            numbers = to_numbers(labels, name)
        except BadValue as bad:
            hint = f"{bad.reason}; compare text labels as in '==click'"
            raise BadValue(bad.row, hint) from bad
        return np.asarray(COMPARISONS[self.comparison](numbers, self.bound))


def parse_label_filter(text: str) -> LabelFilter | None:
    """Parse `text` as a label filter; return None if it is not valid."""
    form = FORM.fullmatch(text)
    if not form:
        return None
    comparison, bound = form.groups()
    number = to_number(bound)
    if np.isfinite(number):
        return LabelFilter(comparison, number)
    is_text = not NOT_FINITE.fullmatch(bound) and comparison in ("==", "!=")
    return LabelFilter(comparison, bound) if is_text else None


def is_label_filter(text: str) -> bool:
    """Return whether `text` is a valid label filter."""
    return parse_label_filter(text) is not None


def label_filter(text: str) -> LabelFilter:
    """Parse `text` as a label filter.

    Raises:
        UserError: it is not valid.
    """
    parsed = parse_label_filter(text)
    if parsed is None:
        raise UserError(f"the label filter '{text}' is not {LEGAL}.")
    return parsed


def to_numbers(values: pa.Array, name: str) -> NDArray[np.float64]:
    """Convert a batch of numbers, or of numbers written as text, to float64 [n].

    Raises:
        BadValue: a value is missing, NaN, infinite or not a number.
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
    """Convert a value to a number, true to 1 and false to 0; return NaN if it is not a number."""
    try:
        return float(TRUTH.get(str(value).lower(), value))
    except (TypeError, ValueError):
        return float("nan")
