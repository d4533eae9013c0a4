"""Checks before the first run: whether samplers go with encoders, settings and data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments.cells import DONE, Cell, state
from recns_tf.experiments.grids import Experiment
from recns_tf.experiments.plans import Point
from recns_tf.interactions import Interactions


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
                check(point.cells[0].config)
        except UserError as error:
            if point.value not in experiment.panels[point.panel].optional:
                raise
            left_out.append(f"{point.value} is left out for {point.encoder}: {error}")
        else:
            kept.append(point)
    return kept, left_out


def check(config: Config) -> None:
    """Raise UserError if encoder, sampler and loss cannot be trained with these settings."""
    # TensorFlow takes seconds to import.
    from recns_tf.samplers.parts import Parts

    Parts.load(config).check(config)


def note_on_exposures(cells: Iterable[Cell], interactions: Interactions) -> str:
    """Return a sentence that names the samplers that lack exposures in a dataset, or "".

    Args:
        cells: runs on the dataset.
        interactions: the dataset.
    """
    if interactions.exposed.nnz:
        return ""
    from recns_tf.samplers.parts import Parts

    found: dict[str, None] = {}
    for config in (cell.config for cell in cells):
        sampler = Parts.load(config).sampler
        if sampler.uses_exposed or sampler.draws_exposed:
            found[config.sampler] = None
    if not found:
        return ""
    return (
        f"{interactions.name} has no exposures: what {', '.join(found)} would take from them comes "
        "from the other items that the sampler draws from."
    )
