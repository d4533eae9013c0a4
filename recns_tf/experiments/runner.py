"""What all commands over many runs do with their cells: tell the plan, or run them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from recns_tf import datasets
from recns_tf.errors import UserError
from recns_tf.experiments.cells import DONE, Cell, distinct, state
from recns_tf.experiments.options import SweepSettings
from recns_tf.experiments.sweep import Failure, duration, sweep
from recns_tf.runs.folder import RunFolder

Key = tuple[str, ...]


def run_cells(
    cells: Iterable[Cell], asked: SweepSettings, folder: Path
) -> tuple[bool, list[Failure]]:
    """Run the cells that are not finished, or only tell the plan.

    Args:
        cells: the runs.
        asked: the flags of the sweep.
        folder: of the sweep.

    Returns:
        Whether there is something to make tables of, and the runs that failed.

    Raises:
        UserError: a folder is damaged or of a run with other settings, or the dataset cannot be
            read. Nothing was run.
    """
    cells = distinct(cells)
    runs_dir = Path(asked.runs_dir)
    if asked.dry_run:
        print(plan_text(cells, runs_dir, asked.jobs))
        return False, []
    todo = [cell for cell in cells if state(cell, runs_dir) != DONE]
    if todo:
        # What is wrong with the dataset is told once, and it is downloaded by one process alone.
        datasets.load(todo[0].config, asked.data_dir)
    return True, sweep(cells, asked.workspace, folder, asked.jobs)


def report(failures: Sequence[Failure]) -> None:
    """Tell what failed, if anything.

    Raises:
        UserError: something did.
    """
    for failure in failures:
        print(f"{failure.name} {failure.last_line} ({failure.log})")
    if failures:
        names = ", ".join(failure.name for failure in failures)
        raise UserError(
            f"{len(failures)} of the runs failed ({names}): the tables stand without them, and the "
            "same command tries them again."
        )


def plan_text(cells: Sequence[Cell], runs_dir: Path, jobs: int) -> str:
    """Return which runs there are to be, how far each is, and how long they will take."""
    known = past_seconds(runs_dir)
    lines, total, unknown, todo = [], 0.0, 0, 0
    for cell in cells:
        where = state(cell, runs_dir)
        if where == DONE:
            lines.append(f"{where:<8}{'':>9}  {cell.name}")
            continue
        seconds = expected_seconds(cell, known)
        total += seconds or 0.0
        unknown += seconds is None
        todo += 1
        told = "?" if seconds is None else duration(seconds)
        lines.append(f"{where:<8}{told:>9}  {cell.name}")
    closing = f"{len(cells)} runs, {len(cells) - todo} of them finished"
    if total:
        closing += f"; about {duration(total / jobs)} of training are left"
    if unknown:
        closing += f"; the time of {unknown} is unknown, as no run like them is finished"
    return "\n".join([*lines, closing + "."])


def past_seconds(runs_dir: Path) -> dict[Key, float]:
    """Return the median training time of finished runs by (dataset, encoder[, sampler])."""
    found: dict[Key, list[float]] = {}
    for path in sorted(runs_dir.glob("*/results.json")):
        try:
            results = RunFolder(path.parent).read_results() or {}
            key = (results["dataset"], results["encoder"], results["sampler"])
            seconds = float(results["training_seconds"])
        except (UserError, KeyError, TypeError, ValueError):
            continue
        for part in (key, key[:2]):
            found.setdefault(part, []).append(seconds)
    return {key: statistics.median(values) for key, values in found.items()}


def expected_seconds(cell: Cell, known: dict[Key, float]) -> float | None:
    """Return the training time of runs most like the cell, None if there is none."""
    key = (cell.config.dataset, cell.config.encoder, cell.config.sampler)
    return known.get(key, known.get(key[:2]))
