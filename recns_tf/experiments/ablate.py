"""What each choice of the authors' code costs or gains: ./run.sh ablate DATASET ENCODER.

Leaves runs_dir/ablate-DATASET-ENCODER-SAMPLER/: ablation.md, .csv, .png, .svg, and cells.csv.
"""

from __future__ import annotations

import sys
from pathlib import Path

from recns_tf import catalog, command_line, datasets, options
from recns_tf.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments import ablation, results, settings
from recns_tf.experiments.ablation import Row, Side
from recns_tf.experiments.carry_out import carry_out, report
from recns_tf.experiments.options import AblateSettings
from recns_tf.experiments.results import Line
from recns_tf.files import write_text

STAY = "on both sides those of the dataset, the encoder and the command line"
CHOSEN_ON_TEST = (
    "With validate_on test the best epoch is chosen on the test set itself: such numbers are "
    "higher than those of new data would be."
)


def main(words: list[str]) -> None:
    """Run the command line whose positional words are `words`."""
    command_line.require_words(words, ("DATASET", "ENCODER"), "./run.sh ablate ml-100k lightgcn")
    dataset, encoder = words
    asked = options.from_flags(AblateSettings)
    datasets.require(dataset, asked.data_dir)
    catalog.find(catalog.ENCODERS, "encoder", encoder)
    files, given = settings.from_command_line(sys.argv, dataset, encoder)
    if "seed" in given:
        raise UserError("--seed is what a sweep varies: choose seeds by --seeds=0,1,2.")
    original, other = ablation.sides(dataset, encoder, given, asked.letter, further=files)
    starts = {"original": (original, other), "default": (other, original)}
    chosen = starts if asked.base == "both" else {asked.base: starts[asked.base]}
    found = [
        (base, ablation.rows(base, turned, asked.seed_numbers)) for base, turned in chosen.values()
    ]
    for base, rows in found:
        print(f"base {base.name}: {base_text(base)}; {len(rows) - 1} choices to turn")
    print(f"{STAY}: {stay_text(original)}")
    sampler = original.config.sampler.replace(catalog.OWN, ".")
    folder = Path(asked.runs_dir) / f"ablate-{dataset}-{encoder}-{sampler}"
    cells = [cell for _, rows in found for row in rows for cell in row.cells]
    ready, failures = carry_out(cells, asked, folder)
    if ready:
        print(write(found, Path(asked.runs_dir), folder))
        report(failures)


def base_text(base: Side) -> str:
    """Return where the settings of a base come from."""
    return " + ".join(f"flags/{path.name}" for path in base.files) or "the defaults"


def stay_text(base: Side) -> str:
    """Return the settings that stay as they are."""
    return ", ".join(f"{name} {getattr(base.config, name)}" for name in ablation.STAYS)


def write(found: list[tuple[Side, list[Row]]], runs_dir: Path, folder: Path) -> str:
    """Write the tables and the picture of an ablation; return the tables."""
    config = found[0][0].config
    title = f"{config.dataset}, {config.encoder}, {config.sampler}"
    text = [
        f"# One choice at a time: {title}",
        "",
        "Percentages on test: mean ± standard deviation over seeds. Differences are to the base, "
        "seed by seed.",
        "",
        f"Settings of scale are {STAY}: {stay_text(found[0][0])}.",
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
    write_text(folder / "ablation.md", table + "\n")
    results.write_csv(folder / "ablation.csv", ablation.CSV_COLUMNS, rows)
    results.write_csv(folder / "cells.csv", results.CELL_COLUMNS, cells)
    ablation.draw(groups, title, folder / "ablation")
    return f"{table}\n\n{folder}/: ablation.md ablation.csv ablation.png ablation.svg cells.csv"


def run() -> None:
    """Entry point of ./run.sh ablate."""
    command_line.run(main, (Config, AblateSettings))


if __name__ == "__main__":
    run()
