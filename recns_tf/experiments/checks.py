"""Checks before the first run: whether samplers go with encoders, settings and data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments.cells import DONE, Cell, state
from recns_tf.experiments.panels import Experiment
from recns_tf.experiments.plans import Point
from recns_tf.interactions import Interactions
from recns_tf.utils.quiet import silenced_stderr

if TYPE_CHECKING:
    from recns_tf.samplers.parts import Parts


def trainable(
    experiment: Experiment, points: Sequence[Point], runs_dir: Path
) -> tuple[list[Point], list[str]]:
    """Return the points that can be trained, and a sentence for each of those left out.

    Args:
        experiment: the experiment; `Panel.optional` says which values may be left out.
        points: its runs.
        runs_dir: folder of the runs; finished ones are not checked.

    Raises:
        UserError: a value that may not be left out cannot be trained, or a folder is damaged or
            holds a run with other settings.
    """
    kept, left_out = [], []
    for point in points:
        finished = all(state(cell, runs_dir) == DONE for cell in point.cells)
        try:
            if not finished:
                config = point.cells[0].config
                parts_of(config).check(config)
        except UserError as error:
            if point.value not in experiment.panels[point.panel].optional:
                raise
            left_out.append(f"{point.value} is left out for {point.encoder}: {error}")
        else:
            kept.append(point)
    return kept, left_out


def parts_of(config: Config) -> Parts:
    """Return the encoder, the sampler and the loss that settings name.

    Raises:
        UserError: one is unknown, or cannot be loaded.
    """
    # TensorFlow takes seconds to import, and planning needs it only here.
    with silenced_stderr():
        from recns_tf.samplers.parts import Parts

        return Parts.load(config)


def note_on_exposures(cells: Iterable[Cell], interactions: Interactions) -> str:
    """Return a sentence that names the samplers that lack exposures in a dataset, or "".

    Args:
        cells: runs on the dataset.
        interactions: the dataset.
    """
    if interactions.exposed.nnz:
        return ""
    found: dict[str, None] = {}
    for config in (cell.config for cell in cells):
        sampler = parts_of(config).sampler
        if sampler.uses_exposed or sampler.draws_exposed:
            found[config.sampler] = None
    if not found:
        return ""
    return (
        f"{interactions.name} has no exposures: what {', '.join(found)} would take from them comes "
        "from the other items that the sampler draws from."
    )
