"""Write lists of items part by part, in Parquet, CSV or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from recns_tf.datasets.formats.sources import Source
from recns_tf.errors import UserError
from recns_tf.serving.lists import Columns

ENDINGS = (".parquet", ".csv", ".jsonl", ".csv.gz", ".jsonl.gz")
LEGAL = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"

Write = Callable[[pa.Table], None]


def require_ending(path: str) -> Path:
    """Return the path of an output file.

    Raises:
        UserError: its name does not end in one of ENDINGS.
    """
    if not path:
        raise UserError(f"--output is needed: a file that ends in {LEGAL}.")
    if not path.lower().endswith(ENDINGS):
        raise UserError(f"--output={path}: choose a name that ends in {LEGAL}.")
    return Path(path)


@contextmanager
def list_writer(path: Path) -> Iterator[Callable[[Columns], None]]:
    """Yield a function that appends rows to a file, whose name selects the format.

    Integers are int64 in Parquet and numbers in JSON. Scores are float32 in Parquet; elsewhere
    they have the digits that float32 needs.

    Args:
        path: the file, which is created.
    """
    source = Source(path)
    with pa.output_stream(str(path), compression=source.codec) as stream:
        if source.extension == ".jsonl":
            yield lambda columns: write_json_lines(pa.table(columns), stream)
            return
        make = pa.parquet.ParquetWriter if source.extension == ".parquet" else csv_writer
        writer = None
        try:

            def write(columns: Columns) -> None:
                nonlocal writer
                table = pa.table(columns)
                writer = writer or make(stream, table.schema)
                writer.write_table(table)

            yield write
        finally:
            if writer is not None:
                writer.close()


def csv_writer(stream: pa.NativeFile, schema: pa.Schema) -> pa.csv.CSVWriter:
    """Return a writer of CSV that quotes what needs quotes, after a plain header."""
    stream.write((",".join(schema.names) + "\n").encode())
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
    return pa.csv.CSVWriter(stream, schema, write_options=options)


def write_json_lines(table: pa.Table, stream: pa.NativeFile) -> None:
    """Write one JSON object per row."""
    pieces: list[pa.ChunkedArray | pa.Scalar] = []
    for place, name in enumerate(table.column_names):
        pieces += [pa.scalar(f'{", " if place else "{"}"{name}": '), json_values(table[name])]
    lines = pc.binary_join_element_wise(*pieces, "}\n", "")
    for chunk in filter(len, lines.chunks):
        # One text of a list is the same as the lines one after another.
        whole = pc.binary_join(pa.ListArray.from_arrays([0, len(chunk)], chunk), "")
        stream.write(whole.buffers()[2])


def json_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of numbers or text as JSON values."""
    if not pa.types.is_string(column.type):
        return pc.cast(column, pa.string())
    encoded = column.combine_chunks().dictionary_encode()
    texts = [json.dumps(text, ensure_ascii=False) for text in encoded.dictionary.to_pylist()]
    return pa.chunked_array([pc.take(pa.array(texts, pa.string()), encoded.indices)])
