"""Make a dataset from your own log.

The log is one table, or several with the same columns (--input=a.csv,b.csv): CSV, TSV, RecBole's
.inter, gzip of these, or Parquet. Afterwards NAME is a dataset like any other.
"""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path
from typing import Any

from recns_tf import registry
from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import NOT_EMPTY, Checked, Rule, at_least, one_of, option
from recns_tf.datasets import prepared
from recns_tf.datasets.formats.events import ANY_POSITIVE, NONE, REST, Events, read_events
from recns_tf.datasets.formats.labels import LEGAL, is_label_filter
from recns_tf.datasets.formats.parquet import is_parquet
from recns_tf.datasets.formats.tables import Layout
from recns_tf.datasets.preprocessing.log import CONFLICTS, SPLITS, RowCounts, Rules
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.files import sha256
from recns_tf.utils.program import program

A_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
A_LABEL_FILTER = Rule(LEGAL, is_label_filter)
A_SHARE = Rule("a share from 0 to less than 1", lambda value: 0 <= value < 1)


def is_separator(text: str) -> bool:
    """Return whether `text` can stand between the fields of a table, or is empty."""
    return text == r"\t" or (len(text) < 2 and text.isascii() and text not in ('"', "\n", "\r"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparation(Checked):
    """How a log is read and split."""

    name: str = option("", "of the new dataset")
    input: str = option("", "the table, or several with the same columns: a.csv,b.csv")
    user: str = option("user_id", "column of the user's id")
    item: str = option("item_id", "column of the item's id")
    label: str = option("", "column that tells how the event ended; if empty, all are positives")
    timestamp: str = option("", "column of the time: a number, larger is later, or an ISO date")
    positive: str = option(ANY_POSITIVE, "labels of positives", A_LABEL_FILTER)
    exposed: str = option(
        REST,
        f"labels of items shown and not chosen: {REST} for all that are not positive",
        Rule(f"{REST}, {NONE}, or {LEGAL}", lambda x: x in (REST, NONE) or is_label_filter(x)),
    )
    separator: str = option(
        "",
        "character between fields; a comma in .csv, a tab in .tsv, .inter and .txt, if empty",
        Rule(r"one ASCII character but a quote, or \t for a tab", is_separator),
    )
    columns: str = option(
        "", "names of the columns of a file whose first line is no heading: a,b,c"
    )
    ids: str = option(
        "auto",
        "auto refuses ids that look like damaged numbers (-1, 2.0, 1e5); text takes any text",
        one_of("auto", "text"),
    )
    user_core: int = option(1, "positives that a user must keep (k-core)", at_least(0))
    item_core: int = option(0, "positives that an item must keep (k-core)", at_least(0))
    split: str = option(
        "random",
        "of each user's positives: random; temporal, the last ones are held out; given, as "
        "--split_column says",
        one_of(*SPLITS),
    )
    split_column: str = option("", "column of train, valid or test, for --split=given")
    valid: float = option(0.1, "share of each user's positives for validation", A_SHARE)
    test: float = option(0.1, "share of each user's positives for the test", A_SHARE)
    conflicts: str = option(
        "train",
        "which positives take a pair that was shown, too, out of the exposures; with any, the "
        "exposures tell which items are held out",
        one_of(*CONFLICTS),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputLocation(Checked):
    """Where datasets are kept."""

    data_dir: str = option("data", "folder of the datasets", NOT_EMPTY)
    overwrite: bool = option(False, "replace an earlier dataset of that name")


def main(call: Call) -> None:
    """Run the command."""
    name = call.words[0]
    settings, place = call.settings(Preparation, name=name), call.settings(OutputLocation)
    experiments = {*registry.EXPERIMENTS, registry.ALL_EXPERIMENTS}
    taken = {*registry.DATASETS, *registry.ENCODERS, *registry.COMMANDS, "help"} | experiments
    if not A_NAME.fullmatch(name):
        raise UserError(
            f"a dataset cannot be called '{name}': choose letters from a to z, digits, '.', '_' "
            "and '-'."
        )
    if name in taken:
        raise UserError(f"a dataset cannot be called '{name}': that name has a meaning already.")
    directory = Path(place.data_dir) / name
    if prepared.is_prepared(directory) and not place.overwrite:
        raise UserError(f"{directory} exists already: choose another name, or --overwrite.")
    if directory.exists() and not prepared.is_prepared(directory) and any(directory.iterdir()):
        raise UserError(
            f"{directory} holds no prepared dataset: choose another name, or remove it yourself."
        )
    if call.flags["input"].present > 1:
        raise UserError("--input is given more than once: write --input=a.csv,b.csv.")
    started = time.perf_counter()
    interactions, account = make(settings, directory)
    print(report(interactions, account, settings))
    print(f"\n{directory}/: ready in {time.perf_counter() - started:.1f} s. Train on it with")
    print(f"  {program()} {name} lightgcn")


def make(settings: Preparation, directory: Path) -> tuple[Interactions, RowCounts]:
    """Read a log and keep it in `directory`.

    Raises:
        UserError: the flags or the log cannot be used; nothing is written then.
    """
    if not settings.input:
        raise UserError("--input is needed: the file of the log.")
    if settings.user == settings.item:
        raise UserError(f"--user={settings.user} and --item={settings.item} are the same column.")
    if not settings.label and (settings.positive != ANY_POSITIVE or settings.exposed != REST):
        raise UserError("--positive and --exposed need --label, the column that they look at.")
    if (settings.split == "temporal") > bool(settings.timestamp):
        raise UserError("--split=temporal needs --timestamp, the column of the times.")
    if (settings.split == "given") != bool(settings.split_column):
        raise UserError("--split=given and --split_column=NAME are needed together.")
    if settings.valid + settings.test >= 1:
        raise UserError(
            f"--valid={settings.valid} and --test={settings.test} leave nothing to train on: "
            "choose shares whose sum is under 1."
        )
    paths = [Path(path.strip()).expanduser() for path in settings.input.split(",")]
    separator = "\t" if settings.separator == r"\t" else settings.separator
    columns = tuple(settings.columns.split(",")) if settings.columns else ()
    if columns and any(map(is_parquet, paths)):
        raise UserError(f"--columns={settings.columns}: Parquet files name their columns.")
    events = Events(
        user=settings.user,
        item=settings.item,
        label=settings.label,
        timestamp=settings.timestamp,
        part=settings.split_column,
        positive=settings.positive,
        exposed=settings.exposed,
        any_text=settings.ids == "text",
        layout=Layout(separator, columns),
    )
    rules = Rules(
        **{
            name: getattr(settings, name)
            for name in ("split", "valid", "test", "user_core", "item_core", "conflicts")
        }
    )
    log = read_events(paths, events)
    print(
        f"{len(log.users) + log.ignored:,} rows are read; sorting and splitting them …", flush=True
    )
    about: dict[str, Any] = {
        "settings": dataclasses.asdict(settings),
        "inputs": [{"path": str(path), "sha256": sha256(path)} for path in paths],
    }
    return prepared.prepare(directory, log, rules, about)


def report(interactions: Interactions, account: RowCounts, settings: Preparation) -> str:
    """Return what became of the log's rows, in lines whose numbers add up."""
    core = f"--user_core={settings.user_core}, --item_core={settings.item_core}"
    told = {
        "ignored": "rows that are neither positive nor exposed",
        "repeated_positives": "rows that repeat a positive pair",
        "repeated_exposures": "rows that repeat an exposed pair",
        "below_core": f"pairs of users or items with too few positives ({core})",
        "conflicts": "exposed pairs that are positives, too: positive wins "
        f"(--conflicts={settings.conflicts})",
        "late_exposures": f"exposed pairs of the held-out time or parts (--split={settings.split})",
        "train": "positives to train on",
        "valid": "positives for validation",
        "test": "positives for the test",
        "exposed": "exposed pairs",
    }
    counts = account._asdict()
    lines = [f"read  {account.rows:>13,} rows"]
    for name, text in told.items():
        kept = name in ("train", "valid", "test", "exposed")
        if kept or counts[name]:
            lines.append(f"{'kept' if kept else 'less':6}{counts[name]:>13,} {text}")
    held_out = interactions.exposed.multiply(interactions.held_out).nnz
    if held_out:
        lines.append(
            f"note  {held_out:>13,} of the exposed pairs are held-out positives, and stay: taking "
            "them out would tell which items are"
        )
    if not account.exposed:
        lines.append(
            "note  no pair is exposed: samplers that need exposures draw from the region instead"
        )
    if not account.valid + account.test:
        lines.append("note  no positive is held out: there is nothing to validate or to test with")
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
