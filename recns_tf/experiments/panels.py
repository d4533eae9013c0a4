"""An experiment as data: its panels, each of which varies one setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from recns_tf.experiments import tables
from recns_tf.experiments.results import Line

ALL_ENCODERS = ("pinsage", "ngcf", "lightgcn")
SAMPLER = "sampler"
RECNS = {SAMPLER: "recns"}


@dataclasses.dataclass(frozen=True)
class Panel:
    """One varied setting.

    Attributes:
        title: title of the table column or axis.
        setting: the field of Config that is varied.
        values: the values, in the paper if it has the experiment.
        encoders: the encoders, likewise.
        fixed: settings shared by all runs, unless the command line changes them.
        reference: the value that is tested against the best of the others, if any.
        heading: heading of the column of values; the title if it is empty.
        labels: the paper's names of the values.
        optional: values that are left out, with a sentence, where they cannot be trained; other
            values are an error there.
        layout: function that makes the table.
        pictures: functions that draw the plots.
    """

    title: str
    setting: str
    values: tuple[Any, ...]
    encoders: tuple[str, ...] = ALL_ENCODERS
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=lambda: RECNS)
    reference: Any = None
    heading: str = ""
    labels: Mapping[Any, str] = dataclasses.field(default_factory=dict)
    optional: frozenset[Any] = frozenset()
    layout: Callable[[Sequence[Line], str], list[str]] = tables.by_encoder
    pictures: tuple[Callable[..., None], ...] = ()


class Experiment(NamedTuple):
    """Some tables with one title, such as a table or figure of the paper."""

    title: str
    panels: tuple[Panel, ...]
