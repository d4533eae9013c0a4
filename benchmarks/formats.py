"""Reading a log in every format, relative to Arrow's bare CSV reader.

Run: .venv/bin/python -m benchmarks.formats [--shape=zhihu] [--edges=1000000]

The log has one row per edge of the graph, with a user, an item, a label and a time. Each function
reads the file, checks the values and numbers the ids, but does not split the log. `Arrow, CSV` only
parses the same columns.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape
from recns_tf.datasets.formats.events import Events
from recns_tf.datasets.formats.logs import read_events
from recns_tf.datasets.formats.sources import CODECS, find_sources
from recns_tf.datasets.formats.text import Layout

NUM_PARTS = 8
EVENTS = Events("user", "item", label="label", timestamp="time")
DATES = EVENTS._replace(timestamp="date", time_format="%d.%m.%Y %H:%M:%S")


def make_log(shape: Shape) -> pa.Table:
    """Return a random log with a row per edge."""
    rng = np.random.default_rng(0)
    times = 1_600_000_000 + rng.integers(0, 10_000_000, shape.edges)
    dates = pa.array(times).cast(pa.timestamp("s"))
    return pa.table(
        {
            "user": rng.integers(0, shape.users, shape.edges),
            "item": rng.zipf(1.3, shape.edges) % shape.items,
            "label": rng.integers(0, 2, shape.edges),
            "time": times,
            "date": pa.compute.strftime(dates, "%d.%m.%Y %H:%M:%S"),
        }
    )


def write(log: pa.Table, folder: Path) -> dict[str, tuple[str, Events]]:
    """Write a log in every format; return what --input and Events read each, by name."""
    table = folder / "log.csv"
    pa.csv.write_csv(log, table)
    content = table.read_bytes()
    formats = {"CSV": (table, EVENTS), "CSV, dates with --time_format": (table, DATES)}
    for ending, codec in CODECS.items():
        packed = folder / f"log.csv{ending}"
        with pa.output_stream(str(packed), compression=codec) as file:
            file.write(content)
        formats[f"CSV, {ending}"] = (packed, EVENTS)
    with zipfile.ZipFile(folder / "log.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(table, "log.csv")
    formats["CSV, .zip"] = (folder / "log.zip", EVENTS)
    (folder / "latin.csv").write_bytes(content)
    formats["CSV, --encoding=latin-1"] = (
        folder / "latin.csv",
        EVENTS._replace(layout=Layout(encoding="latin-1")),
    )
    (folder / "log.dat").write_bytes(content.replace(b",", b"::").replace(b'"', b""))
    formats["text, --separator=::"] = (
        folder / "log.dat",
        EVENTS._replace(layout=Layout(separator="::")),
    )
    with (folder / "log.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in log.to_pylist())
    formats["JSON lines"] = (folder / "log.jsonl", EVENTS)
    pa.parquet.write_table(log, folder / "log.parquet")
    formats["Parquet"] = (folder / "log.parquet", EVENTS)
    (folder / "parts").mkdir()
    size = -(-len(log) // NUM_PARTS)
    for part in range(NUM_PARTS):
        pa.parquet.write_table(
            log.slice(part * size, size), folder / "parts" / f"part-{part}.parquet"
        )
    formats["Parquet, a folder of parts"] = (folder / "parts", EVENTS)
    return {name: (str(path), events) for name, (path, events) in formats.items()}


def bare_arrow(path: Path) -> None:
    """Parse the columns with Arrow, without checks."""
    columns = [EVENTS.user, EVENTS.item, EVENTS.label, EVENTS.timestamp]
    options = pa.csv.ConvertOptions(include_columns=columns)
    for _ in pa.csv.open_csv(path, convert_options=options):
        pass


def measure(shape: Shape, rounds: int) -> measuring.Report:
    """Measure every format, relative to Arrow's bare CSV reader."""
    with tempfile.TemporaryDirectory() as name:
        formats = write(make_log(shape), Path(name))
        functions: dict[str, Callable[[], Any]] = {
            "Arrow, CSV": partial(bare_arrow, Path(name) / "log.csv"),
            **{
                each: partial(read_events, find_sources(inputs), events)
                for each, (inputs, events) in formats.items()
            },
        }
        timings = alternating.time_all(functions, rounds)
    return measuring.report(
        "formats", f"reading {shape.edges:,} rows", shape, timings, "Arrow, CSV"
    )


if __name__ == "__main__":
    measuring.run(measure)
