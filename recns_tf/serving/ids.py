"""Original ids of users and items, and their numbers in a dataset."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recns_tf.datasets import id_types
from recns_tf.datasets.frames import plain
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.text import shown


class Ids:
    """The ids of a dataset's users or items, as they were in the data.

    Args:
        data: the dataset.
        kind: "user" or "item".
        stored: whether to take the form in which runs store them, integers or text.
    """

    def __init__(self, data: Interactions, kind: str, stored: bool = False):
        self.kind = kind
        self.dataset = data.name
        as_stored = {"user": data.user_ids, "item": data.item_ids}[kind]
        self.labels = as_stored if stored else labels_of(data, kind)
        self.number = {each: number for number, each in enumerate(self.labels.tolist())}

    def numbers(self, ids: Any = None, in_order: bool = False) -> NDArray[np.int64]:
        """Return the numbers of some ids, int64 [n].

        Args:
            ids: one id, or several: any iterable other than text, bytes and a tuple that is an id;
                None for all.
            in_order: whether to return them in ascending order without repeats.

        Raises:
            UserError: an id is not in the data.
        """
        if ids is None:
            return np.arange(len(self.labels))
        found = []
        for value in self.listed(ids):
            each = plain(value)
            try:
                found.append(self.number[each])
            except (KeyError, TypeError):
                raise UserError(
                    f"{self.kind} {shown(repr(each))} is not in the data of {self.dataset}"
                    f"{self.hint(each)}."
                ) from None
        numbers = np.array(found, dtype=np.int64)
        return np.unique(numbers) if in_order else numbers

    def listed(self, ids: Any) -> Iterable[Any]:
        """Return an iterable of ids, also of a single one."""
        is_one = isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable)
        if is_one or (isinstance(ids, tuple) and self.is_id(ids)):
            return [ids]
        return ids

    def is_id(self, value: Hashable) -> bool:
        """Return whether a value is an id of the data."""
        try:
            return value in self.number
        except TypeError:
            return False

    def hint(self, value: Any) -> str:
        """Return a phrase if an id of the data differs from `value` only in its type."""
        for other in (str(value), int(value) if str(value).isdecimal() else None):
            if other is not None and self.is_id(other):
                return f": did you mean {other!r}"
        return ""


def labels_of(interactions: Interactions, kind: str) -> NDArray[Any]:
    """Return the ids of a dataset as they were in the frame that it was made from, [n].

    Args:
        interactions: the dataset.
        kind: "user" or "item".
    """
    if kind in interactions.id_objects:
        return interactions.id_objects[kind]
    ids = {"user": interactions.user_ids, "item": interactions.item_ids}[kind]
    return id_types.original(ids, interactions.source.get("id_types", {}).get(kind, "text"))
