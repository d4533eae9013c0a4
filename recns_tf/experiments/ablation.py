"""Ablation: change one setting at a time from the authors' choice to the paper's, or back.

The rows are the settings in which two Configs differ: that of flags/original.flags (or
original-ENCODER.flags), and that of the defaults or of flags/paper.flags.
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
from recns_tf.experiments.cells import Cell, make_cells
from recns_tf.experiments.results import Line
from recns_tf.utils.markdown import table

GROUPS = (
    ("eval_every", "eval_first", "patience", "validate_on", "valid_share"),
    ("adjacency", "ngcf_form"),
)
"""Settings that are changed together, as one choice.

Without a share for validation there would be nothing to validate on, and NGCF refuses the adjacency
of its other form.
"""

SCALE_SETTINGS = ("dim", "num_layers", "l2", "learning_rate", "batch_size", "epochs")
"""Settings of scale, which are never varied: both presets take those of dataset and encoder.

The authors' values are meant for Zhihu, and those of their LightGCN do not apply to NGCF.
"""

OWNERS = {**registry.DATASETS, **registry.ENCODERS, **registry.SAMPLERS, **registry.LOSSES}
BASE_LABEL = "as it is"


class Preset(NamedTuple):
    """A set of choices to start from.

    Attributes:
        name: "original", "default" or "paper".
        files: its flagfiles.
        config: its settings, including those fixed by the command line.
        named_by: the settings that run names are relative to.
        tag: the part of run names that stands for `named_by`.
    """

    name: str
    files: list[Path]
    config: Config
    named_by: Config
    tag: str


class Row(NamedTuple):
    """A preset, or a preset with one choice changed.

    Attributes:
        base: name of the preset.
        change: the changed settings as text.
        cells: one run per seed.
    """

    base: str
    change: str
    cells: list[Cell]


def presets(
    dataset: str,
    encoder: str,
    given: Mapping[str, Any],
    from_paper: bool,
    further: Sequence[Path] = (),
) -> tuple[Preset, Preset]:
    """Return the authors' choices, and the defaults or the paper's choices.

    Both take SCALE_SETTINGS from the flagfiles of the dataset and the encoder.

    Args:
        dataset: name of the dataset.
        encoder: name of the encoder.
        given: settings that the command line fixes in both presets.
        from_paper: whether the second preset is paper.flags instead of the defaults.
        further: flagfiles from the command line, for both presets.

    Raises:
        UserError: a flagfile is missing, or a value is not legal.
    """
    files = flagfiles.find(dataset, encoder)
    of_encoder = flagfiles.built_in(f"original-{encoder}")
    original = [*files, of_encoder if of_encoder.exists() else flagfiles.built_in("original")]
    paper = [*files, *([flagfiles.built_in("paper")] if from_paper else [])]
    plain = Config.from_flagfiles(dataset, encoder, files)
    scale = {name: getattr(plain, name) for name in SCALE_SETTINGS}
    values = flagfiles.parse(further, Config, Workspace)
    fixed = from_flags(Config, values=values, dataset=dataset, encoder=encoder)
    names = explicit_flags(Config, values)
    changes = scale | {name: getattr(fixed, name) for name in names} | dict(given)
    authors = Config.from_flagfiles(dataset, encoder, original)
    ours = Config.from_flagfiles(dataset, encoder, paper)
    other = "paper" if from_paper else "default"
    return (
        Preset("original", original, dataclasses.replace(authors, **changes), authors, "original"),
        Preset(other, paper, dataclasses.replace(ours, **changes), plain, ""),
    )


def is_relevant(name: str, config: Config) -> bool:
    """Return whether a setting has an effect with this dataset, encoder, sampler and loss.

    The help text of a setting for some of them only begins with their names.
    """
    text = FIELDS[name].metadata["text"]
    match = re.match(r"([a-z0-9-]+(?:, [a-z0-9-]+)*): ", text)
    owners = set(match[1].split(", ")) if match else set()
    if not owners or not owners <= OWNERS.keys():
        return True
    return bool(owners & {config.dataset, config.encoder, config.sampler, config.loss})


def differing_settings(one: Config, other: Config) -> list[tuple[str, ...]]:
    """Return the relevant settings in which two Configs differ, grouped by GROUPS."""
    found: list[tuple[str, ...]] = []
    different = [name for name in one.differences(other) if is_relevant(name, one)]
    for name in different:
        together = next((names for names in GROUPS if name in names), (name,))
        group = tuple(member for member in together if member in different)
        if group not in found:
            found.append(group)
    return found


def make_rows(base: Preset, other: Preset, numbers: Sequence[int]) -> list[Row]:
    """Return `base` and its variants with one choice changed to that of `other`.

    Args:
        base: the preset to start from.
        other: the preset that changes are taken from.
        numbers: the seeds.
    """
    found = [Row(base.name, BASE_LABEL, make_cells(base.config, numbers, base.named_by, base.tag))]
    for names in differing_settings(base.config, other.config):
        changed = {name: getattr(other.config, name) for name in names}
        config = dataclasses.replace(base.config, **changed)
        change = ", ".join(
            f"{name} {getattr(base.config, name)} → {value}" for name, value in changed.items()
        )
        found.append(Row(base.name, change, make_cells(config, numbers, base.named_by, base.tag)))
    return found


def paired_differences(line: Line, base: Line, metric: str) -> list[float]:
    """Return the differences of a test metric from the base, one per seed that both have."""
    base_metrics = {cell.config.seed: results["test"][metric] for cell, results in base.runs}
    return [
        results["test"][metric] - base_metrics[cell.config.seed]
        for cell, results in line.runs
        if cell.config.seed in base_metrics
    ]


def mean_and_deviation(values: Sequence[float], sign: bool = False) -> str:
    """Return "mean ± standard deviation" in percent, or the value alone if there is only one."""
    if not values:
        return tables.MISSING
    mean = f"{100 * statistics.mean(values):{'+' if sign else ''}.2f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.2f}"


def markdown(lines: Sequence[Line]) -> list[str]:
    """Return the Markdown table of one base, the first line, and its variants."""
    head = ["changed", *METRICS.values()]
    head += [f"difference in {label}" for label in METRICS.values()]
    body = []
    for line in lines:
        row = [line.label, *(mean_and_deviation(line.scores(metric)) for metric in METRICS)]
        for metric in METRICS:
            found = paired_differences(line, lines[0], metric)
            row.append("" if line is lines[0] else mean_and_deviation(found, sign=True))
        body.append(row)
    return table(head, body)


CSV_COLUMNS = ("base", "change", "metric", "seeds", "mean", "standard_deviation",
               "difference", "difference_deviation")  # fmt: skip


def csv_rows(base: str, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the same as CSV rows: fractions, one row per line and metric."""
    found = []
    for line in lines:
        for metric in METRICS:
            differences = paired_differences(line, lines[0], metric)
            found.append(
                {
                    "base": base,
                    "change": line.label,
                    "metric": metric,
                    "seeds": len(line.runs),
                    "mean": line.mean(metric) if line.runs else "",
                    "standard_deviation": line.deviation(metric) if len(line.runs) > 1 else "",
                    "difference": statistics.mean(differences) if differences else "",
                    "difference_deviation": (
                        statistics.stdev(differences) if len(differences) > 1 else ""
                    ),
                }
            )
    return found


def plot_differences(groups: Mapping[str, Sequence[Line]], title: str, path: Path) -> None:
    """Plot the effect of each choice as PNG and SVG, with one panel per base.

    Args:
        groups: lines by panel title; the first line of each is the base.
        title: title of the figure.
        path: path of the files, without suffix.
    """
    metric = METRIC
    height = 1.5 + 0.4 * sum(len(lines) for lines in groups.values())
    figure = Figure(figsize=(10, height), layout="constrained")
    ratios = [max(len(lines) - 1, 1) for lines in groups.values()]
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for axes, (name, lines) in zip(panels, groups.items(), strict=True):
        found = [(each, paired_differences(each, lines[0], metric)) for each in lines[1:]]
        found = [(each, differences) for each, differences in found if differences]
        means = [100 * statistics.mean(differences) for _, differences in found]
        # NaN, the deviation of a single seed, is not drawn.
        deviations = [
            100 * statistics.stdev(differences) if len(differences) > 1 else math.nan
            for _, differences in found
        ]
        places = range(len(found))
        colors = ["C0" if mean >= 0 else "C1" for mean in means]
        axes.barh(places, means, xerr=deviations, color=colors, capsize=3)
        axes.set_yticks(places, [each.label for each, _ in found])
        axes.invert_yaxis()
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set(title=name, xlabel=f"difference in test {METRICS[metric]}, percentage points")
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
    figure.suptitle(title)
    figures.save_figure(figure, path)
