"""Read columns of Parquet files in batches, converted to simple Arrow types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from recns_tf.datasets.formats.reading import UNREADABLE, describe_columns, progress
from recns_tf.datasets.formats.sources import Source, opened
from recns_tf.errors import UserError
from recns_tf.utils.text import one_line

BATCH_ROWS = 1 << 20
NUMBERS_AND_TIMES = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_timestamp,
    pa.types.is_date,
)
TEXTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
)


def is_parquet(source: Source) -> bool:
    """Return whether the file name has the extension of a Parquet file."""
    return source.extension in (".parquet", ".pq") and not source.codec


def read_parquet(source: Source, columns: Sequence[str]) -> Iterator[list[pa.Array]]:
    """Yield the batches of a Parquet file; see tables.read_batches."""
    try:
        with (
            opened(source, in_order=False) as opened_file,
            pa.parquet.ParquetFile(opened_file.stream) as file,
        ):
            names = file.schema_arrow.names
            for column in columns:
                if column not in names:
                    raise UserError(f"{source}: no column '{column}'; {describe_columns(names)}.")
                if names.count(column) > 1:
                    many = f"{names.count(column)} columns are named '{column}'"
                    raise UserError(f"{source}: {many}.")
            with progress(source, file.metadata.num_rows) as bar:
                for batch in file.iter_batches(BATCH_ROWS, columns=list(dict.fromkeys(columns))):
                    bar.update(batch.num_rows)
                    yield [simplify(source, column, batch.column(column)) for column in columns]
    except (pa.ArrowException, *UNREADABLE) as error:
        raise UserError(f"{source} is not a valid Parquet file ({one_line(error)}).") from error


def column_names(source: Source) -> list[str]:
    """Return the names of the columns of a Parquet file.

    Raises:
        UserError: the file is damaged.
    """
    try:
        with opened(source, in_order=False) as file:
            return list(pa.parquet.read_schema(file.stream).names)
    except (pa.ArrowException, *UNREADABLE) as error:
        raise UserError(f"{source} is not a valid Parquet file ({one_line(error)}).") from error


def simplify(source: Source | str, column: str, values: pa.Array) -> pa.Array:
    """Convert a column of a table to a simple Arrow type: text, numbers or times.

    Raises:
        UserError: the column has another type.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if any(matches(kind) for matches in NUMBERS_AND_TIMES):
        return values
    if any(matches(kind) for matches in TEXTS):
        try:
            return pc.utf8_trim_whitespace(pc.cast(values, pa.string()))
        except pa.ArrowInvalid as error:
            raise UserError(
                f"{source}: column '{column}' contains text that is not UTF-8."
            ) from error
    raise UserError(
        f"{source}: column '{column}' has type {kind}, which is not text, numbers or times."
    )
