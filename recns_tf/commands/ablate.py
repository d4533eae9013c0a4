"""Measure the effect of each choice in which the authors' code and the paper differ.

Changes one choice at a time. Writes ablation.md, .csv, .png, .svg and cells.csv to
runs_dir/ablate-DATASET-ENCODER-SAMPLER/.
"""

from __future__ import annotations

from pathlib import Path

from recns_tf import datasets, registry
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config
from recns_tf.experiments import ablation, results
from recns_tf.experiments.ablation import Preset, Row
from recns_tf.experiments.options import AblateSettings, fixed_settings
from recns_tf.experiments.results import Line
from recns_tf.experiments.runner import report, run_cells
from recns_tf.utils.files import write_text
from recns_tf.utils.together import written_together

SCALE_NOTE = "the same in all runs, those of the dataset, the encoder and the command line"
CHOSEN_ON_TEST = (
    "With validate_on test, the best epoch is chosen on the test set itself. Such numbers are "
    "higher than those on new data would be."
)


def main(call: Call) -> None:
    """Run the command."""
    dataset, encoder = call.words
    options = call.settings(AblateSettings)
    datasets.require(dataset, options.data_dir)
    registry.find(registry.ENCODERS, "encoder", encoder)
    files, given = fixed_settings(call.arguments, dataset, encoder)
    original, other = ablation.presets(dataset, encoder, given, options.letter, further=files)
    starts = {"original": (original, other), "default": (other, original)}
    chosen = starts if options.base == "both" else {options.base: starts[options.base]}
    found = [
        (base, ablation.make_rows(base, target, options.seed_numbers))
        for base, target in chosen.values()
    ]
    for base, rows in found:
        print(f"base {base.name}: {base_text(base)}; {len(rows) - 1} choices to change")
    print(f"settings of scale are {SCALE_NOTE}: {scale_text(original)}")
    sampler = original.config.sampler.replace(registry.OWN, ".")
    folder = Path(options.runs_dir) / f"ablate-{dataset}-{encoder}-{sampler}"
    cells = [cell for _, rows in found for row in rows for cell in row.cells]
    ready, failures = run_cells(cells, options, folder)
    if ready:
        print(write(found, Path(options.runs_dir), folder))
        report(failures)


def base_text(base: Preset) -> str:
    """Return the flagfiles of a base as text."""
    return " + ".join(f"flags/{path.name}" for path in base.files) or "the defaults"


def scale_text(base: Preset) -> str:
    """Return the settings of scale as text."""
    return ", ".join(f"{name} {getattr(base.config, name)}" for name in ablation.SCALE_SETTINGS)


def write(found: list[tuple[Preset, list[Row]]], runs_dir: Path, folder: Path) -> str:
    """Write the tables and the plot of an ablation; return the tables."""
    config = found[0][0].config
    title = f"{config.dataset}, {config.encoder}, {config.sampler}"
    text = [
        f"# One choice at a time: {title}",
        "",
        "Percentages on test: mean ± standard deviation over seeds. Differences from the base are "
        "paired by seed.",
        "",
        f"Settings of scale are {SCALE_NOTE}: {scale_text(found[0][0])}.",
    ]
    rows, cells, groups = [], [], {}
    for base, steps in found:
        lines = [
            Line(config.encoder, row.change, row.change, results.finished(row.cells, runs_dir))
            for row in steps
        ]
        lines[0] = lines[0]._replace(label=f"none: {base.name}")
        text += ["", f"## From {base.name}: {base_text(base)}", "", *ablation.markdown(lines)]
        rows += ablation.csv_rows(base.name, lines)
        cells += [
            results.cell_row("ablate", base.name, "change", line, *run)
            for line in lines
            for run in line.runs
        ]
        groups[f"from {base.name}"] = lines
    if any(
        cell.config.to_json().get("validate_on") == "test"
        for _, steps in found
        for row in steps
        for cell in row.cells
    ):
        text += ["", CHOSEN_ON_TEST]
    table = "\n".join(text)
    with written_together(folder, last="ablation.md") as new:
        results.write_csv(new / "ablation.csv", ablation.CSV_COLUMNS, rows)
        results.write_csv(new / "cells.csv", results.CELL_COLUMNS, cells)
        ablation.plot_differences(groups, title, new / "ablation")
        write_text(new / "ablation.md", table + "\n")
    return f"{table}\n\n{folder}/: ablation.md ablation.csv ablation.png ablation.svg cells.csv"


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET ENCODER",
    example="ml-100k lightgcn",
    settings=(Config, AblateSettings),
    run=main,
    interrupted="the same command continues from here",
)
