"""Runs the entries of a table of published results, and finds our values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf import datasets
from recns_tf.errors import UserError
from recns_tf.experiments import baseline_rows
from recns_tf.experiments.baseline_rows import BaselineRows, ClosedForm
from recns_tf.experiments.cells import DONE, NEW, Cell, results_of, state
from recns_tf.experiments.claims import BEST, Claim, Entry, epochs_of
from recns_tf.experiments.options import VerifySettings
from recns_tf.experiments.runner import run_cells
from recns_tf.experiments.sweep import Failure, duration
from recns_tf.runs.folder import Row, RunFolder
from recns_tf.utils.text import count

FOLDER = "verify"
"""The folder of the tables, in that of the runs."""


class Check(NamedTuple):
    """An entry, the values of it that are compared, and the run that gives ours.

    Attributes:
        entry: the entry.
        claims: some of its values.
        cell: the run.
    """

    entry: Entry
    claims: list[Claim]
    cell: Cell

    @property
    def closed_form(self) -> BaselineRows:
        """The baseline to fit."""
        fit = ClosedForm(self.entry.model, self.cell, self.entry.grids)
        return BaselineRows([fit], [])


class Finding(NamedTuple):
    """A published value and ours.

    Attributes:
        check: the entry.
        claim: the published value.
        ours: our value; None if the run failed or was skipped.
    """

    check: Check
    claim: Claim
    ours: float | None

    @property
    def agrees(self) -> bool:
        """Whether there is a value of ours that agrees with the published one."""
        return self.ours is not None and self.claim.agrees(self.ours)


def plan(
    entries: Mapping[str, Entry], names: Sequence[str], epochs: int = 0, seed: int = 0
) -> list[Check]:
    """Return what is to be compared.

    Without `epochs`, these are the quick values of the named entries, or all values of an entry
    that has no quick ones. With it, they are those of the best epoch and of baselines, and those up
    to that epoch.

    Args:
        entries: the published results.
        names: names of entries; [] for all that have a quick value.
        epochs: the last epoch of curves; 0 for that of the quick values.
        seed: seed of the runs.

    Raises:
        UserError: there is no such entry, or it has no value up to that epoch.
    """
    unknown = [name for name in names if name not in entries]
    if unknown:
        raise UserError(
            f"there is no published result '{unknown[0]}': choose some of {', '.join(entries)}."
        )
    quick = [name for name, entry in entries.items() if not all(each.long for each in entry.claims)]
    checks = []
    for name in dict.fromkeys(names or quick):
        entry = entries[name]
        claims = [claim for claim in entry.claims if not claim.long] or list(entry.claims)
        if epochs and entry.epochs:
            claims = [claim for claim in entry.claims if claim.epoch in range(epochs + 1)]
            if not claims:
                raise UserError(
                    f"--epochs={epochs}: the first published value of {name} is that of epoch "
                    f"{entry.epochs[0]}."
                )
        config = entry.config(claims, seed)
        checks.append(Check(entry, claims, Cell(cell_name(entry, claims, seed), config)))
    return checks


def cell_name(entry: Entry, claims: Sequence[Claim], seed: int) -> str:
    """Return the name of the run that gives the values of `claims`."""
    parts = [FOLDER, entry.name]
    if epochs := epochs_of(claims):
        parts.append(f"epochs={epochs[-1]}")
    if seed and not entry.is_baseline:
        parts.append(f"seed{seed}")
    return "-".join(parts)


def progress_of(check: Check, runs_dir: Path) -> str:
    """Return the state of a check: DONE, NEW, or STARTED for a run.

    Raises:
        UserError: see `cells.state`.
    """
    if not check.entry.is_baseline:
        return state(check.cell, runs_dir)
    return DONE if baseline_rows.is_fitted(check.cell, runs_dir) else NEW


def plan_text(checks: Sequence[Check], entries: Mapping[str, Entry], runs_dir: Path) -> str:
    """Return the plan of a dry run: state, expected time, epochs and values of each entry."""
    lines, left, unknown = [], 0.0, 0
    for check in checks:
        entry, epochs = check.entry, epochs_of(check.claims)
        progress = progress_of(check, runs_dir)
        seconds = None if entry.seconds is None else entry.seconds * (epochs[-1] if epochs else 1)
        if progress != DONE:
            left += seconds or 0.0
            unknown += seconds is None
        time = "" if progress == DONE else "?" if seconds is None else duration(seconds)
        trained = f"{count(epochs[-1], 'epoch')} of " if epochs else ""
        values = count(len(check.claims), "value")
        lines.append(
            f"{progress:<8}{time:>9}  {entry.name}: {trained}{entry.model} on {entry.dataset}, "
            f"{values}"
        )
    closing = f"{count(len(checks), 'entry', 'entries')}; about {duration(left)} left on 2 cores"
    if unknown:
        closing += f", and the unknown time of {unknown}"
    return "\n".join([*lines, closing + ".", *unchecked(checks, entries)])


def unchecked(checks: Sequence[Check], entries: Mapping[str, Entry]) -> list[str]:
    """Return sentences about the published values that are not compared."""
    chosen = {check.entry.name: check for check in checks}
    lines = []
    for name, check in chosen.items():
        last = epochs_of(check.claims)
        more = [str(epoch) for epoch in check.entry.epochs if last and epoch > last[-1]]
        if more:
            lines.append(f"{name} also has values of epoch {', '.join(more)}: --epochs={more[0]}")
    if others := [name for name in entries if name not in chosen]:
        lines.append(f"Not checked: {', '.join(others)}; name them to check them.")
    return lines


def run(checks: Sequence[Check], options: VerifySettings, folder: Path) -> list[Failure]:
    """Train and fit what is not finished, and return the failures.

    Args:
        checks: what is compared.
        options: the flags of the command.
        folder: folder of settings and logs.

    Raises:
        UserError: a folder holds a run with other settings, or a dataset cannot be read. Nothing
            was run.
    """
    trained = [check for check in checks if not check.entry.is_baseline]
    fitted = [check for check in checks if check.entry.is_baseline]
    for config in {check.entry.dataset: check.cell.config for check in fitted}.values():
        # Reports errors before the first run.
        datasets.load(config, options.data_dir)
    _, failures = run_cells([check.cell for check in trained], options, folder)
    for check in fitted:
        _, failed = baseline_rows.fit_baselines(check.closed_form, options, folder)
        failures += failed
    return failures


def find(checks: Sequence[Check], runs_dir: Path) -> list[Finding]:
    """Return the published values with ours, those of the finished runs.

    Raises:
        UserError: a file of a run is damaged.
    """
    found = []
    for check in checks:
        done = outcome(check, runs_dir)
        rows = {row["epoch"]: row for row in validated(check, runs_dir)} if done else {}
        for claim in check.claims:
            ours: float | None = None
            if done and claim.epoch in ("", BEST):
                ours = float(done["test"][claim.metric])
            elif done:
                ours = float(rows[claim.epoch]["valid"][claim.metric])
            found.append(Finding(check, claim, ours))
    return found


def outcome(check: Check, runs_dir: Path) -> dict[str, Any] | None:
    """Return the results of a check's run, or None if it is not finished."""
    if check.entry.is_baseline:
        return RunFolder(runs_dir / check.cell.name).read_results()
    return results_of(check.cell, runs_dir)


def validated(check: Check, runs_dir: Path) -> list[Row]:
    """Return the epochs of a run that were measured, on test; [] for a baseline."""
    return [row for row in RunFolder(runs_dir / check.cell.name).rows() if "valid" in row]
