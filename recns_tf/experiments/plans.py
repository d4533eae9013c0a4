"""The runs of an experiment: the paper's grid, changed by the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf import registry
from recns_tf.config.config import FIELDS, Config
from recns_tf.config.flags import legal_values
from recns_tf.errors import UserError
from recns_tf.experiments.cells import Cell, make_cells
from recns_tf.experiments.grids import EXPERIMENTS
from recns_tf.experiments.panels import SAMPLER, Experiment, Panel
from recns_tf.utils.text import shown

ALL_SAMPLERS = "all"
"""Stands for every registered sampler, in the order of the registry."""


class Point(NamedTuple):
    """The runs of one value and one encoder in a panel, one per seed.

    Attributes:
        panel: index of the panel in its experiment.
        encoder: name of the encoder.
        value: value of the varied setting.
        cells: the runs.
    """

    panel: int
    encoder: str
    value: Any
    cells: list[Cell]


def find_experiment(name: str) -> Experiment:
    """Return the experiment called `name`.

    Raises:
        UserError: there is none.
    """
    if name not in EXPERIMENTS:
        raise UserError(f"unknown experiment '{name}': choose one of {', '.join(EXPERIMENTS)}.")
    return EXPERIMENTS[name]


def parse_grid(text: str, samplers: str = "") -> dict[str, tuple[Any, ...]]:
    """Return the values given by --grid and --samplers, by setting.

    Raises:
        UserError: a part is not SETTING=VALUES, a value is not of its setting's type, or there is
            no such sampler.

    Example:
        >>> parse_grid("dim=64 128; margin=", samplers="dns")
        {'dim': (64, 128), 'margin': (), 'sampler': ('dns',)}
    """
    grid: dict[str, tuple[Any, ...]] = {}
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if samplers:
        parts.append(f"{SAMPLER}={samplers.replace(',', ' ')}")
    for part in parts:
        name, equals, values = part.partition("=")
        name = name.strip()
        field = FIELDS.get(name)
        if not equals or field is None:
            raise UserError(f"--grid: '{shown(part)}' is not SETTING=VALUES, such as dim=64 128.")
        kind: Any = type(field.default)
        try:
            grid[name] = tuple(kind(value) for value in values.split())
        except ValueError as error:
            raise UserError(f"--grid: '{shown(part)}': choose {legal_values(field)}.") from error
        if name == SAMPLER:
            grid[name] = tuple(sampler_name(value) for value in grid[name])
    return grid


def sampler_name(text: str) -> str:
    """Return the name of a sampler, or ALL_SAMPLERS, in lower case unless it is module:object.

    Raises:
        UserError: there is no such sampler.
    """
    if registry.OWN in text:
        return text
    name = text.lower()
    known = (ALL_SAMPLERS, *registry.SAMPLERS)
    if name not in known:
        raise UserError(
            f"--samplers: unknown sampler '{shown(text)}': choose {ALL_SAMPLERS}, or some of "
            f"{', '.join(registry.SAMPLERS)}.{registry.suggestion(name, known)}"
        )
    return name


def with_all(panel: Panel, values: Sequence[Any]) -> Panel:
    """Return a panel with other values, those of ALL_SAMPLERS in its place.

    The samplers that are in `values` by this name alone are optional.
    """
    if panel.setting != SAMPLER or ALL_SAMPLERS not in values:
        return dataclasses.replace(panel, values=tuple(dict.fromkeys(values)))
    found = [
        name
        for value in values
        for name in (registry.SAMPLERS if value == ALL_SAMPLERS else [value])
    ]
    optional = frozenset(registry.SAMPLERS) - frozenset(values)
    return dataclasses.replace(panel, values=tuple(dict.fromkeys(found)), optional=optional)


def customize(
    name: str, encoders: Sequence[str], grid: Mapping[str, tuple[Any, ...]], given: Iterable[str]
) -> Experiment:
    """Return an experiment with other encoders and values than the paper's.

    Args:
        name: name of the experiment.
        encoders: encoders that replace the paper's; [] keeps the paper's.
        grid: values that replace the paper's, by setting.
        given: names of the settings that the command line fixes for all runs.

    Raises:
        UserError: the experiment or an encoder is unknown, a varied setting is fixed, or no panel
            is left.
    """
    experiment = find_experiment(name)
    varied = {panel.setting for panel in experiment.panels}
    fixed = [panel.fixed for panel in experiment.panels]
    varied |= {
        setting
        for setting in set().union(*fixed)
        if len({settings.get(setting) for settings in fixed}) > 1
    }
    for encoder in encoders:
        registry.find(registry.ENCODERS, "encoder", encoder)
    for setting in sorted(varied & set(given)):
        instead = "leave the flag out"
        if any(panel.setting == setting for panel in experiment.panels):
            instead = f"choose values with --grid='{setting}=…' instead"
        raise UserError(f"--{setting} is what {name} varies: {instead}.")
    panels = tuple(
        with_all(
            dataclasses.replace(panel, encoders=tuple(encoders) or panel.encoders),
            grid.get(panel.setting, panel.values),
        )
        for panel in experiment.panels
    )
    panels = tuple(panel for panel in panels if panel.values)
    if not panels:
        raise UserError(f"--grid: nothing of {name} is left.")
    return experiment._replace(panels=panels)


def check_grid(grid: Mapping[str, tuple[Any, ...]], experiments: Mapping[str, Experiment]) -> None:
    """Raise UserError if none of the experiments varies a setting of the grid."""
    varied = {panel.setting for name in experiments for panel in EXPERIMENTS[name].panels}
    for setting in grid.keys() - varied:
        flag = "--samplers" if setting == SAMPLER else "--grid"
        verb = "vary" if len(experiments) > 1 else "varies"
        raise UserError(
            f"{flag}: {', '.join(experiments)} {verb} {', '.join(sorted(varied))}, not {setting}."
        )


def plan(
    experiment: Experiment,
    dataset: str,
    numbers: Sequence[int],
    given: Mapping[str, Any],
    files: Sequence[Path] = (),
) -> list[Point]:
    """Return the runs of an experiment.

    Args:
        experiment: the experiment, with its panels.
        dataset: name of the dataset.
        numbers: the seeds.
        given: settings that the command line fixes for all runs.
        files: flagfiles from the command line; varied settings override them.

    Raises:
        UserError: a value is not legal, or a file is missing.
    """
    points = []
    for index, panel in enumerate(experiment.panels):
        for encoder in panel.encoders:
            base, tag = base_of(dataset, encoder, files)
            for value in panel.values:
                changes = {**panel.fixed, **given, panel.setting: value}
                config = dataclasses.replace(base, **changes)
                points.append(Point(index, encoder, value, make_cells(config, numbers, base, tag)))
    return points


def base_of(dataset: str, encoder: str, files: Sequence[Path]) -> tuple[Config, str]:
    """Return the settings that run names are relative to, and the tag that stands for them.

    Args:
        dataset: name of the dataset.
        encoder: name of the encoder.
        files: flagfiles from the command line.
    """
    return Config.for_run(dataset, encoder, files), "-".join(path.stem for path in files)
