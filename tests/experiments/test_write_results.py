"""Which files an experiment has, and what its table says about runs that are missing."""

import csv
import json
from itertools import combinations

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.evaluation import ranking
from recns_tf.evaluation.metrics import METRICS
from recns_tf.evaluation.shown_metrics import shown_metrics_per_user
from recns_tf.experiments import plans, write_results
from recns_tf.experiments.cells import Cell
from recns_tf.experiments.options import ReproduceSettings
from recns_tf.experiments.results import Line
from tests.experiments.worlds import SMALL, epoch, finish

SENTENCE = "dens is left out for pinsage: it has one layer."
NEGATIVES = {f"negatives.{ending}" for ending in ("md", "csv", "png", "svg")} | {
    f"false_negatives.{ending}" for ending in ("png", "svg")
}


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


def test_legend_says_how_long_the_runs_after_tuning_were(tmp_path):
    said = [
        write_results.legend(ReproduceSettings(tune=8, final_epochs=final), [], [], {}, tmp_path)
        for final in (0, 90)
    ]
    assert said[1] == said[0] + " The runs in this table have at most 90 epochs."


VALID = {"recall@20": 0.1}


def run(best, epochs=30, valid=VALID, **settings):
    """Return a run with this best epoch and --epochs."""
    return Cell("name", Config(epochs=epochs, **settings)), {"best_epoch": best, "valid": valid}


def test_runs_that_epochs_may_have_ended_too_early_are_named():
    lines = [
        Line("lightgcn", "dns", "dns", [run(8), run(10)]),
        Line("lightgcn", "recns", "RecNS", [run(30), run(28), run(30)]),
        Line("ngcf", "unins", "unins", [run(30)]),
        # The last epoch is what --keep=last asks for, and says nothing of convergence.
        Line("ngcf", "dns", "dns", [run(30, keep="last")]),
        # Nor does it if there is nothing to validate on.
        Line("ngcf", "popns", "popns", [run(30, valid=None)]),
        Line("ngcf", "recns", "recns", [run(30, valid=None, validate_on="test")]),
        Line("ngcf", "srns", "srns", [run(30, epochs=40)]),
        Line("", "mf", "mf", [run(30)]),
        Line("", "ease", "ease", [run(None)]),
        Line("ngcf", "mcns", "mcns", []),
    ]
    assert write_results.at_limit(lines) == [
        "",
        f"{write_results.AT_LIMIT}lightgcn RecNS (2 of 3 runs), ngcf unins (1 of 1 run), "
        "ngcf recns (1 of 1 run), mf (1 of 1 run).",
    ]
    assert write_results.at_limit(lines[:1]) == []


@pytest.mark.parametrize(("epochs", "is_there"), [(2, True), (3, False)])
def test_a_table_says_whether_its_runs_may_have_ended_too_early(epochs, is_there, tmp_path):
    """The best epoch of the runs is the second."""
    folder, _ = written(tmp_path, 0.0, epochs=epochs)
    sentence = f"{write_results.AT_LIMIT}lightgcn unins (2 of 2 runs), lightgcn recns (2 of 2 runs)"
    assert (f"|\n\n{sentence}.\n\n" in (folder / "table.md").read_text()) == is_there


def written(tmp_path, share, name="table2", samplers=("unins", "recns"), epochs=3, **flags):
    """Write an experiment that compares samplers, from random embeddings; exposures are held out.

    Return its folder, and the metrics within the shown items per user by sampler and seed.
    """
    settings = SMALL | {"test_exposed_share": share, "epochs": epochs}
    runs_dir, data_dir = tmp_path / "runs", tmp_path / "data"
    data = datasets.load(Config(dataset="synthetic", **settings), data_dir)
    experiment = plans.customize(name, ["lightgcn"], {"sampler": samplers}, settings)
    points = plans.plan(experiment, "synthetic", (0, 1), settings)
    found = {}
    rng = np.random.default_rng(0)
    for cell in (cell for point in points for cell in point.cells):
        arrays = [rng.normal(size=(rows, 8)).astype(np.float32) for rows in data.train.shape]
        test = ranking.evaluate_part(*arrays, data, "test")
        if share:
            found[cell.config.sampler, cell.config.seed] = shown_metrics_per_user(arrays, data)
        rows = [epoch(1), epoch(2, seconds=2.0 + cell.config.num_negatives)]
        folder = finish(cell, runs_dir, rows=rows, data={"checksum": data.checksum})
        path = folder / "results.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"test": test}))
        (folder / "embeddings").mkdir()
        for table, array in zip(("user", "item"), arrays, strict=True):
            np.save(folder / "embeddings" / f"{table}.npy", array)
    options = ReproduceSettings(
        runs_dir=str(runs_dir), data_dir=str(data_dir), seeds="0,1", **flags
    )
    runs = write_results.Runs(points, [], [])
    write_results.write(name, experiment, runs, options, tmp_path / "out", [], settings)
    return tmp_path / "out", found


def test_metrics_within_shown_items_have_a_table_and_tests(tmp_path):
    folder, found = written(tmp_path, 0.1)
    text = (folder / "table.md").read_text()
    table = text.partition(write_results.SHOWN_CAPTION)[2]
    with (folder / "cells.csv").open(newline="") as file:
        cells = {(row["value"], int(row["seed"])): row for row in csv.DictReader(file)}
    for name in ("shown_auc", "shown_ndcg"):
        for sampler in ("unins", "recns"):
            means = [found[sampler, seed][name].mean() for seed in (0, 1)]
            assert f"{100 * np.mean(means):.2f} ± {100 * np.std(means, ddof=1):.2f}" in table
            assert float(cells[sampler, 1][f"test {name}"]) == means[1]


def test_metrics_within_shown_items_are_compared_over_their_users(tmp_path):
    folder, found = written(tmp_path, 0.1)
    with (folder / "comparisons.csv").open(newline="") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    assert [*rows] == [*METRICS, "shown_auc", "shown_ndcg"]
    row = rows["shown_auc"]
    ours, theirs = (
        np.mean([found[sampler, seed]["shown_auc"] for seed in (0, 1)], axis=0)
        for sampler in ("unins", "recns")
    )
    assert int(row["users"]) == len(ours) < int(rows["recall@20"]["users"])
    over = f"over {rows['recall@20']['users']} users ({row['users']} for the metrics within"
    assert over in (folder / "table.md").read_text()
    assert abs(float(row["difference"])) == pytest.approx(abs((ours - theirs).mean()))


def test_without_held_out_exposures_there_is_no_such_table(tmp_path):
    folder, _ = written(tmp_path, 0.0)
    assert write_results.SHOWN_CAPTION not in (folder / "table.md").read_text()
    with (folder / "comparisons.csv").open(newline="") as file:
        assert [row["metric"] for row in csv.DictReader(file)] == [*METRICS]


def test_every_pair_is_tested_on_request_beside_the_best(tmp_path):
    samplers = ("unins", "dns", "recns")
    rows = {}
    for pairs in (False, True):
        folder, _ = written(tmp_path / str(pairs), 0.1, samplers=samplers, pairs=pairs)
        with (folder / "comparisons.csv").open(newline="") as file:
            rows[pairs] = list(csv.DictReader(file))
        text = (folder / "table.md").read_text()
        users = rows[pairs][0]["users"]
        within = f" ({rows[pairs][-1]['users']} for the metrics within the shown items)"
        for caption, is_there in (("COMPARISON", True), ("PAIRS", pairs)):
            start, _, end = getattr(write_results, f"{caption}_CAPTION").partition("{0.users}")
            start, end = start.replace("{0.value}", "recns"), end.replace("{1}", within)
            assert (f"\n{start}{users}{end}\n" in text) == is_there, caption
    metrics = [*METRICS, "shown_auc", "shown_ndcg"]
    assert [row["family"] for row in rows[False]] == ["reference"] * len(metrics)
    assert rows[True][: len(metrics)] == rows[False], "the other tests are as they were"
    others = rows[True][len(metrics) :]
    assert [row["metric"] for row in others] == [name for name in metrics for _ in range(3)]
    assert {row["family"] for row in others} == {"pairs"}
    for start in range(0, len(others), 3):
        found = {frozenset((row["value"], row["other"])) for row in others[start : start + 3]}
        assert found == {frozenset(pair) for pair in combinations(samplers, 2)}
    assert all(float(row["difference"]) >= 0 for row in others)


def test_panels_that_compare_samplers_are_kept_apart(tmp_path):
    folder, _ = written(tmp_path, 0.0, "loss")
    panels = [f"k = {k}, {loss}" for k in (1, 15) for loss in ("bpr", "pairwise_hinge")]
    for name, rows in (("table.csv", 2 * len(METRICS)), ("comparisons.csv", len(METRICS))):
        with (folder / name).open(newline="") as file:
            found = [row["panel"] for row in csv.DictReader(file)]
        assert found == [panel for panel in panels for _ in range(rows)], name
    with (folder / "negatives.csv").open(newline="") as file:
        relative = {
            (row["encoder"], row["sampler"]): float(row["mean"])
            for row in csv.DictReader(file)
            if row["quantity"] == "relative_seconds"
        }
    # UniNS of the same k, whose epochs take longer with k, is the unit.
    assert relative == {
        (f"lightgcn, {panel}", sampler): 1.0 for panel in panels for sampler in ("unins", "recns")
    }
    text = (folder / "table.md").read_text()
    for panel in panels:
        assert f"\n## {panel}\n\n| encoder | sampler | Recall@20" in text
    assert (
        "<!-- The number k of negatives and the loss: synthetic -->"
        in (folder / "loss.svg").read_text()
    )
