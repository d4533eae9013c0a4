"""Run the cells of a sweep, or print the plan of a dry run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from recns_tf import datasets
from recns_tf.errors import UserError
from recns_tf.experiments.cells import DONE, Cell, state, unique_cells
from recns_tf.experiments.checks import note_on_exposures, parts_of
from recns_tf.experiments.options import RunsSettings
from recns_tf.experiments.sweep import Failure, duration, sweep
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.text import count

Key = tuple[str, ...]


def run_cells(
    cells: Iterable[Cell], options: RunsSettings, folder: Path
) -> tuple[bool, list[Failure]]:
    """Run the cells that are not finished, or print the plan if it is a dry run.

    Args:
        cells: the runs.
        options: the flags of the sweep.
        folder: the folder of the sweep.

    Returns:
        Whether the cells were run (False for a dry run), and the failures.

    Raises:
        UserError: a folder is damaged or holds a run with other settings, the settings of a cell
            do not go together, or the dataset cannot be read. No cell was run.
    """
    cells = unique_cells(cells)
    runs_dir = Path(options.runs_dir)
    if options.dry_run:
        print(plan_text(cells, runs_dir, options.jobs))
        return False, []
    todo = [cell for cell in cells if state(cell, runs_dir) != DONE]
    for cell in todo:
        parts_of(cell.config).check(cell.config)
    # Loading them here reports errors once, and downloads a dataset in a single process.
    for name, config in {cell.config.dataset: cell.config for cell in reversed(todo)}.items():
        data = datasets.load(config, options.data_dir)
        note = note_on_exposures((cell for cell in todo if cell.config.dataset == name), data)
        if note:
            print(note)
    return True, sweep(cells, options.workspace, folder, options.jobs)


def report(failures: Sequence[Failure]) -> None:
    """Print the failures.

    Raises:
        UserError: there is a failure.
    """
    for failure in failures:
        print(f"{failure.name} {failure.message} ({failure.log})")
    if failures:
        names = ", ".join(failure.name for failure in failures)
        raise UserError(
            f"{len(failures)} of the runs failed ({names}): the tables do not include them. The "
            "same command runs them again."
        )


def plan_text(cells: Sequence[Cell], runs_dir: Path, jobs: int) -> str:
    """Return the plan of a dry run: the state of each run and the expected time."""
    known = past_seconds(runs_dir)
    lines, total, unknown, todo = [], 0.0, 0, 0
    for cell in cells:
        progress = state(cell, runs_dir)
        if progress == DONE:
            lines.append(f"{progress:<8}{'':>9}  {cell.name}")
            continue
        seconds = expected_seconds(cell, known)
        total += seconds or 0.0
        unknown += seconds is None
        todo += 1
        expected = "?" if seconds is None else duration(seconds)
        lines.append(f"{progress:<8}{expected:>9}  {cell.name}")
    closing = f"{count(len(cells), 'run')}, {len(cells) - todo} of them finished"
    if total:
        closing += f"; about {duration(total / jobs)} of training left"
    if unknown:
        closing += f"; the time of {unknown} is unknown, since no similar run is finished"
    return "\n".join([*lines, closing + "."])


def past_seconds(runs_dir: Path) -> dict[Key, float]:
    """Return the median training time of finished runs by (dataset, encoder[, sampler])."""
    found: dict[Key, list[float]] = {}
    for path in sorted(runs_dir.glob("*/results.json")):
        try:
            results = RunFolder(path.parent).read_results() or {}
            key = (results["dataset"], results["encoder"], results["sampler"])
            seconds = float(results["training_seconds"])
        except (KeyError, TypeError, ValueError):
            continue
        for part in (key, key[:2]):
            found.setdefault(part, []).append(seconds)
    return {key: statistics.median(values) for key, values in found.items()}


def expected_seconds(cell: Cell, known: dict[Key, float]) -> float | None:
    """Return the training time of the runs most similar to a cell, or None without such runs."""
    key = (cell.config.dataset, cell.config.encoder, cell.config.sampler)
    return known.get(key, known.get(key[:2]))
