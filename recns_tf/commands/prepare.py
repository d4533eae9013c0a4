"""Make a dataset from your own log.

The log is one table, or several with the same columns, in CSV, TSV, RecBole's .inter, JSON lines or
Parquet, also compressed (.gz, .bz2, .zst, .zip). NAME is then a dataset like the built-in ones.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recns_tf import registry
from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import NOT_EMPTY, Checked, Rule, at_least, one_of, option
from recns_tf.datasets import prepared
from recns_tf.datasets.cold_start import cold_start, sentences
from recns_tf.datasets.formats.events import Events, read_events
from recns_tf.datasets.formats.json_lines import is_json
from recns_tf.datasets.formats.labels import LEGAL, is_label_filter
from recns_tf.datasets.formats.outcomes import ANY_POSITIVE, NONE, REST
from recns_tf.datasets.formats.parquet import is_parquet
from recns_tf.datasets.formats.sources import find_sources
from recns_tf.datasets.formats.text import AUTO, QUOTINGS, UTF8, Layout, is_text_encoding
from recns_tf.datasets.preprocessing.log import RowCounts
from recns_tf.datasets.preprocessing.rules import CONFLICTS, SPLITS, Rules
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.files import sha256
from recns_tf.utils.program import program

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
A_LABEL_FILTER = Rule(LEGAL, is_label_filter)
A_SHARE = Rule("a share from 0 to less than 1", lambda value: 0 <= value < 1)


CODED = re.compile(r"\\t|\\x([0-9a-fA-F]{2})")
"""A character of a separator that is hard to type: \\t for a tab, \\x01 for one by its number."""


def separator(text: str) -> str:
    """Return a separator with the coded characters replaced."""
    return CODED.sub(lambda code: chr(int(code[1], 16)) if code[1] else "\t", text)


def is_separator(text: str) -> bool:
    """Return whether `text` is a valid separator of fields, or empty."""
    return text.isascii() and not set('"\n\r\0') & set(separator(text))


def is_escape(text: str) -> bool:
    """Return whether `text` is a valid escape character, or empty."""
    return len(text) < 2 and is_separator(text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparation(Checked):
    """The settings with which a log is read and split."""

    name: str = option("", "name of the new dataset")
    input: str = option(
        "",
        "table to read, or several with the same columns: a.csv,b.csv; a folder, a glob such as "
        "'part-*.csv', or a file in an archive, logs.zip/clicks.csv",
    )
    user: str = option("user_id", "column of user ids")
    item: str = option("item_id", "column of item ids")
    label: str = option("", "column of the labels; if empty, all rows are positives")
    timestamp: str = option("", "column of times: numbers (larger is later) or ISO dates")
    time_format: str = option(
        "", "format of other dates, as in Python's strptime: '%d.%m.%Y %H:%M:%S'"
    )
    positive: str = option(
        ANY_POSITIVE, "labels of positives, such as '>=4' or '==cart|purchase'", A_LABEL_FILTER
    )
    exposed: str = option(
        REST,
        f"labels of items shown but not chosen; {REST}: all that are not positive; {NONE}",
        Rule(f"{REST}, {NONE}, or {LEGAL}", lambda x: x in (REST, NONE) or is_label_filter(x)),
    )
    separator: str = option(
        "",
        "characters between fields, such as ';' or '::'; if empty, a comma in .csv and a tab in "
        ".tsv, .inter and .txt",
        Rule(r"ASCII characters except a quote; \t is a tab, \x01 the character 1", is_separator),
    )
    quoting: str = option(
        AUTO,
        'double: fields may be enclosed in " and contain it doubled; none: a quote is an ordinary '
        "character; auto: none after a tab or a separator of several characters, else double",
        one_of(*QUOTINGS),
    )
    escape: str = option(
        "",
        "character that makes the next one ordinary: a backslash in files of Spark, MySQL and Hive",
        Rule("one ASCII character except a quote", is_escape),
    )
    encoding: str = option(
        UTF8,
        "encoding of text files, such as latin-1, cp1252, utf-16 or gbk",
        Rule("a text encoding that Python knows, such as latin-1", is_text_encoding),
    )
    columns: str = option("", "column names, a,b,c, of a file without a header line")
    ids: str = option(
        "auto",
        "auto: refuse ids that look like damaged numbers (-1, 2.0, 1e5); text: accept any text",
        one_of("auto", "text"),
    )
    missing: str = option(
        "refuse",
        "refuse: stop at a row without an id, a label or a time; drop: leave such rows out",
        one_of("refuse", "drop"),
    )
    user_core: int = option(1, "minimum number of positives per user (k-core)", at_least(0))
    item_core: int = option(0, "minimum number of positives per item (k-core)", at_least(0))
    split: str = option(
        "random",
        "how to split the positives; random; temporal: each user's last ones are held out; "
        "leave-one-out: each user's last one is tested, the one before validates; global-temporal: "
        "those after a time, the same for all users, are held out; given: by --split_column",
        one_of(*SPLITS),
    )
    split_column: str = option("", "column with train, valid or test, for --split=given")
    valid: float = option(
        0.1,
        "share of each user's positives (global-temporal: of all positives) for validation",
        A_SHARE,
    )
    test: float = option(
        0.1,
        "share of each user's positives (global-temporal: of all positives) for testing",
        A_SHARE,
    )
    conflicts: str = option(
        "train",
        "remove exposed pairs that are train positives (train) or any positives (any); with any, "
        "no exposed item is a held-out positive, which leaks labels",
        one_of(*CONFLICTS),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputLocation(Checked):
    """The folder of the datasets."""

    data_dir: str = option("data", "folder of the datasets", NOT_EMPTY)
    overwrite: bool = option(False, "replace an existing dataset with this name")


def main(call: Call) -> None:
    """Run the command."""
    name = call.words[0]
    settings, place = call.settings(Preparation, name=name), call.settings(OutputLocation)
    experiments = {*registry.EXPERIMENTS, registry.ALL_EXPERIMENTS}
    reserved = {*registry.DATASETS, *registry.ENCODERS, *registry.COMMANDS, "help"} | experiments
    if not NAME.fullmatch(name):
        raise UserError(
            f"a dataset cannot be called '{name}': choose letters from a to z, digits, '.', '_' "
            "and '-'."
        )
    if name in reserved:
        raise UserError(f"a dataset cannot be called '{name}': that name is reserved.")
    directory = Path(place.data_dir) / name
    if prepared.is_prepared(directory) and not place.overwrite:
        raise UserError(f"{directory} already exists: choose another name, or use --overwrite.")
    if directory.exists() and not prepared.is_prepared(directory) and any(directory.iterdir()):
        raise UserError(
            f"{directory} is not a prepared dataset: choose another name, or remove the folder."
        )
    started = time.perf_counter()
    interactions, counts, notes = make(settings, directory)
    print(report(interactions, counts, settings, notes))
    print(f"\n{directory}/: ready in {time.perf_counter() - started:.1f} s. Train on it with")
    print(f"  {program()} {name} lightgcn")


def make(settings: Preparation, directory: Path) -> tuple[Interactions, RowCounts, tuple[str, ...]]:
    """Read a log and store it as a dataset.

    Args:
        settings: how to read and split the log.
        directory: data/NAME, which is replaced atomically.

    Returns:
        The dataset, what happened to the rows of the log, and notes on what looks wrong in it.

    Raises:
        UserError: the settings or the log are invalid; nothing is written.
    """
    if not settings.input:
        raise UserError("--input is required: the file of the log.")
    if settings.user == settings.item:
        raise UserError(f"--user={settings.user} and --item={settings.item} are the same column.")
    if not settings.label and (settings.positive != ANY_POSITIVE or settings.exposed != REST):
        raise UserError("--positive and --exposed require --label, the column that they filter.")
    if settings.split in ("temporal", "global-temporal") and not settings.timestamp:
        raise UserError(f"--split={settings.split} requires --timestamp, the column of the times.")
    if (settings.split == "given") != bool(settings.split_column):
        raise UserError("--split=given and --split_column=NAME require each other.")
    shares = (settings.valid, settings.test)
    if settings.split == "leave-one-out" and shares != (Preparation.valid, Preparation.test):
        raise UserError(
            f"--valid={settings.valid} and --test={settings.test} do not apply to "
            "--split=leave-one-out, which holds out one positive for each: leave them out."
        )
    if sum(shares) >= 1:
        raise UserError(
            f"--valid={settings.valid} and --test={settings.test} leave nothing to train on: "
            "choose shares with a sum below 1."
        )
    if settings.time_format and not settings.timestamp:
        raise UserError("--time_format requires --timestamp, the column of the times.")
    sources = find_sources(settings.input)
    columns = tuple(settings.columns.split(",")) if settings.columns else ()
    for source in sources:
        if columns and (is_parquet(source) or is_json(source)):
            raise UserError(f"--columns={settings.columns}: {source} already names its columns.")
    events = Events(
        user=settings.user,
        item=settings.item,
        label=settings.label,
        timestamp=settings.timestamp,
        part=settings.split_column,
        positive=settings.positive,
        exposed=settings.exposed,
        any_text=settings.ids == "text",
        time_format=settings.time_format,
        drop_missing=settings.missing == "drop",
        advise=True,
        layout=Layout(
            separator=separator(settings.separator),
            names=columns,
            quoting=settings.quoting,
            escape=settings.escape,
            encoding=settings.encoding,
        ),
    )
    rules = Rules(
        **{
            name: getattr(settings, name)
            for name in ("split", "valid", "test", "user_core", "item_core", "conflicts")
        }
    )
    log = read_events(sources, events)
    rows = len(log.users) + log.ignored + log.missing
    print(f"{rows:,} rows read; sorting and splitting them …", flush=True)
    about: dict[str, Any] = {
        "settings": dataclasses.asdict(settings),
        "inputs": [
            {"path": str(path), "sha256": sha256(path)}
            for path in dict.fromkeys(source.path for source in sources)
        ],
        "notes": list(log.notes),
    }
    return *prepared.prepare(directory, log, rules, about), log.notes


def report(
    interactions: Interactions,
    counts: RowCounts,
    settings: Preparation,
    notes: Sequence[str] = (),
) -> str:
    """Return what happened to the rows of the log, in lines whose numbers add up."""
    core = f"--user_core={settings.user_core}, --item_core={settings.item_core}"
    descriptions = {
        "missing": "rows without an id, a label or a time (--missing=drop)",
        "ignored": "rows that are neither positive nor exposed",
        "repeated_positives": "rows that repeat a positive pair",
        "repeated_exposures": "rows that repeat an exposed pair",
        "below_core": f"pairs of users or items with too few positives ({core})",
        "conflicts": "exposed pairs that are also positives: positives take precedence "
        f"(--conflicts={settings.conflicts})",
        "late_exposures": f"exposed pairs of held-out times or parts (--split={settings.split})",
        "train": "positives to train on",
        "valid": "positives for validation",
        "test": "positives for testing",
        "exposed": "exposed pairs",
    }
    by_name = counts._asdict()
    lines = [f"read  {counts.rows:>13,} rows"]
    for name, text in descriptions.items():
        kept = name in ("train", "valid", "test", "exposed")
        if kept or by_name[name]:
            lines.append(f"{'kept' if kept else 'less':6}{by_name[name]:>13,} {text}")
    held_out = interactions.exposed.multiply(interactions.held_out).nnz
    if held_out:
        lines.append(
            f"note  {held_out:>13,} of the exposed pairs are held-out positives; they are kept, "
            "because removing them would leak labels"
        )
    found = cold_start(interactions)
    cold_users, cold_items = sentences(found)
    if any(part.users for part in found.values()):
        lines.append(f"note  {cold_users}")
    if any(part.items for part in found.values()):
        lines.append(f"note  {cold_items}")
    if settings.split == "leave-one-out" and not settings.timestamp:
        lines.append("note  without --timestamp, the held-out positives are drawn at random")
    if not counts.exposed:
        lines.append(
            "note  no pair is exposed: samplers that use exposures draw from the region instead"
        )
    if not counts.valid + counts.test:
        lines.append("note  no positive is held out: validation and testing are not possible")
    lines += [f"note  {note}" for note in notes]
    lines.append(f"\n{interactions.summary()}")
    return "\n".join(lines)


COMMAND = Command(
    about=__doc__ or "",
    words="NAME",
    example="shop --input=clicks.csv --label=clicked",
    settings=(Preparation, OutputLocation),
    run=main,
    interrupted="nothing was written",
)
