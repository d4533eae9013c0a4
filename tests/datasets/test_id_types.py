import datetime
import decimal
import uuid

import numpy as np
import pytest

from recns_tf.datasets.id_types import MIXED, OTHER, original, stored, type_name
from recns_tf.errors import UserError


class Point:
    """A hashable type that has no form as text."""

    def __init__(self, place):
        self.place = place

    def __repr__(self):
        return "a point"


class Shelf(str):
    """A subclass of a known type is another type."""


LISTS = {
    "integer": [3, -1, 2**62],
    "text": ["7", "", "naïve", "重"],
    "number": [0.1, 1e300, 3.0],
    "truth": [True, False],
    "bytes": [b"\x00\xff", b"", b"a\n"],
    "date": [datetime.date(2024, 2, 29)],
    "datetime": [
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
        datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    ],
    "decimal": [decimal.Decimal("1.10"), decimal.Decimal("2")],
    "uuid": [uuid.UUID(int=5), uuid.UUID(int=6)],
    MIXED: [1, "1", 2.5, ("a", (1, b"x")), True is None, datetime.date(2024, 1, 1)],
}


@pytest.mark.parametrize("name", LISTS)
def test_ids_come_back_as_they_were(name, tmp_path):
    ids = LISTS[name]
    assert type_name(ids) == name
    kept = stored(ids, name)
    assert kept.dtype.kind == ("i" if name == "integer" else "U")
    np.save(tmp_path / "ids.npy", kept, allow_pickle=False)
    back = original(np.load(tmp_path / "ids.npy"), name).tolist()
    assert back == ids
    assert [type(each) for each in back] == [type(each) for each in ids]


def test_integers_beyond_int64_are_text():
    ids = [1, 2**70]
    kept = stored(ids, type_name(ids))
    assert kept.tolist() == ["1", str(2**70)]
    assert original(kept, "integer").tolist() == ids


@pytest.mark.parametrize("text", ["a\nb", "a\0", "\r"])
def test_text_that_files_cannot_hold_is_written_as_json(text):
    ids = [text, "plain"]
    name = type_name(ids)
    assert name == MIXED
    kept = stored(ids, name)
    assert all(each.isprintable() for each in kept.tolist())
    assert original(kept, name).tolist() == ids


def test_other_types_are_stored_as_their_text():
    ids = [Shelf("a"), Shelf("b")]
    assert type_name(ids) == OTHER
    assert original(stored(ids, OTHER), OTHER).tolist() == ["a", "b"]


def test_two_ids_with_one_text_are_refused():
    ids = [Point(1), Point(2)]
    with pytest.raises(UserError, match=r"two different ids are both written 'a point'"):
        stored(ids, type_name(ids))


def test_a_tuple_of_other_types_is_another_type():
    assert type_name([(1, Point(1))]) == OTHER
