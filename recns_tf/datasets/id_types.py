"""Ids of any hashable type, stored as integers or text and returned as they were.

Datasets and the files of runs hold ids as int64 or as text. Ids of other types are stored as text,
in a form from which the original value is read back: a UUID as usual, a date in ISO format, a tuple
or a mixture of types as JSON. Text alone cannot restore an instance of some other class.
"""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.datasets.formats.ids import LINE_BREAK
from recns_tf.errors import UserError


class IdType(NamedTuple):
    """How ids of one type are stored as text.

    Attributes:
        of: the Python type.
        to_text: returns the text of an id.
        from_text: returns the id of a text.
    """

    of: type
    to_text: Callable[[Any], str]
    from_text: Callable[[str], Any]


TYPES = {
    "integer": IdType(int, str, int),
    "text": IdType(str, str, str),
    "number": IdType(float, repr, float),
    "truth": IdType(bool, str, lambda text: text == "True"),
    "bytes": IdType(bytes, bytes.hex, bytes.fromhex),
    "datetime": IdType(
        datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat
    ),
    "date": IdType(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "decimal": IdType(decimal.Decimal, str, decimal.Decimal),
    "uuid": IdType(uuid.UUID, str, uuid.UUID),
}
"""The types whose ids are stored in a form of their own, by name."""

MIXED, OTHER = "mixed", "other"
"""The names of ids of several types or tuples, stored as JSON, and of ids stored as str(id)."""

NAMES = {each.of: name for name, each in TYPES.items()}
TUPLE = "tuple"
LARGEST = 2**63


def type_name(ids: Collection[Hashable]) -> str:
    """Return the name of the type of some ids: a key of TYPES, MIXED or OTHER.

    Text with line breaks or NUL counts as MIXED, because JSON writes them in one line.
    """
    found = {type(each) for each in ids}
    if len(found) == 1 and (name := NAMES.get(next(iter(found)))):
        broken = name == "text" and any(LINE_BREAK.search(str(each)) for each in ids)
        return MIXED if broken else name
    try:
        for each in ids:
            to_json(each)
    except TypeError:
        return OTHER
    return MIXED


def stored(ids: Sequence[Hashable], name: str) -> NDArray[Any]:
    """Return ids as they are stored: int64 if all are such integers, otherwise text, [n].

    Args:
        ids: distinct ids.
        name: what `type_name` returns for them.

    Raises:
        UserError: two ids have the same text, so that they could not be distinguished.
    """
    if name == "integer" and all(-LARGEST <= each < LARGEST for each in ids):  # type: ignore[operator]
        return np.array(ids, dtype=np.int64)
    texts = [to_text(each, name) for each in ids]
    if len(set(texts)) < len(texts):
        repeated = next(text for text in texts if texts.count(text) > 1)
        raise UserError(f"two different ids are both written '{repeated}': choose distinct ids.")
    return np.array(texts, dtype=str)


def original(ids: NDArray[Any], name: str) -> NDArray[Any]:
    """Return the ids that `stored` was called with, [n]; those of type OTHER as text.

    Integers and text are returned as they are, and ids of other types as an array of objects.
    """
    if name in ("text", OTHER) or ids.dtype.kind in "iu":
        return ids
    objects = np.empty(len(ids), dtype=object)
    objects[:] = [from_text(text, name) for text in ids.tolist()]
    return objects


def to_text(value: Hashable, name: str) -> str:
    """Return the text of an id of the type `name`."""
    if name in TYPES:
        return TYPES[name].to_text(value)
    return json.dumps(to_json(value)) if name == MIXED else str(value)


def from_text(text: str, name: str) -> Hashable:
    """Return the id of the type `name` that a text stands for."""
    return TYPES[name].from_text(text) if name in TYPES else from_json(json.loads(text))


def to_json(value: Hashable) -> Any:
    """Return an id as a JSON value, [name of its type, text or parts].

    Raises:
        TypeError: it has another type.
    """
    if type(value) is tuple:
        return [TUPLE, [to_json(each) for each in value]]
    if type(value) not in NAMES:
        raise TypeError(f"{type(value).__name__} has no form as text")
    name = NAMES[type(value)]
    return [name, TYPES[name].to_text(value)]


def from_json(value: Any) -> Hashable:
    """Return the id that `to_json` was called with."""
    name, content = value
    if name == TUPLE:
        return tuple(from_json(each) for each in content)
    return TYPES[name].from_text(content)
