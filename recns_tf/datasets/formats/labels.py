"""Which labels of a log make a row positive, or exposed: conditions such as ">=4"."""

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
NO_WORD = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
TRUTH = {"true": 1.0, "false": 0.0}
LEGAL = "a comparison with a number, such as '>=4', or '==click', '!=click' for a label in words"


class LabelFilter(NamedTuple):
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
        try:
            numbers = to_numbers(labels, name)
        except BadValue as bad:
            hint = f"{bad.reason}; a label in words is compared as in '==click'"
            raise BadValue(bad.row, hint) from bad
        return np.asarray(COMPARISONS[self.comparison](numbers, self.bound))


def parse_label_filter(text: str) -> LabelFilter | None:
    """Return the condition that `text` writes, or None if it writes none."""
    form = FORM.fullmatch(text)
    if not form:
        return None
    comparison, bound = form.groups()
    number = to_number(bound)
    if np.isfinite(number):
        return LabelFilter(comparison, number)
    words = not NO_WORD.fullmatch(bound) and comparison in ("==", "!=")
    return LabelFilter(comparison, bound) if words else None


def is_label_filter(text: str) -> bool:
    """Return whether `text` is a legal condition."""
    return parse_label_filter(text) is not None


def label_filter(text: str) -> LabelFilter:
    """Return the condition that `text` writes.

    Raises:
        UserError: it writes none.
    """
    parsed = parse_label_filter(text)
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
    """Return a single value as a number, true and false as 1 and 0; NaN if it is none."""
    try:
        return float(TRUTH.get(str(value).lower(), value))
    except (TypeError, ValueError):
        return float("nan")
