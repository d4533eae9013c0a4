"""Probability distributions written as text, for flags such as --alpha='uniform(0,1)'."""

from __future__ import annotations

import re
from typing import NamedTuple

from recns_tf.errors import UserError

LARGEST = 1e30
"""Largest parameter of a distribution: well inside float32, so that no draw is infinite."""
NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
PAIR = re.compile(rf"\s*(uniform|normal)\({NUMBER},{NUMBER}\)\s*", re.IGNORECASE)
SINGLE = re.compile(NUMBER)


class Distribution(NamedTuple):
    """A probability distribution over the real numbers.

    Attributes:
        kind: "uniform" on [first, second), "normal" with mean `first` and variance `second`
            (the paper writes N(mean, variance), §5.3), or "constant", always `first`.
        first: the first parameter.
        second: the second parameter; 0 for a constant.
    """

    kind: str
    first: float
    second: float


def parse(text: str) -> Distribution:
    """Parse a distribution: uniform(a,b), normal(mean,variance) or a number.

    Raises:
        UserError: the text has another form, or the parameters are out of range.

    Example:
        >>> parse("normal(0,0.5)")
        Distribution(kind='normal', first=0.0, second=0.5)
    """
    if found := SINGLE.fullmatch(text):
        value = float(found[1])
        if abs(value) <= LARGEST:
            return Distribution("constant", value, 0.0)
    if found := PAIR.fullmatch(text):
        distribution = Distribution(found[1].lower(), float(found[2]), float(found[3]))
        in_range = max(abs(distribution.first), abs(distribution.second)) <= LARGEST
        valid = (
            distribution.first < distribution.second
            if distribution.kind == "uniform"
            else distribution.second > 0
        )
        if in_range and valid:
            return distribution
    raise UserError(
        f"'{text}' is not a distribution: write uniform(a,b) with a < b, normal(mean,variance) "
        "with a positive variance, or a number."
    )
