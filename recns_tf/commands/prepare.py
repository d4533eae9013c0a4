"""Make a dataset from your own log.

The log is one table, or several with the same columns, in CSV, TSV, RecBole's .inter, JSON lines or
Parquet, also compressed (.gz, .bz2, .zst, .zip). NAME is then a dataset like the built-in ones.
--append=FILE adds further rows to it. With --engine=ray, the machines of a Ray cluster read the
files.
"""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path
from typing import Any

from recns_tf import registry
from recns_tf.commands.app import Call, Command
from recns_tf.config.cluster import LOCALLY, ClusterSettings
from recns_tf.config.flags import A_FOLDER, A_FOLDER_NAME, Checked, explicit_flags, option
from recns_tf.datasets import prepared
from recns_tf.datasets.account import account
from recns_tf.datasets.appending import append
from recns_tf.datasets.formats.engines import engine
from recns_tf.datasets.formats.json_lines import is_json
from recns_tf.datasets.formats.logs import read_events
from recns_tf.datasets.formats.parquet import is_parquet
from recns_tf.datasets.formats.sources import Source, checksums, find_sources
from recns_tf.datasets.preparation import Preparation, events_of, require_consistent, rules_of
from recns_tf.datasets.preprocessing.log import RowCounts, hold_out_validation
from recns_tf.datasets.preprocessing.split import TEST, TRAIN, VALID
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.utils.program import program
from recns_tf.utils.text import LONGEST_LIST, count, shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
INPUTS = {"input": TRAIN, "train_input": TRAIN, "valid_input": VALID, "test_input": TEST}
"""The flags that name files, and the part of the data in the files of a log already split."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputLocation(Checked):
    """The folder of the datasets."""

    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    overwrite: bool = option(False, "replace an existing dataset with this name")
    append: str = option(
        "",
        "instead of --input: files with further rows for an existing dataset, which are read with "
        "the settings that it was prepared with",
        longest=LONGEST_LIST,
    )


def main(call: Call) -> None:
    """Run the command."""
    name = call.words[0]
    settings, place = call.settings(Preparation, name=name), call.settings(OutputLocation)
    cluster = call.settings(ClusterSettings)
    cluster.require_packages()
    experiments = {*registry.EXPERIMENTS, registry.ALL_EXPERIMENTS}
    reserved = {*registry.DATASETS, *registry.ENCODERS, *registry.COMMANDS, "help"} | experiments
    if not NAME.fullmatch(name):
        raise UserError(
            f"a dataset cannot be called '{name}': choose letters from a to z, digits, '.', '_' "
            "and '-'."
        )
    if not A_FOLDER_NAME.holds(name):
        raise UserError(
            f"a dataset cannot be called '{shown(name)}': choose {A_FOLDER_NAME.legal}."
        )
    if name in reserved:
        raise UserError(f"a dataset cannot be called '{name}': that name is reserved.")
    directory = Path(place.data_dir) / name
    started = time.perf_counter()
    if place.append:
        others = explicit_flags(Preparation, call.flags) | (
            explicit_flags(OutputLocation, call.flags) - {"append", "data_dir"}
        )
        if others:
            raise UserError(
                f"--append={place.append}: {name} keeps the settings that it was prepared with; "
                f"leave out {', '.join(f'--{each}' for each in sorted(others))}."
            )
        append(directory, place.append, cluster)
    else:
        make(settings, directory, place.overwrite, cluster)
    print(f"\n{directory}/: ready in {time.perf_counter() - started:.1f} s. Train on it with")
    print(f"  {program()} {name} lightgcn")


def make(
    settings: Preparation,
    directory: Path,
    overwrite: bool = True,
    cluster: ClusterSettings = LOCALLY,
) -> tuple[Interactions, RowCounts]:
    """Read a log, store it as a dataset, and print what happened to its rows.

    Args:
        settings: how to read and split the log.
        directory: data/NAME, which is replaced as a whole.
        overwrite: whether an existing dataset may be replaced.
        cluster: what reads the files; the dataset does not depend on it.

    Returns:
        The dataset, and what happened to the rows of the log.

    Raises:
        UserError: the settings or the log are invalid, or the dataset may not be replaced; nothing
            is written.
    """
    with prepared.claim(directory, overwrite):
        return read_and_store(settings, directory, cluster)


def read_and_store(
    settings: Preparation, directory: Path, cluster: ClusterSettings
) -> tuple[Interactions, RowCounts]:
    """Do what `make` does, with `directory` locked."""
    require_consistent(settings)
    inputs = [(source, part) for flag, part in INPUTS.items() for source in named(settings, flag)]
    sources, parts = [source for source, _ in inputs], [part for _, part in inputs]
    for source in sources:
        if settings.columns and (is_parquet(source) or is_json(source)):
            raise UserError(f"--columns={settings.columns}: {source} already names its columns.")
    with engine(cluster) as each:
        log = read_events(sources, events_of(settings), () if settings.input else parts, each)
        files = checksums(sources, each)
    rows = len(log.users) + log.ignored + log.missing
    print(f"{count(rows, 'row')} read; sorting and splitting them …", flush=True)
    notes = list(log.notes)
    if settings.train_input and not settings.valid_input and settings.valid:
        log = hold_out_validation(log, settings.valid)
        notes.append(
            f"without --valid_input, a share of {settings.valid} of each user's train positives "
            "is for validation; --valid=0 leaves it in train"
        )
    rules = rules_of(settings)
    if rules.split == "leave-one-out" and not settings.timestamp:
        notes.append("without --timestamp, the held-out positives are drawn at random")
    about: dict[str, Any] = {
        "settings": dataclasses.asdict(settings),
        "inputs": files,
        "notes": notes,
    }
    interactions, counts = prepared.prepare(directory, log, rules, about)
    print(account(interactions, counts, rules, notes))
    return interactions, counts


def named(settings: Preparation, flag: str) -> list[Source]:
    """Return the files that one of the flags in INPUTS names.

    Raises:
        UserError: a name stands for no file.
    """
    inputs = getattr(settings, flag)
    return find_sources(inputs, flag) if inputs else []


COMMAND = Command(
    about=__doc__ or "",
    words="NAME",
    example="shop --input=clicks.csv --label=clicked",
    settings=(Preparation, OutputLocation, ClusterSettings),
    run=main,
    interrupted="nothing was written",
)
