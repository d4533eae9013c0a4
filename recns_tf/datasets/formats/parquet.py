"""Read columns of Parquet files in batches, converted to simple Arrow types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from recns_tf.datasets.formats.reading import describe_columns, one_line, progress
from recns_tf.errors import UserError

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


def is_parquet(path: Path) -> bool:
    """Return whether the file name has the extension of a Parquet file."""
    return path.suffix.lower() in (".parquet", ".pq")


def read_parquet(path: Path, columns: Sequence[str]) -> Iterator[list[pa.Array]]:
    """Yield the batches of a Parquet file; see tables.read_batches."""
    try:
        with pa.parquet.ParquetFile(path) as file, progress(path, file.metadata.num_rows) as bar:
            names = file.schema_arrow.names
            for column in columns:
                if column not in names:
                    raise UserError(f"{path}: no column '{column}'; {describe_columns(names)}.")
                if names.count(column) > 1:
                    many = f"{names.count(column)} columns are named '{column}'"
                    raise UserError(f"{path}: {many}.")
            for batch in file.iter_batches(BATCH_ROWS, columns=list(dict.fromkeys(columns))):
                bar.update(batch.num_rows)
                yield [simplify(path, column, batch.column(column)) for column in columns]
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a valid Parquet file ({one_line(error)}).") from error


def simplify(path: Path, column: str, values: pa.Array) -> pa.Array:
    """Convert a column of a Parquet file to a simple Arrow type: text, numbers or times.

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
                f"{path}: column '{column}' contains text that is not UTF-8."
            ) from error
    raise UserError(
        f"{path}: column '{column}' has type {kind}, which is not text, numbers or times."
    )
