"""Make a dataset from a data frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from recns_tf.config.flags import A_FOLDER_NAME, A_RATE
from recns_tf.datasets import id_types
from recns_tf.datasets.account import account
from recns_tf.datasets.data_frames import FRAME, library_of, opened
from recns_tf.datasets.formats.events import Events, Reader
from recns_tf.datasets.formats.ids import BadValue
from recns_tf.datasets.formats.parquet import simplify
from recns_tf.datasets.formats.reading import describe_columns
from recns_tf.datasets.held_out_exposures import hold_out_exposures
from recns_tf.datasets.preparation import Preparation, events_of, require_consistent, rules_of
from recns_tf.datasets.preprocessing.log import Log, to_interactions
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.registry import suggestion
from recns_tf.utils.text import shown

OF_FILES = (
    *("name", "input", "train_input", "valid_input", "test_input", "separator", "quoting"),
    *("escape", "encoding", "columns", "ids"),
)
"""The settings of `prepare` that say how files are read."""


class Column(NamedTuple):
    """A column of a frame.

    Attributes:
        name: its name.
        values: a Narwhals series, or any sequence.
    """

    name: str
    values: Any

    def arrow(self) -> pa.Array | None:
        """Return the values as an Arrow array, text as large_string; None if types are mixed."""
        try:
            if isinstance(self.values, nw.Series):
                chunks = self.values.to_arrow()
            else:
                chunks = pa.array(self.values, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return None
        array = chunks.combine_chunks() if isinstance(chunks, pa.ChunkedArray) else chunks
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if pa.types.is_string(array.type) or pa.types.is_string_view(array.type):
            array = array.cast(pa.large_string())
        return array

    def to_list(self) -> tuple[list[Any], NDArray[np.bool_]]:
        """Return the values as Python objects, and which of them are missing, bool [n]."""
        missing = np.zeros(len(self.values), dtype=bool)
        listed = self.values
        if isinstance(self.values, nw.Series):
            missing = np.array(self.values.is_null().to_list(), dtype=bool)
            listed = self.values.to_list()
        values = [
            None if absent else plain(value) for value, absent in zip(listed, missing, strict=True)
        ]
        return values, missing | np.array([is_missing(value) for value in values], dtype=bool)


def from_frame(
    frame: Any,
    *,
    name: str = "frame",
    split_seed: int = 0,
    test_exposed_share: float = 0.0,
    quiet: bool = False,
    **settings: Any,
) -> Interactions:
    """Return the dataset in a frame with one event per row; see Interactions.from_frame."""
    legal = [f.name for f in dataclasses.fields(Preparation) if f.name not in OF_FILES]
    for each in settings:
        if each not in legal:
            raise UserError(
                f"from_frame has no argument '{each}': choose from name, split_seed, "
                f"test_exposed_share, quiet, {', '.join(legal)}.{suggestion(each, legal)}"
            )
    preparation = Preparation(name=name, input=FRAME, ids="text", **settings)
    if not name or not A_FOLDER_NAME.holds(name):
        raise UserError(f"name='{shown(name)}': choose {A_FOLDER_NAME.legal}.")
    if not isinstance(test_exposed_share, (int, float)) or not A_RATE.holds(test_exposed_share):
        raise UserError(f"test_exposed_share={test_exposed_share}: choose {A_RATE.legal}.")
    require_consistent(preparation)
    rules = rules_of(preparation, split_seed)
    events = events_of(preparation)
    named = (events.user, events.item, events.label, events.timestamp, events.part)
    frame = opened(frame)
    columns = {column: find_column(frame, column) for column in named if column}
    distinct, batch = {}, {}
    for column, found in columns.items():
        if column in (events.user, events.item):
            distinct[column], batch[column] = factorize(found)
        else:
            batch[column] = arrow_of(found)
    log = read_log(batch, events)
    types, objects, stored = {}, {}, {}
    for kind, column, numbers in (
        ("user", events.user, log.user_ids),
        ("item", events.item, log.item_ids),
    ):
        # The log has the numbers of the distinct ids.
        ids = [distinct[column][number] for number in numbers.tolist()]
        types[kind] = id_types.type_name(ids)
        stored[kind] = id_types.stored(ids, types[kind])
        if types[kind] == id_types.OTHER:
            objects[kind] = dict(zip(stored[kind].tolist(), ids, strict=True))
    source = {
        "frame": library_of(frame),
        "id_types": types,
        "columns": [column for column in named if column],
        **dataclasses.asdict(rules),
    }
    log = log._replace(user_ids=stored["user"], item_ids=stored["item"])
    interactions, counts = to_interactions(log, name, rules, source)
    if not quiet:
        print(account(interactions, counts, rules, log.notes, cold_start_file=False))
    if test_exposed_share:
        interactions = hold_out_exposures(interactions, test_exposed_share, split_seed)
    if not objects:
        return interactions
    kept = {"user": interactions.user_ids, "item": interactions.item_ids}
    return dataclasses.replace(
        interactions,
        id_objects={
            kind: as_objects([of_text[text] for text in kept[kind].tolist()])
            for kind, of_text in objects.items()
        },
    )


def read_log(batch: Mapping[str, pa.Array], events: Events) -> Log:
    """Return the log in the columns of a frame.

    Raises:
        UserError: a value is invalid; the message names its row.
    """
    reader = Reader(events)
    try:
        reader.add(batch)
        return reader.finish()
    except BadValue as bad:
        advice = f"; {bad.advice}" if bad.advice else ""
        row = reader.row_read(bad.row)
        raise UserError(f"row {row} of {FRAME}, counted from 0: {bad.reason}{advice}.") from bad


def find_column(frame: nw.DataFrame[Any] | Mapping[str, Any], name: str) -> Column:
    """Return a column of an opened frame.

    Raises:
        UserError: there is no such column, or it has no rows, or arrays differ in length.
    """
    if isinstance(frame, Mapping):
        names = [str(each) for each in frame]
        lengths = {len(values) for values in frame.values()}
        if len(lengths) > 1:
            raise UserError(f"the arrays of {FRAME} have different lengths, {sorted(lengths)}.")
    else:
        names = list(frame.columns)
    if name not in names:
        raise UserError(f"{FRAME} has no column '{name}'; {describe_columns(names)}.")
    values = frame[name]
    if not len(values):
        raise UserError(f"{FRAME} has no rows.")
    return Column(name, values)


def arrow_of(column: Column) -> pa.Array:
    """Return a column of labels, times or parts as an Arrow array of text, numbers or times.

    Raises:
        UserError: it has another type.
    """
    values = column.arrow()
    if values is None:
        raise UserError(
            f"{FRAME}: column '{column.name}' mixes types: choose text, numbers or times."
        )
    return simplify(FRAME, column.name, values)


def factorize(column: Column) -> tuple[list[Hashable], pa.Array]:
    """Return the distinct ids of a column and the number of each row's id.

    Returns:
        The ids, sorted if they can be compared, and an Arrow array of int64 [n], null where the id
        is missing.

    Raises:
        UserError: an id cannot be hashed.
    """
    values = column.arrow()
    if values is not None and (
        pa.types.is_integer(values.type) or pa.types.is_large_string(values.type)
    ):
        codes = values.dictionary_encode()
        ids, numbers = codes.dictionary.to_pylist(), codes.indices.cast(pa.int64())
    else:
        listed, missing = column.to_list()
        found: dict[Hashable, int] = {}
        try:
            rows = [
                None if absent else found.setdefault(value, len(found))
                for value, absent in zip(listed, missing, strict=True)
            ]
        except TypeError as error:
            raise UserError(
                f"{FRAME}: column '{column.name}' has ids that cannot be hashed ({error}): choose "
                "text, numbers or another hashable type."
            ) from error
        ids, numbers = list(found), pa.array(rows, pa.int64())
    try:
        order = sorted(range(len(ids)), key=ids.__getitem__)
    except TypeError:
        order = sorted(range(len(ids)), key=lambda each: str(ids[each]))
    place = np.empty(len(ids), dtype=np.int64)
    place[order] = np.arange(len(ids))
    return [ids[each] for each in order], pc.take(pa.array(place), numbers)


def as_objects(values: Sequence[Any]) -> NDArray[Any]:
    """Return an array of Python objects, [n], even of tuples."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def plain(value: Any) -> Any:
    """Return a scalar of NumPy, PyArrow or pandas as the Python object that equals it."""
    for convert in ("item", "as_py", "to_pydatetime"):
        if hasattr(value, convert) and isinstance(value, (np.generic, pa.Scalar, datetime)):
            return getattr(value, convert)()
    return value


def is_missing(value: Any) -> bool:
    """Return whether a value is None or NaN, which differs from itself."""
    return value is None or (isinstance(value, float) and value != value)
