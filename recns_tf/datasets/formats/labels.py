"""Label filters such as ">=4" or "==cart|purchase", which select rows of a log."""

from __future__ import annotations

import operator
import re
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import BadValue, require_present
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
OR = "|"
LEGAL = (
    "a comparison with a number, such as '>=4', or with labels, such as '==click', "
    "'==cart|purchase' or '!=skip'"
)


Label = float | str


class LabelFilter(NamedTuple):
    """A comparison of a label with a number, or with one or more labels.

    Attributes:
        comparison: one of COMPARISONS.
        bounds: the number to compare with; for "==" and "!=", the labels, either all numbers or
            all text. "==" selects a label that is among them, "!=" one that is not.
    """

    comparison: str
    bounds: tuple[Label, ...]

    def matches(self, labels: pa.Array, name: str) -> NDArray[np.bool_]:
        """Return which labels match, bool [n].

        Args:
            labels: Arrow array of text or numbers, [n].
            name: name of the column, for messages.

        Raises:
            BadValue: a label is missing, or is not a number where one is needed.
        """
        if isinstance(self.bounds[0], str):
            texts: Any = pc.cast(labels, pa.string()).fill_null("")
            require_present(labels, name, any_text=True)
            among = np.asarray(
                pc.is_in(texts, pa.array(self.bounds)).to_numpy(zero_copy_only=False)
            )
            return among if self.comparison == "==" else ~among
        numbers = to_numbers(labels, name, "--positive='==click' compares text labels")
        if len(self.bounds) > 1:
            among = np.isin(numbers, self.bounds)
            return among if self.comparison == "==" else ~among
        return np.asarray(COMPARISONS[self.comparison](numbers, self.bounds[0]))

    def absent(self, labels: pa.Array) -> set[Label]:
        """Return those of the labels to select with "==" that do not occur in a batch."""
        if self.comparison != "==":
            return set()
        if isinstance(self.bounds[0], str):
            occurring: set[Label] = set(pc.unique(pc.cast(labels, pa.string())).to_pylist())
        else:
            occurring = set(to_numbers(pc.unique(labels), ""))
        return set(self.bounds) - occurring


def parse_label_filter(text: str) -> LabelFilter | None:
    """Parse `text` as a label filter; return None if it is not valid."""
    form = FORM.fullmatch(text)
    if not form:
        return None
    comparison, bound = form.groups()
    labels = tuple(label.strip() for label in bound.split(OR))
    numbers = tuple(map(to_number, labels))
    is_set = comparison in ("==", "!=")
    if np.isfinite(numbers).all() and (is_set or len(numbers) == 1):
        return LabelFilter(comparison, numbers)
    if not is_set or not all(labels) or any(map(NOT_FINITE.fullmatch, labels)):
        return None
    return LabelFilter(comparison, labels)


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


def to_numbers(values: pa.Array, name: str, advice: str = "") -> NDArray[np.float64]:
    """Convert a batch of numbers, or of numbers written as text, to float64 [n].

    Args:
        values: Arrow array [n].
        name: name of the column, for messages.
        advice: what to do if a value is not a number.

    Raises:
        BadValue: a value is missing, NaN, infinite or not a number.
    """
    try:
        numbers = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        numbers = np.array([to_number(value) for value in values.to_pylist()], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        require_present(values, name)
        row = int(bad[0])
        raise BadValue(row, f"{name} '{values[row].as_py()}' is not a number", advice)
    return np.asarray(numbers)


def to_number(value: Any) -> float:
    """Convert a value to a number, true to 1 and false to 0; return NaN if it is not a number."""
    try:
        return float(TRUTH.get(str(value).lower(), value))
    except (TypeError, ValueError):
        return float("nan")
