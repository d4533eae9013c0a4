"""Probability laws as text, for flags like --alpha='uniform(0,1)'."""

from __future__ import annotations

import re
from typing import NamedTuple

from recns_tf.errors import UserError

LARGEST = 1e30
"""Of the numbers of a law: well inside float32, so that no draw is infinite."""
NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
PAIR = re.compile(rf"\s*(uniform|normal)\({NUMBER},{NUMBER}\)\s*", re.IGNORECASE)
SINGLE = re.compile(NUMBER)


class Distribution(NamedTuple):
    """A law of real numbers.

    Attributes:
        kind: "uniform" on [first, second), "normal" with mean `first` and variance `second`
            (the paper writes N(mean, variance), §5.3), or "constant", always `first`.
    """

    kind: str
    first: float
    second: float


def parse(text: str) -> Distribution:
    """Return the law that `text` names: uniform(a,b), normal(mean,variance) or a number.

    Raises:
        UserError: it names none, or the numbers make no law.
    """
    if found := SINGLE.fullmatch(text):
        value = float(found[1])
        if abs(value) <= LARGEST:
            return Distribution("constant", value, 0.0)
    if found := PAIR.fullmatch(text):
        distribution = Distribution(found[1].lower(), float(found[2]), float(found[3]))
        inside = max(abs(distribution.first), abs(distribution.second)) <= LARGEST
        lawful = (
            distribution.first < distribution.second
            if distribution.kind == "uniform"
            else distribution.second > 0
        )
        if inside and lawful:
            return distribution
    raise UserError(
        f"'{text}' is no law: write uniform(a,b) with a < b, normal(mean,variance) with a "
        "positive variance, or a number."
    )
