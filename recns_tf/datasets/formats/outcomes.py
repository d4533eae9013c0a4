"""Whether each row of a log is positive, exposed or neither, from the column of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import letters
from recns_tf.datasets.formats.labels import Label, label_filter, to_number

POSITIVE, EXPOSED, IGNORED = np.int8(1), np.int8(0), np.int8(-1)
ANY_POSITIVE = ">0"
REST, NONE = "rest", "none"
LABEL_NAMES = (
    *("label", "labels", "click", "clicked", "isclick", "isclicked", "like", "liked", "islike"),
    *("target", "feedback", "response", "converted", "purchased", "y"),
)
"""Usual names of columns of 0/1 labels, in lower case, letters only."""


class OutcomeColumn:
    """Collects the outcomes of the rows batch by batch.

    Args:
        name: name of the column of labels, for messages.
        positive: label filter for positives, such as ">=4".
        exposed: label filter for items shown but not chosen, REST for all rows that are not
            positive, or NONE.
    """

    def __init__(self, name: str, positive: str = ANY_POSITIVE, exposed: str = REST):
        self.name = name
        self.filters = {"positive": label_filter(positive)}
        if exposed not in (REST, NONE):
            self.filters["exposed"] = label_filter(exposed)
        self.other = IGNORED if exposed == NONE else EXPOSED
        self.absent = {flag: set(each.bounds) for flag, each in self.filters.items()}
        self.batches: list[NDArray[np.int8]] = []

    def add(self, labels: pa.Array) -> NDArray[np.int8]:
        """Append a batch, an Arrow array of text or numbers, and return its outcomes, int8 [n].

        Raises:
            BadValue: a label is invalid; rows are counted from the start of the batch.
        """
        matches = {flag: each.matches(labels, self.name) for flag, each in self.filters.items()}
        for flag, each in self.filters.items():
            self.absent[flag] &= each.absent(labels)
        outcomes = np.full(len(labels), self.other)
        if "exposed" in matches:
            outcomes = np.where(matches["exposed"], EXPOSED, IGNORED)
        self.batches.append(np.where(matches["positive"], POSITIVE, outcomes))
        return self.batches[-1]

    def extend(self, other: OutcomeColumn) -> None:
        """Append the batches of another column with the same filters."""
        self.batches += other.batches
        for flag, labels in other.absent.items():
            self.absent[flag] &= labels

    def finish(self) -> tuple[NDArray[np.int8], list[str]]:
        """Return the outcomes, int8 [n], and notes on labels that never occur."""
        outcomes = np.concatenate(self.batches)
        self.batches = []
        return outcomes, [
            f"no {self.name} is {', '.join(sorted(map(shown, labels)))}, which --{flag} names"
            for flag, labels in self.absent.items()
            if labels
        ]


def shown(label: Label) -> str:
    """Return a label for a message."""
    return repr(label) if isinstance(label, str) else f"{label:g}"


class UnusedLabels:
    """Counts the values of a column that looks like labels although --label names no column.

    Args:
        name: name of the column.
    """

    def __init__(self, name: str):
        self.name = name
        self.counts = {0.0: 0, 1.0: 0}

    def add(self, values: pa.Array) -> None:
        """Count a batch, until a value is neither 0 nor 1."""
        if self.counts:
            for entry in pc.value_counts(pc.cast(values, pa.string())).to_pylist():
                number = to_number(entry["values"])
                if number not in self.counts:
                    self.counts = {}
                    return
                self.counts[number] += entry["counts"]

    def extend(self, other: UnusedLabels) -> None:
        """Add the counts of another column."""
        both = self.counts and other.counts
        self.counts = {value: self.counts[value] + other.counts[value] for value in both}

    def notes(self) -> list[str]:
        """Return a note if all values are 0 or 1 and both occur."""
        if not self.counts or not all(self.counts.values()):
            return []
        zeros, ones = self.counts.values()
        return [
            f"the column '{self.name}', {zeros:,} times 0 and {ones:,} times 1, is not used, so "
            f"that all rows are positives; if it holds labels, add --label={self.name}"
        ]


def likely_labels(names: Sequence[str]) -> str:
    """Return the first column whose name is a usual one for labels; "" if there is none."""
    found = (name for name in names if letters(name) in LABEL_NAMES and names.count(name) == 1)
    return next(found, "")
