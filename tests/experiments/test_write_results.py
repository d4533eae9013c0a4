"""Which files an experiment has, and what its table says about runs that are missing."""

import pytest

from recns_tf.experiments import plans, write_results
from recns_tf.experiments.options import ReproduceSettings

SENTENCE = "dens is left out for pinsage: it has one layer."
NEGATIVES = {f"negatives.{ending}" for ending in ("md", "csv", "png", "svg")}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "compares"), [("table2", True), ("table4", False)])
def test_negatives_are_written_if_samplers_are_compared(name, compares, tmp_path):
    experiment = plans.customize(name, ["lightgcn"], {"sampler": ("unins", "dns")}, {})
    points = plans.plan(experiment, "ml-100k", (0,), {})
    options = ReproduceSettings(runs_dir=str(tmp_path), data_dir=str(tmp_path), seeds="0")
    runs = write_results.Runs(points, [SENTENCE], [])
    said = write_results.write(name, experiment, runs, options, tmp_path / "out", [], {})
    names = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    names = {name for name in names if not name.startswith(".")}
    assert names == {"table.md", "table.csv", "comparisons.csv", "cells.csv"} | (
        NEGATIVES if compares else set()
    )
    assert set(said.splitlines()[-1].partition(": ")[2].split()) == names
    table = (tmp_path / "out" / "table.md").read_text()
    assert f"\n\n{SENTENCE}\n\n|" in table and f"0 of {len(points)} runs are finished" in table


@pytest.mark.parametrize(
    ("trials", "method"),
    [(8, "8 trials on validation (quasi-random search)"), (13, "(quasi-random design, then TPE)")],
)
def test_legend_names_the_search_for_hyperparameters(trials, method, tmp_path):
    options = ReproduceSettings(tune=trials)
    assert method in write_results.legend(options, [], [], {}, tmp_path)
