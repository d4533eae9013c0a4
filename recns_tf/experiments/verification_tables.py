"""The table and the picture of `verify`: published results beside ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recns_tf.errors import UserError
from recns_tf.evaluation.display import label
from recns_tf.experiments import figures, results
from recns_tf.experiments.claims import BEST, Entry, epochs_of
from recns_tf.experiments.sweep import Failure
from recns_tf.experiments.verification import (
    FOLDER,
    Check,
    Finding,
    outcome,
    unchecked,
    validated,
)
from recns_tf.runs.folder import Row
from recns_tf.utils import markdown
from recns_tf.utils.files import write_text
from recns_tf.utils.together import written_together

PICTURE = "curves"

COLUMNS = (
    "name", "epoch", "metric", "published", "ours", "difference", "tolerance", "agrees", "source",
)  # fmt: skip
NUMBERS = ("low", "high", "below", "above")
"""Columns of table.csv with the numbers behind the published value and its tolerance."""


def cells_of(finding: Finding) -> dict[str, str]:
    """Return the cells of a finding in the table."""
    claim, ours = finding.claim, finding.ours
    answer = "not run" if ours is None else "yes" if finding.agrees else "no"
    return {
        "name": finding.check.entry.name,
        "epoch": str(claim.epoch),
        "metric": label(claim.metric),
        "published": claim.published,
        "ours": "" if ours is None else f"{ours:.4f}",
        "difference": "" if ours is None else f"{claim.difference(ours):+.4f}",
        "tolerance": f"±{claim.tolerance}",
        "agrees": answer,
        "source": claim.source,
    }


def write(
    findings: Sequence[Finding], entries: Mapping[str, Entry], runs_dir: Path, seed: int
) -> str:
    """Write the table and the picture, and return the table as Markdown.

    Args:
        findings: what is compared.
        entries: all published results.
        runs_dir: folder of the runs.
        seed: seed of the runs.
    """
    folder = runs_dir / FOLDER
    checks = list({finding.check.entry.name: finding.check for finding in findings}.values())
    rows = [cells_of(finding) for finding in findings]
    text = [
        "# Checked against published results",
        "",
        f"Metrics are those of the test part, seed {seed}. The epoch '{BEST}' is the best one on "
        "the test part, as in the source. The difference from a range is that from its nearer end.",
        "",
        *markdown.table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows]),
    ]
    if notes := unchecked(checks, entries):
        text += ["", *(f"- {note}" for note in notes)]
    table = "\n".join(text)
    numbers = [
        {name: getattr(finding.claim, name) for name in NUMBERS}
        | {"ours": "" if finding.ours is None else finding.ours}
        for finding in findings
    ]
    drawn = [check for check in checks if epochs_of(check.claims) and outcome(check, runs_dir)]
    with written_together(folder, last="table.md") as new:
        merged = [row | more for row, more in zip(rows, numbers, strict=True)]
        results.write_csv(new / "table.csv", [*COLUMNS, *NUMBERS], merged)
        if drawn:
            figures.save_figure(picture(drawn, runs_dir), new / PICTURE)
        write_text(new / "table.md", table + "\n")
        for ending in figures.FORMATS:
            # That of an earlier call may show other entries.
            (folder / f"{PICTURE}{ending}").unlink(missing_ok=True)
    written = f"table.md table.csv{f' {PICTURE}.png {PICTURE}.svg' if drawn else ''}"
    return f"{table}\n\n{folder}/: {written}"


def picture(checks: Sequence[Check], runs_dir: Path) -> Figure:
    """Return the curves of some entries, one row each, with one plot per metric."""
    metrics = [list(dict.fromkeys(claim.metric for claim in check.claims)) for check in checks]
    width = max(map(len, metrics))
    figure = Figure(figsize=(5 * width, 4 * len(checks)), layout="constrained")
    plots = figure.subplots(len(checks), width, squeeze=False)
    for line, check, names in zip(plots, checks, metrics, strict=True):
        rows = validated(check, runs_dir)
        for axes, metric in zip(line, names, strict=False):
            draw(axes, check, metric, rows)
        for axes in line[len(names) :]:
            axes.set_axis_off()
    return figure


def draw(axes: Axes, check: Check, metric: str, rows: Sequence[Row]) -> None:
    """Draw a metric of a run over its epochs, and the published values with their tolerance."""
    claims = sorted(
        (claim for claim in check.claims if claim.metric == metric), key=lambda each: each.epoch
    )
    epochs = [claim.epoch for claim in claims]
    middle = [(claim.low + claim.high) / 2 for claim in claims]
    lowest = [claim.low - claim.below for claim in claims]
    highest = [claim.high + claim.above for claim in claims]
    errors = [
        [value - low for value, low in zip(middle, lowest, strict=True)],
        [high - value for value, high in zip(middle, highest, strict=True)],
    ]
    axes.plot([row["epoch"] for row in rows], [row["valid"][metric] for row in rows], label="ours")
    axes.fill_between(epochs, lowest, highest, color="C1", alpha=0.2)
    axes.errorbar(epochs, middle, errors, fmt="o", color="C1", capsize=3, label="published")
    axes.set(title=check.entry.name, xlabel="epoch", ylabel=f"test {label(metric)}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def report(findings: Sequence[Finding], failures: Collection[Failure], folder: Path) -> None:
    """Print the failures.

    Args:
        findings: what was compared.
        failures: the runs that failed.
        folder: the folder of the table, for the message.

    Raises:
        UserError: a value of ours does not agree with the published one, or is missing.
    """
    for failure in failures:
        print(f"{failure.name} {failure.message} ({failure.log})")
    wrong = [each for each in findings if not each.agrees]
    parts = []
    for what, chosen in (
        ("does not agree with what was published", [e for e in wrong if e.ours is not None]),
        ("was not run", [e for e in wrong if e.ours is None]),
    ):
        names = list(dict.fromkeys(each.check.entry.name for each in chosen))
        parts += [f"{name} {what}" for name in names]
    if parts:
        raise UserError(f"{', and '.join(parts)}: see {folder}/table.md.")
