"""The settings with which a log is read and split into a dataset."""

from __future__ import annotations

import dataclasses
import re

from recns_tf.config.flags import A_NUMBER, A_RATE, Checked, Rule, one_of, option
from recns_tf.datasets.formats.events import Events
from recns_tf.datasets.formats.labels import LEGAL, is_label_filter
from recns_tf.datasets.formats.outcomes import ANY_POSITIVE, NONE, REST
from recns_tf.datasets.formats.text import AUTO, QUOTINGS, UTF8, Layout, is_text_encoding
from recns_tf.datasets.formats.timestamps import is_time_format
from recns_tf.datasets.preprocessing.rules import CONFLICTS, SPLITS, Rules
from recns_tf.errors import UserError
from recns_tf.utils.text import LONGEST_LIST

A_LABEL_FILTER = Rule(LEGAL, is_label_filter)


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
class TableLayout(Checked):
    """The layout of text tables."""

    separator: str = option(
        "",
        "characters between fields, such as ';' or '::'; if empty, a comma in .csv and a tab in "
        ".tsv, .inter and .txt",
        Rule(r"ASCII characters except a quote; \t is a tab, \x01 the character 1", is_separator),
        control_characters=True,
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
        control_characters=True,
    )
    encoding: str = option(
        UTF8,
        "encoding of text files, such as latin-1, cp1252, utf-16 or gbk",
        Rule("a text encoding that Python knows, such as latin-1", is_text_encoding),
    )
    columns: str = option(
        "", "column names, a,b,c, of a file without a header line", longest=LONGEST_LIST
    )

    @property
    def layout(self) -> Layout:
        """The layout, for readers of tables."""
        return Layout(
            separator=separator(self.separator),
            names=tuple(self.columns.split(",")) if self.columns else (),
            quoting=self.quoting,
            escape=self.escape,
            encoding=self.encoding,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparation(TableLayout):
    """The settings with which a log is read and split."""

    name: str = option("", "name of the new dataset")
    input: str = option(
        "",
        "table to read, or several with the same columns: a.csv,b.csv; a folder, a glob such as "
        "'part-*.csv', or a file in an archive, logs.zip/clicks.csv",
        longest=LONGEST_LIST,
    )
    train_input: str = option(
        "",
        "instead of --input, for a log that is already split: its train positives, as tables or as "
        "lines 'user item item …'",
        longest=LONGEST_LIST,
    )
    valid_input: str = option(
        "",
        "validation positives; if empty, a share --valid of each user's train positives",
        longest=LONGEST_LIST,
    )
    test_input: str = option("", "test positives", longest=LONGEST_LIST)
    user: str = option("user_id", "column of user ids")
    item: str = option("item_id", "column of item ids")
    label: str = option("", "column of the labels; if empty, all rows are positives")
    timestamp: str = option("", "column of times: numbers (larger is later) or ISO dates")
    time_format: str = option(
        "",
        "format of other dates, as in Python's strptime: '%d.%m.%Y %H:%M:%S'",
        Rule("a format of Python's datetime.strptime, such as '%d.%m.%Y %H:%M'", is_time_format),
    )
    positive: str = option(
        ANY_POSITIVE, "labels of positives, such as '>=4' or '==cart|purchase'", A_LABEL_FILTER
    )
    exposed: str = option(
        REST,
        f"labels of items shown but not chosen; {REST}: all that are not positive; {NONE}",
        Rule(f"{REST}, {NONE}, or {LEGAL}", lambda x: x in (REST, NONE) or is_label_filter(x)),
    )
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
    user_core: int = option(1, "minimum number of positives per user (k-core)", A_NUMBER)
    item_core: int = option(0, "minimum number of positives per item (k-core)", A_NUMBER)
    split: str = option(
        "auto",
        "how to split the positives; random; temporal: each user's last ones are held out; "
        "leave-one-out: each user's last one is tested, the one before validates; global-temporal: "
        "those after a time, the same for all users, are held out; given: by --split_column "
        "or the files of --train_input; auto: given if they are set, else random",
        one_of("auto", *SPLITS),
    )
    split_column: str = option("", "column with train, valid or test")
    valid: float = option(
        0.1,
        "share of each user's positives (global-temporal: of all positives) for validation",
        A_RATE,
    )
    test: float = option(
        0.1,
        "share of each user's positives (global-temporal: of all positives) for testing",
        A_RATE,
    )
    conflicts: str = option(
        "train",
        "remove exposed pairs that are train positives (train) or any positives (any); with any, "
        "no exposed item is a held-out positive, which leaks labels",
        one_of(*CONFLICTS),
    )


def require_consistent(settings: Preparation) -> None:
    """Raise UserError if settings contradict each other or would have no effect."""
    if bool(settings.input) == bool(settings.train_input):
        raise UserError(
            "--input is required: the file of the log; or, if the log is already split, "
            "--train_input, --valid_input and --test_input instead of it."
        )
    if settings.input and (settings.valid_input or settings.test_input):
        raise UserError("--valid_input and --test_input require --train_input instead of --input.")
    if settings.user == settings.item:
        raise UserError(f"--user={settings.user} and --item={settings.item} are the same column.")
    if not settings.label and (settings.positive != ANY_POSITIVE or settings.exposed != REST):
        raise UserError("--positive and --exposed require --label, the column that they filter.")
    if settings.time_format and not settings.timestamp:
        raise UserError("--time_format requires --timestamp, the column of the times.")
    split = split_of(settings)
    if split in ("temporal", "global-temporal") and not settings.timestamp:
        raise UserError(f"--split={split} requires --timestamp, the column of the times.")
    if settings.train_input and (split != "given" or settings.split_column):
        what = f"--split={split}" if split != "given" else "--split_column"
        raise UserError(
            f"{what} does not apply to --train_input, whose split is that of the files."
        )
    if not settings.train_input and (split == "given") != bool(settings.split_column):
        raise UserError("--split=given and --split_column=NAME require each other.")
    shares = (settings.valid, settings.test)
    if split == "leave-one-out" and shares != (Preparation.valid, Preparation.test):
        raise UserError(
            f"--valid={settings.valid} and --test={settings.test} do not apply to "
            "--split=leave-one-out, which holds out one positive for each: leave them out."
        )
    if sum(shares) >= 1:
        raise UserError(
            f"--valid={settings.valid} and --test={settings.test} leave nothing to train on: "
            "choose shares with a sum below 1."
        )


def split_of(settings: Preparation) -> str:
    """Return the split that --split=auto stands for, or the one that it names."""
    if settings.split != "auto":
        return settings.split
    return "given" if settings.train_input or settings.split_column else "random"


def rules_of(settings: Preparation, split_seed: int = 0) -> Rules:
    """Return how to filter and split the log."""
    return Rules(
        split=split_of(settings),
        split_seed=split_seed,
        valid=settings.valid,
        test=settings.test,
        user_core=settings.user_core,
        item_core=settings.item_core,
        conflicts=settings.conflicts,
    )


def events_of(settings: Preparation) -> Events:
    """Return how to read the log."""
    return Events(
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
        layout=settings.layout,
    )
