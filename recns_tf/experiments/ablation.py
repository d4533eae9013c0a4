"""One setting at a time between the authors' choices and the paper's.

The rows are not listed anywhere: they are the settings in which two Configs differ, that of
flags/original.flags (or original-ENCODER.flags) and that of the defaults or flags/paper.flags.
"""

from __future__ import annotations

import dataclasses
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from recns_tf import registry
from recns_tf.config import flagfiles
from recns_tf.config.config import FIELDS, Config, Workspace
from recns_tf.config.flags import explicit_flags, from_flags
from recns_tf.evaluation.metrics import METRIC, METRICS
from recns_tf.experiments import figures, tables
from recns_tf.experiments.cells import Cell, seeds
from recns_tf.experiments.results import Line
from recns_tf.utils.markdown import table

TOGETHER = (("eval_every", "patience", "validate_on"),)
"""Settings that only make sense as one choice."""

STAYS = ("dim", "num_layers", "l2", "learning_rate", "batch_size", "epochs")
"""Settings of scale, which a dataset and an encoder keep on both sides: no choices to turn.

The authors' are those of their script for Zhihu, and their LightGCN's say nothing of NGCF.
"""

OWNERS = {**registry.DATASETS, **registry.ENCODERS, **registry.SAMPLERS}
NOTHING = "as it is"


class Preset(NamedTuple):
    """A set of choices to start from.

    Attributes:
        name: "original", "default" or "paper".
        files: the flagfiles that make it.
        config: with what the command line fixes.
        named_by: the settings that its runs' names are relative to.
        tag: what its runs' names have for those settings.
    """

    name: str
    files: list[Path]
    config: Config
    named_by: Config
    tag: str


class Row(NamedTuple):
    """The base, or one choice turned to the other side's.

    Attributes:
        base: name of the side it starts from.
        change: what is turned, in words.
        cells: a run a seed.
    """

    base: str
    change: str
    cells: list[Cell]


def presets(
    dataset: str,
    encoder: str,
    given: Mapping[str, Any],
    letter: bool,
    further: Sequence[Path] = (),
) -> tuple[Preset, Preset]:
    """Return the authors' choices and the paper's.

    The settings in STAYS are those of the dataset's and the encoder's flagfiles on both sides.

    Args:
        dataset: its name.
        encoder: its name.
        given: settings that the command line fixes on both sides.
        letter: whether the paper's side is paper.flags and not the defaults.
        further: flagfiles of the command line, for both sides.

    Raises:
        UserError: a flagfile is missing, or a value is not legal.
    """
    files = flagfiles.find(dataset, encoder)
    own = flagfiles.built_in(f"original-{encoder}")
    original = [*files, own if own.exists() else flagfiles.built_in("original")]
    paper = [*files, *([flagfiles.built_in("paper")] if letter else [])]
    plain = Config.from_flagfiles(dataset, encoder, files)
    stays = {name: getattr(plain, name) for name in STAYS}
    values = flagfiles.parse(further, Config, Workspace)
    fixed = from_flags(Config, values=values, dataset=dataset, encoder=encoder)
    names = explicit_flags(Config, values)
    changes = stays | {name: getattr(fixed, name) for name in names} | dict(given)
    authors = Config.from_flagfiles(dataset, encoder, original)
    ours = Config.from_flagfiles(dataset, encoder, paper)
    other = "paper" if letter else "default"
    return (
        Preset("original", original, dataclasses.replace(authors, **changes), authors, "original"),
        Preset(other, paper, dataclasses.replace(ours, **changes), plain, ""),
    )


def concerns(name: str, config: Config) -> bool:
    """Return whether a setting has any effect with these encoder, sampler and dataset.

    The help text of one that has not begins with the names of those that it is for.
    """
    text = FIELDS[name].metadata["text"]
    match = re.match(r"([a-z0-9-]+(?:, [a-z0-9-]+)*): ", text)
    owners = set(match[1].split(", ")) if match else set()
    if not owners or not owners <= OWNERS.keys():
        return True
    return bool(owners & {config.encoder, config.sampler, config.dataset})


def choices(one: Config, other: Config) -> list[tuple[str, ...]]:
    """Return the settings in which two Configs differ, those that belong together as one."""
    found: list[tuple[str, ...]] = []
    different = [name for name in one.differences(other) if concerns(name, one)]
    for name in different:
        together = next((names for names in TOGETHER if name in names), (name,))
        group = tuple(member for member in together if member in different)
        if group not in found:
            found.append(group)
    return found


def rows(base: Preset, other: Preset, numbers: Sequence[int]) -> list[Row]:
    """Return the runs that start from `base`, and turn one choice at a time to that of `other`.

    Args:
        base: where to start.
        other: the other side.
        numbers: the seeds.
    """
    found = [Row(base.name, NOTHING, seeds(base.config, numbers, base.named_by, base.tag))]
    for names in choices(base.config, other.config):
        turned = {name: getattr(other.config, name) for name in names}
        config = dataclasses.replace(base.config, **turned)
        change = ", ".join(
            f"{name} {getattr(base.config, name)} → {value}" for name, value in turned.items()
        )
        found.append(Row(base.name, change, seeds(config, numbers, base.named_by, base.tag)))
    return found


def gains(line: Line, base: Line, metric: str) -> list[float]:
    """Return the differences of a test metric to the base, a seed each that both have."""
    there = {cell.config.seed: results["test"][metric] for cell, results in base.runs}
    return [
        results["test"][metric] - there[cell.config.seed]
        for cell, results in line.runs
        if cell.config.seed in there
    ]


def mean_and_deviation(values: Sequence[float], sign: bool = False) -> str:
    """Return "mean ± standard deviation" in per cent, the value alone where there is one."""
    if not values:
        return tables.MISSING
    mean = f"{100 * statistics.mean(values):{'+' if sign else ''}.2f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.2f}"


def markdown(lines: Sequence[Line]) -> list[str]:
    """Return the table of the rows that start from one base, which is the first line."""
    head = ["choice turned", *METRICS.values()]
    head += [f"difference in {label}" for label in METRICS.values()]
    body = []
    for line in lines:
        row = [line.label, *(mean_and_deviation(line.scores(metric)) for metric in METRICS)]
        for metric in METRICS:
            found = gains(line, lines[0], metric)
            row.append("" if line is lines[0] else mean_and_deviation(found, sign=True))
        body.append(row)
    return table(head, body)


CSV_COLUMNS = ("base", "change", "metric", "seeds", "mean", "standard_deviation",
               "difference", "difference_deviation")  # fmt: skip


def csv_rows(base: str, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the same as rows for a CSV file: fractions, a row a metric."""
    found = []
    for line in lines:
        for metric in METRICS:
            gained = gains(line, lines[0], metric)
            found.append(
                {
                    "base": base,
                    "change": line.label,
                    "metric": metric,
                    "seeds": len(line.runs),
                    "mean": line.mean(metric) if line.runs else "",
                    "standard_deviation": line.deviation(metric) if len(line.runs) > 1 else "",
                    "difference": statistics.mean(gained) if gained else "",
                    "difference_deviation": statistics.stdev(gained) if len(gained) > 1 else "",
                }
            )
    return found


def draw(groups: Mapping[str, Sequence[Line]], title: str, path: Path) -> None:
    """Draw the difference that each choice makes, a panel a base, as PNG and SVG.

    Args:
        groups: lines by what the base is called; the first of each is the base itself.
        title: over all panels.
        path: without ending.
    """
    metric = METRIC
    height = 1.5 + 0.4 * sum(len(lines) for lines in groups.values())
    figure = Figure(figsize=(10, height), layout="constrained")
    ratios = [max(len(lines) - 1, 1) for lines in groups.values()]
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for axes, (name, lines) in zip(panels, groups.items(), strict=True):
        found = [(each, gains(each, lines[0], metric)) for each in lines[1:]]
        found = [(each, gained) for each, gained in found if gained]
        means = [100 * statistics.mean(gained) for _, gained in found]
        # NaN, the spread of a single seed, is not drawn.
        spreads = [
            100 * statistics.stdev(gained) if len(gained) > 1 else math.nan for _, gained in found
        ]
        places = range(len(found))
        colors = ["C0" if mean >= 0 else "C1" for mean in means]
        axes.barh(places, means, xerr=spreads, color=colors, capsize=3)
        axes.set_yticks(places, [each.label for each, _ in found])
        axes.invert_yaxis()
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set(title=name, xlabel=f"difference in test {METRICS[metric]}, percentage points")
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
    figure.suptitle(title)
    figures.save(figure, path)
