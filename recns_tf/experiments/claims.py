"""Results that others published, which the command `verify` compares with ours.

They are the rows of data/published.csv, which the package sees as experiments/published.csv:

    name: name of the entry; its rows follow one another and differ only in what is measured.
    dataset, encoder, sampler, loss: what was trained. A baseline stands in place of the encoder;
        it has neither sampler nor loss.
    settings: other flags, as on the command line.
    metric: such as recall@20, on the test part.
    epoch: after which it was measured; "best" for the best epoch on the test part; empty for a
        baseline.
    value: a number, or a range such as .1491-.1627 if sources differ.
    tolerance: what is allowed on either side, absolute (.0015) or relative (3%).
    length: quick, or long if the row is checked only on request.
    seconds: what an epoch takes on 2 cores, or the whole of an entry without epochs; empty if it
        was not measured.
    source: where it was published.
"""

from __future__ import annotations

import csv
import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf import registry
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Config
from recns_tf.config.flags import (
    A_FOLDER_NAME,
    UNREADABLE,
    explicit_flags,
    from_flags,
    make_flags,
    message_of,
)
from recns_tf.evaluation.display import split_key
from recns_tf.utils.damage import reading
from recns_tf.utils.text import shown

TABLE = Path(__file__).with_name("published.csv")
COLUMNS = (
    "name", "dataset", "encoder", "sampler", "loss", "settings", "metric", "epoch", "value",
    "tolerance", "length", "seconds", "source",
)  # fmt: skip
OF_ENTRY = ("name", "dataset", "encoder", "sampler", "loss", "settings", "seconds")
"""The columns that are the same in all rows of an entry."""

BEST = "best"
LENGTHS = ("quick", "long")
ON_TEST: Mapping[str, Any] = {"validate_on": "test", "valid_share": 0.0}
"""Settings of every entry: all train pairs are trained on, and epochs are measured on test."""

MF = "mf"
"""The encoder whose flagfile completes the settings of a baseline, of which it uses none."""


class Claim(NamedTuple):
    """A published value.

    Attributes:
        metric: its metric, such as "recall@20".
        epoch: number of the epoch after which it was measured, BEST, or "" for a baseline.
        low, high: the published range; equal for a single value.
        tolerance: what is allowed below `low` and above `high`, as published.
        below, above: the same as numbers.
        long: whether it is checked only on request.
        source: where it was published.
    """

    metric: str
    epoch: int | str
    low: float
    high: float
    tolerance: str
    below: float
    above: float
    long: bool
    source: str

    def difference(self, ours: float) -> float:
        """Return how far a value is from the published one, 0 inside a published range."""
        return min(ours - self.low, 0.0) + max(ours - self.high, 0.0)

    def agrees(self, ours: float) -> bool:
        """Return whether a value agrees with the published one."""
        return self.low - self.below <= ours <= self.high + self.above

    @property
    def published(self) -> str:
        """The published value or range as text."""
        return f"{self.low:.4f}" + (f"–{self.high:.4f}" if self.high > self.low else "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A run of others with its published values.

    Attributes:
        name: its name.
        dataset: name of the dataset.
        model: name of the encoder or the baseline.
        settings: all settings of the run except its epochs.
        grids: the hyperparameters of a baseline.
        seconds: what an epoch takes on 2 cores, or all of it if it has no epochs; None if unknown.
        claims: its values, in the order of the file.
    """

    name: str
    dataset: str
    model: str
    settings: Mapping[str, Any]
    grids: BaselineSettings
    seconds: float | None
    claims: tuple[Claim, ...]

    @property
    def is_baseline(self) -> bool:
        """Whether it is a closed-form baseline."""
        return self.model in registry.BASELINE_MODELS

    @property
    def epochs(self) -> list[int]:
        """The numbered epochs that have a value, ascending."""
        return epochs_of(self.claims)

    def config(self, claims: Sequence[Claim], seed: int = 0) -> Config:
        """Return the settings of a run that gives the values of `claims`, some of the entry's."""
        settings = dict(self.settings)
        if epochs := epochs_of(claims):
            settings["epochs"] = settings["patience"] = max(epochs)
        encoder = MF if self.is_baseline else self.model
        return Config.for_run(self.dataset, encoder, **settings, seed=seed)


def epochs_of(claims: Sequence[Claim]) -> list[int]:
    """Return the numbered epochs of some values, ascending, without duplicates."""
    return sorted({claim.epoch for claim in claims if isinstance(claim.epoch, int)})


def read(path: Path) -> dict[str, Entry]:
    """Return the entries of a table by name, in the order of the file.

    Raises:
        UserError: the file is missing or damaged; the message names the line.
    """
    advice = "install the package again"
    entries: dict[str, Entry] = {}
    first: dict[str, Mapping[str, str]] = {}
    with reading(path, advice), path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
        for row in rows:
            with reading(f"{path}, line {rows.line_num}", advice):
                if None in row or None in row.values():
                    raise ValueError(f"it does not have {len(COLUMNS)} fields")
                name = row["name"]
                if name not in first:
                    first[name], entries[name] = row, entry_of(row)
                for column in OF_ENTRY:
                    if row[column] != first[name][column]:
                        raise ValueError(f"its {column} is not that of the first row of {name}")
                entries[name] = with_claim(entries[name], claim_of(row))
        if not entries:
            raise ValueError("it has no rows")
    return entries


def entry_of(row: Mapping[str, str]) -> Entry:
    """Return the entry that a row begins, without values.

    Raises:
        ValueError: a field is not legal.
    """
    name, dataset, model = row["name"], row["dataset"], row["encoder"]
    if not name or not A_FOLDER_NAME.holds(name):
        raise ValueError(f"'{shown(name)}' is not a name")
    models = (*registry.ENCODERS, *registry.BASELINE_MODELS)
    for kind, value, legal in (("dataset", dataset, registry.DATASETS), ("encoder", model, models)):
        if value not in legal:
            raise ValueError(f"there is no {kind} '{shown(value)}'")
    parts = {part: row[part] for part in ("sampler", "loss") if row[part]}
    is_baseline = model in registry.BASELINE_MODELS
    if len(parts) != (0 if is_baseline else 2):
        raise ValueError("an encoder has a sampler and a loss, and a baseline has neither")
    values = make_flags(Config, BaselineSettings)
    try:
        words = values(["verify", *shlex.split(row["settings"])])[1:]
    except UNREADABLE as error:
        raise ValueError(message_of(error)) from error
    if words:
        raise ValueError(f"'{shown(words[0])}' is not a flag")
    given = sorted(explicit_flags(Config, values))
    for flag in given:
        if flag in (*ON_TEST, *parts, "seed"):
            raise ValueError(f"--{flag} is not one of its settings")
    grids = from_flags(BaselineSettings, values)
    if is_baseline and any("," in str(value) for value in grids.of(model).values()):
        raise ValueError(f"each hyperparameter of {model} needs a single number")
    config = from_flags(Config, values, dataset=dataset, encoder=MF if is_baseline else model)
    return Entry(
        name=name,
        dataset=dataset,
        model=model,
        settings={flag: getattr(config, flag) for flag in given} | parts | dict(ON_TEST),
        grids=grids,
        seconds=number(row["seconds"], "seconds") if row["seconds"] else None,
        claims=(),
    )


def with_claim(entry: Entry, claim: Claim) -> Entry:
    """Return an entry with one more value.

    Raises:
        ValueError: the value does not belong to the entry.
    """
    if entry.is_baseline != (claim.epoch == ""):
        raise ValueError(f"its epoch is '{claim.epoch}': a baseline has none, an encoder has one")
    if any(each[:2] == claim[:2] for each in entry.claims):
        raise ValueError(f"{claim.metric} of this epoch is there twice")
    if any((each.epoch == BEST) != (claim.epoch == BEST) for each in entry.claims):
        raise ValueError(f"an entry has values of the epoch '{BEST}' or of numbered ones, not both")
    if isinstance(claim.epoch, int) and {"epochs", "patience"} & entry.settings.keys():
        raise ValueError("--epochs and --patience follow from its epochs")
    entry = dataclasses.replace(entry, claims=(*entry.claims, claim))
    config = entry.config(entry.claims)
    if isinstance(claim.epoch, int) and not config.is_due(claim.epoch):
        raise ValueError(f"epoch {claim.epoch} is not measured with these settings")
    key = split_key(claim.metric)
    if key is None or key[1] not in config.ks:
        raise ValueError(f"'{shown(claim.metric)}' is not a metric of the run")
    return entry


def claim_of(row: Mapping[str, str]) -> Claim:
    """Return the value that a row publishes.

    Raises:
        ValueError: a field is not legal.
    """
    epoch: int | str = row["epoch"]
    if epoch not in ("", BEST):
        if not re.fullmatch(r"[1-9]\d{0,8}", row["epoch"]):
            raise ValueError(f"its epoch '{shown(epoch)}' is not a number, '{BEST}' or empty")
        epoch = int(epoch)
    low, *more = (number(part, "value") for part in row["value"].split("-"))
    high = more[0] if more else low
    if len(more) > 1 or high < low:
        raise ValueError(f"its value '{shown(row['value'])}' is not a number or a range")
    text = row["tolerance"]
    tolerance = number(text.removesuffix("%"), "tolerance")
    shares = (low / 100, high / 100) if text.endswith("%") else (1.0, 1.0)
    if row["length"] not in LENGTHS:
        raise ValueError(f"its length '{shown(row['length'])}' is not {' or '.join(LENGTHS)}")
    if not row["source"]:
        raise ValueError("it has no source")
    return Claim(
        metric=row["metric"],
        epoch=epoch,
        low=low,
        high=high,
        tolerance=text,
        below=tolerance * shares[0],
        above=tolerance * shares[1],
        long=row["length"] == "long",
        source=row["source"],
    )


def number(text: str, column: str) -> float:
    """Return a decimal number that is not negative.

    Raises:
        ValueError: the text is not one.
    """
    if not re.fullmatch(r"\d*\.?\d+", text, re.ASCII):
        raise ValueError(f"its {column} '{shown(text)}' is not a number")
    return float(text)
