"""Writes logs whose rows are known by construction, in many formats, with plain Python code."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import random
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet

TEXT_IDS = (
    "ann",
    "b o b",
    "café",
    "naïve|x",
    'say "hi"',
    "a,b",
    "x;y",
    "#1",
    "007",
    "Ünal",
    "=1+1",
)
NOISE = ("", "plain", "TV 42 inch", "a,b;c", "tab-less", "naïve", "1", "0.5")
QUOTED_NOISE = ('5" screen', 'say ""hi""', "two\nlines", "win\r\nend", '"', ",", "a;b|c::d")
BASE = datetime(2023, 1, 5, 10, 12, 29, tzinfo=UTC)


class Row(NamedTuple):
    user: int | str
    item: int | str
    positive: bool
    time: int


class GeneratedLog(NamedTuple):
    """A log on disk, the flags that read it, and the rows that a reader must return."""

    flags: dict
    rows: list
    missing: int
    description: str


def generate(seed, folder):
    """Write a log into `folder`."""
    rng = random.Random(seed)
    kind = rng.choice(["csv", "csv", "csv", "tsv", "escaped", "long", "jsonl", "parquet"])
    encoding = rng.choice(["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
    if kind in ("parquet", "jsonl"):
        encoding = "utf-8"
    rows = [Row(*make_pair(rng, seed), rng.random() < 0.6, n) for n in range(rng.randint(8, 60))]
    rng.shuffle(rows)
    rows[0] = rows[0]._replace(positive=True)
    label, positive_flag = rng.choice(list(LABELS.items()))
    time = rng.choice(list(TIMES))
    write_time, time_format, seconds = TIMES[time]
    flags = {"label": "label", "positive": positive_flag[0], "timestamp": "when"}
    if time_format:
        flags["time_format"] = time_format
    records, missing, kept = [], 0, []
    drop = rng.random() < 0.4
    for row in rows:
        record = {
            "note": rng.choice(NOISE),
            "user_id": row.user,
            "when": write_time(row.time),
            "label": positive_flag[1](row.positive, rng),
            "item_id": row.item,
            "title": rng.choice(
                NOISE + (QUOTED_NOISE if kind in ("csv", "jsonl", "parquet") else ())
            ),
        }
        if drop and rng.random() < 0.15 and row is not rows[0]:
            record[rng.choice(["user_id", "item_id", "when", "label"])] = None
            missing += 1
        else:
            kept.append(row._replace(time=seconds(row.time)))
        records.append(record)
    if missing:
        flags["missing"] = "drop"
    parts = rng.choice([1, 1, 1, 3])
    names = write(rng, folder, kind, encoding, records, parts, flags)
    description = f"seed {seed}: {kind}, {encoding}, {label}, {time}, {names}, {flags}"
    return GeneratedLog(flags, kept, missing, description)


def make_pair(rng, seed):
    """Return a user and an item; ids are numbers or text, alike in all rows of a log."""
    user = rng.randint(1, 9)
    item = rng.randint(100, 120)
    return (
        (user if seed % 3 else TEXT_IDS[user]),
        (item if seed % 2 else TEXT_IDS[item % len(TEXT_IDS)]),
    )


LABELS = {
    "0/1": (">0", lambda positive, rng: int(positive)),
    "words": ("==cart|buy", lambda p, rng: rng.choice(["cart", "buy"] if p else ["view", "skip"])),
    "not": ("!=skip", lambda positive, rng: "buy" if positive else "skip"),
    "stars": (">=4", lambda p, rng: rng.choice([4, 4.5, 5] if p else [1, 2.5, 3])),
    "truth": (">0", lambda positive, rng: ["false", "true"][positive]),
}
"""The flag for positives, and a function that returns the label of a row."""


def at(seconds):
    return BASE + timedelta(seconds=seconds)


TIMES = {
    "seconds": (lambda t: int(at(t).timestamp()), "", lambda t: at(t).timestamp()),
    "milliseconds": (
        lambda t: int(at(t).timestamp() * 1000), "", lambda t: at(t).timestamp() * 1000,
    ),
    "iso": (lambda t: f"{at(t):%Y-%m-%dT%H:%M:%S}", "", lambda t: at(t).timestamp()),
    "offset": (
        lambda t: at(t).astimezone(timezone(timedelta(hours=8))).isoformat(),
        "", lambda t: at(t).timestamp(),
    ),
    "utc": (lambda t: f"{at(t):%Y-%m-%d %H:%M:%S} UTC", "", lambda t: at(t).timestamp()),
    "german": (
        lambda t: f"{at(t):%d.%m.%Y %H:%M:%S}", "%d.%m.%Y %H:%M:%S", lambda t: at(t).timestamp(),
    ),
}  # fmt: skip
"""How a time is written, the flag for its format, and the number it stands for."""


def write(rng, folder, kind, encoding, records, parts, flags):
    """Write the records into one or more files, set the flags that read them, and name them."""
    size = -(-len(records) // parts)
    chunks = [records[start : start + size] for start in range(0, len(records), size)]
    style = {
        "separator": {"tsv": "\t", "long": "::"}.get(kind) or rng.choice([",", ",", ";", "|"]),
        "end": rng.choice(["\n", "\r\n"]),
        "header": rng.random() < 0.7,
        "all_quoted": rng.random() < 0.3,
    }
    if kind == "parquet":
        contents, ending = [to_parquet(chunk) for chunk in chunks], ".parquet"
    elif kind == "jsonl":
        contents, ending = [to_json_lines(chunk, style) for chunk in chunks], ".jsonl"
    else:
        texts = [to_text(kind, chunk, style) for chunk in chunks]
        contents = [text.encode(encoding) for text in texts]
        ending = ".tsv" if kind == "tsv" else ".csv"
        flags["encoding"] = "utf-8" if encoding == "utf-8-sig" else encoding
        if style["separator"] not in ",\t":
            flags["separator"] = style["separator"]
        if kind == "escaped":
            flags["escape"] = "\\"
        if not style["header"]:
            flags["columns"] = ",".join(records[0])
    packing = rng.choice(["", "", ".gz", ".bz2", ".zst", ".zip"])
    if kind == "parquet" and packing != ".zip":
        packing = ""
    names = [f"part-{number}{ending}" for number in range(len(contents))]
    for name, content in zip(names, contents, strict=True):
        pack(folder / name, content, packing)
    suffix = ".zip" if packing == ".zip" else ending + packing
    if parts == 1:
        flags["input"] = str(folder / f"part-0{suffix}")
    elif rng.random() < 0.5:
        (folder / "_SUCCESS").write_text("")
        flags["input"] = str(folder)
    else:
        flags["input"] = str(folder / f"part-*{suffix}")
    return f"{parts} files {suffix}"


def pack(path, content, packing):
    """Write a file, compressed by other code than that which reads it."""
    if packing == ".zip":
        with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(path.name, content)
        return
    compress = {
        "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress,
        ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
    }[packing]  # fmt: skip
    path.with_name(path.name + packing).write_bytes(compress(content))


def to_text(kind, records, style):
    """Return records as delimited text."""
    text = io.StringIO()
    rows = [["" if value is None else value for value in record.values()] for record in records]
    if style["header"]:
        rows.insert(0, list(records[0]))
    if kind in ("csv", "escaped"):
        is_escaped = kind == "escaped"
        writer = csv.writer(
            text,
            delimiter=style["separator"],
            lineterminator=style["end"],
            quoting=csv.QUOTE_ALL if style["all_quoted"] or is_escaped else csv.QUOTE_MINIMAL,
            doublequote=not is_escaped,
            escapechar="\\" if is_escaped else None,
        )
        writer.writerows(rows)
        return text.getvalue()
    return "".join(style["separator"].join(map(str, row)) + style["end"] for row in rows)


def to_json_lines(records, style):
    """Return records as JSON lines, with a blank line now and then."""
    lines = [
        json.dumps({name: value for name, value in record.items() if value is not None})
        for record in records
    ]
    lines.insert(1, "")
    return (style["end"].join(lines) + style["end"]).encode()


def to_parquet(records):
    """Return records as a Parquet file, whose columns of mixed numbers are floats."""
    columns = {}
    for name in records[0]:
        values = [record[name] for record in records]
        if any(isinstance(value, float) for value in values):
            values = [None if value is None else float(value) for value in values]
        columns[name] = pa.array(values)
    file = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), file)
    return file.getvalue()
