"""The commands reproduce and ablate, on synthetic runs."""

import csv
import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recns_tf import datasets, registry
from recns_tf.baselines.base import TooManyItems
from recns_tf.commands import ablate
from recns_tf.config import flagfiles
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.evaluation import ranking
from recns_tf.experiments import ablation, baseline_rows, cells, plans, significance_tables
from recns_tf.experiments.options import ReproduceSettings
from tests.experiments.worlds import SMALL, epoch, finish

ROOT = Path(__file__).resolve().parents[2]


def call(command, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "recns_tf", command, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """Table 2 for two samplers, from runs with random embeddings."""
    place = tmp_path_factory.mktemp("reproduced")
    runs, data = place / "runs", place / "data"
    interactions = datasets.load(Config(dataset="synthetic", **SMALL), data)
    experiment = plans.customize("table2", ["lightgcn"], {"sampler": ("unins", "recns")}, SMALL)
    points = plans.plan(experiment, "synthetic", (0, 1), SMALL)
    rng = np.random.default_rng(0)
    found = {}
    for cell in (cell for point in points for cell in point.cells):
        shapes = {"user": interactions.num_users, "item": interactions.num_items}
        arrays = {
            name: rng.normal(size=(rows, 8)).astype(np.float32) for name, rows in shapes.items()
        }
        seen = interactions.train + interactions.valid
        test = ranking.evaluate(arrays["user"], arrays["item"], interactions.test, seen)
        shares = {"unins": 0.01, "recns": 0.03}
        false = shares[cell.config.sampler] + 0.01 * cell.config.seed
        folder = finish(
            cell, runs, [test[name] for name in ("recall@20", "ndcg@20", "hr@20")],
            rows=[epoch(1), epoch(2, false_negatives=false), epoch(3, seconds=4)],
            data={"checksum": interactions.checksum},
        )  # fmt: skip
        (folder / "embeddings").mkdir()
        for name, array in arrays.items():
            np.save(folder / "embeddings" / f"{name}.npy", array)
        found[cell.config.sampler, cell.config.seed] = test["recall@20"]
    for cell in baseline_rows.plan(["mf"], "synthetic", (0, 1), SMALL, []).runs:
        finish(cell, runs, (0.9 + 0.1 * cell.config.seed, 0.2, 0.3))
    done = call(
        "reproduce", "table2", "synthetic", "--encoders=lightgcn", "--samplers=unins,recns",
        "--seeds=0,1", "--baselines=popular,ease,mf", f"--runs_dir={runs}", f"--data_dir={data}",
        *(f"--{name}={value}" for name, value in SMALL.items()),
    )  # fmt: skip
    return done, runs / "table2-synthetic", found


@pytest.mark.slow
def test_table_shows_means_and_deviations_of_finished_runs(reproduced):
    done, folder, found = reproduced
    assert done.returncode == 0, done.stderr
    assert "6 of 6 runs are finished already" in done.stdout
    table = (folder / "table.md").read_text()
    assert table.strip() in done.stdout
    for sampler in ("unins", "recns"):
        recalls = [found[sampler, seed] for seed in (0, 1)]
        mean, deviation = np.mean(recalls), np.std(recalls, ddof=1)
        assert f"{100 * mean:.2f} ± {100 * deviation:.2f}" in table


def test_cells_csv_traces_every_number_to_a_run(reproduced):
    _, folder, found = reproduced
    with (folder / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    recalls = {
        (row["value"], int(row["seed"])): float(row["test recall@20"])
        for row in rows
        if row["setting"] == "sampler"
    }
    assert recalls == found and len(rows) == 8
    for row in rows:
        results = json.loads((folder.parent / row["folder"] / "results.json").read_text())
        assert float(row["test hr@20"]) == results["test"]["hr@20"]
        assert row["git_commit"] == (results["git_commit"] or "")


def test_negatives_are_described_beside_the_table(reproduced):
    done, folder, _ = reproduced
    (last,) = [line for line in done.stdout.splitlines() if line.startswith(f"{folder}/: ")]
    names = last.partition(": ")[2].split()
    assert names[-6:] == [
        "negatives.md", "negatives.csv", "negatives.png", "negatives.svg",
        "false_negatives.png", "false_negatives.svg",
    ]  # fmt: skip
    assert all((folder / name).exists() for name in names)
    with (folder / "negatives.csv").open(newline="") as file:
        rows = {(row["sampler"], row["quantity"]): row for row in csv.DictReader(file)}
    for sampler, mean in (("unins", 0.015), ("recns", 0.035)):
        assert float(rows[sampler, "false_negatives"]["mean"]) == pytest.approx(mean)
        assert rows[sampler, "false_negatives"]["seeds"] == "2"
        assert float(rows[sampler, "relative_seconds"]["mean"]) == 1
        assert rows[sampler, "score_ratio"]["mean"] == ""


def test_baselines_are_reported_below_the_table(reproduced):
    done, folder, _ = reproduced
    results = {
        fit.name: json.loads((folder.parent / fit.cell.name / "results.json").read_text())
        for fit in baseline_rows.plan(["popular", "ease"], "synthetic", (), SMALL, []).fits
    }
    shown = {name: f"{100 * found['test']['recall@20']:.2f}" for name, found in results.items()}
    table = (folder / "table.md").read_text()
    for name, percent in shown.items():
        assert re.search(rf"\| {name} \| (<u>)?{percent}", table)
        (log,) = (folder / "logs").glob(f"synthetic-{name}-*.log")
        assert f"{log.stem}: " in done.stdout and "Recall@20" in log.read_text()
    assert "| mf (bpr, unins) | **95.00 ± 7.07** |" in table
    with (folder / "table.csv").open(newline="") as file:
        rows = {row["value"]: row for row in csv.DictReader(file) if row["setting"] == "baseline"}
    assert rows.keys() == {"popular", "ease", "mf"}
    # The last row of each is HR@20.
    assert float(rows["ease"]["mean"]) == results["ease"]["test"]["hr@20"]


def test_baseline_with_too_many_items_leaves_its_line_empty(tmp_path, monkeypatch, capsys):
    def too_large(*arguments):
        raise TooManyItems("ease needs 90 GB.")

    monkeypatch.setattr(baseline_rows.fitting, "fit_and_evaluate", too_large)
    options = ReproduceSettings(runs_dir=str(tmp_path / "runs"), data_dir=str(tmp_path))
    planned = baseline_rows.plan(["ease"], "synthetic", (0,), SMALL, [])
    lines, failures = baseline_rows.fit_baselines(planned, options, tmp_path / "sweep")
    assert failures == [] and baseline_rows.section(lines)[-1] == "| ease | — | — | — |"
    assert capsys.readouterr().out == f"{planned.fits[0].cell.name} is skipped: ease needs 90 GB.\n"


def test_failed_baseline_is_reported_and_does_not_affect_others(tmp_path, capsys):
    runs = tmp_path / "runs"
    options = ReproduceSettings(runs_dir=str(runs), data_dir=str(tmp_path))
    planned = baseline_rows.plan(["popular", "itemknn"], "synthetic", (0,), SMALL, [])
    popular, itemknn = (fit.cell.name for fit in planned.fits)
    (runs / popular).mkdir(parents=True)
    (runs / popular / "mine.txt").write_text("x")
    lines, (failure,) = baseline_rows.fit_baselines(planned, options, tmp_path / "sweep")
    assert failure.name == popular and "is not the folder of a run" in failure.message
    assert [len(line.runs) for line in lines] == [0, 1]
    assert capsys.readouterr().out.startswith(f"{itemknn}: ")
    assert (runs / itemknn / "results.json").exists()


def test_fitted_baseline_is_reused_and_one_of_other_data_is_refused(tmp_path, capsys):
    options = ReproduceSettings(runs_dir=str(tmp_path / "runs"), data_dir=str(tmp_path))
    planned = baseline_rows.plan(["popular"], "synthetic", (0,), SMALL, [])
    first = baseline_rows.fit_baselines(planned, options, tmp_path / "sweep")
    capsys.readouterr()
    assert baseline_rows.fit_baselines(planned, options, tmp_path / "sweep") == first
    assert capsys.readouterr().out == ""
    (popular,) = planned.fits
    cell = popular.cell
    config = dataclasses.replace(cell.config, synthetic_seed=1)
    others = baseline_rows.BaselineRows([popular._replace(cell=cell._replace(config=config))], [])
    (line,), (failure,) = baseline_rows.fit_baselines(others, options, tmp_path / "sweep")
    assert line.runs == [] and "holds a run with other settings" in failure.message


def test_baselines_have_the_settings_of_the_sweep():
    given = {"split_seed": 3, "num_negatives": 5, "sampler": "dns"}
    planned = baseline_rows.plan(["mf", "ease"], "ml-100k", (0, 2), given, [])
    assert [fit.cell.name for fit in planned.fits] == ["ml-100k-ease-split_seed=3"]
    assert [cell.config.seed for cell in planned.runs] == [0, 2]
    config = planned.runs[0].config
    assert (config.sampler, config.loss, config.num_negatives) == ("unins", "bpr", 5)
    assert config.split_seed == 3 and config.l2 == 0.005, "that of flags/ml-100k-mf.flags"
    assert baseline_rows.plan([], "ml-100k", (0,), {}, []) == baseline_rows.BaselineRows([], [])


def test_significance_tests_average_users_over_seeds(reproduced):
    _, folder, found = reproduced
    with (folder / "comparisons.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    difference = np.mean([found["recns", seed] - found["unins", seed] for seed in (0, 1)])
    assert (row["encoder"], row["metric"], row["value"]) == ("lightgcn", "recall@20", "recns")
    assert row["other"] == "unins" and 40 < int(row["users"]) <= 60
    assert float(row["difference"]) == pytest.approx(difference)
    assert all(0 < float(row[test]) <= 1 for test in ("t_test", "wilcoxon", "seeds_and_users"))
    assert row["seeds"] == "2"


def test_embeddings_that_do_not_reproduce_the_results_are_an_error(tmp_path):
    interactions = datasets.load(Config(dataset="synthetic", **SMALL), tmp_path / "data")
    cell = cells.Cell("a", Config(dataset="synthetic", **SMALL))
    folder = finish(cell, tmp_path, data={"checksum": interactions.checksum})
    with pytest.raises(UserError, match=r"user\.npy is missing"):
        significance_tables.per_user_metrics(cell, tmp_path, interactions)
    (folder / "embeddings").mkdir()
    for name, rows in (("user", interactions.num_users), ("item", interactions.num_items)):
        np.save(folder / "embeddings" / f"{name}.npy", np.eye(rows, 8, dtype=np.float32))
    with pytest.raises(UserError, match=r"gives a test Recall@20 of 0\.\d+, .* has 0\.1000"):
        significance_tables.per_user_metrics(cell, tmp_path, interactions)
    other = datasets.load(Config(dataset="synthetic", synthetic_seed=1, **SMALL), tmp_path / "data")
    with pytest.raises(UserError, match="was trained on other data than the present dataset"):
        significance_tables.per_user_metrics(cell, tmp_path, other)


def test_ablation_writes_tables_of_finished_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(flagfiles, "FOLDER", tmp_path)
    (tmp_path / "lightgcn.flags").write_text("")
    (tmp_path / "original.flags").write_text("--khop=5\n--validate_on=test\n")
    presets = ablation.presets("toy", "lightgcn", {}, False)
    found = [(presets[0], ablation.make_rows(*presets, [0, 1]))]
    runs = tmp_path / "runs"
    for n, row in enumerate(found[0][1][:2]):
        for cell in row.cells:
            finish(cell, runs, (0.1 + 0.05 * n + 0.02 * cell.config.seed, 0.2, 0.3))
    text = ablate.write(found, runs, runs / "ablate")
    assert "| none: original | 11.00 ± 1.41 | 20.00 ± 0.00 | 30.00 ± 0.00 |  |  |  |" in text
    assert "| khop 5 → 3 | 16.00 ± 1.41 | 20.00 ± 0.00 | 30.00 ± 0.00 | +5.00 ± 0.00 |" in text
    assert "| validate_on test → valid | — |" in text and ablate.CHOSEN_ON_TEST in text
    assert "## From original: flags/lightgcn.flags + flags/original.flags" in text
    written = {path.name for path in (runs / "ablate").iterdir()}
    assert written == {"ablation.md", "ablation.csv", "ablation.png", "ablation.svg", "cells.csv"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "arguments", "sentence"),
    [
        ("reproduce", ["ml-100k"], "at least two words are needed, DATASET and EXPERIMENT…, not 1"),
        ("reproduce", ["ml-100k", "tabel2", "fig4"], "one dataset and some of table2"),
        (
            "reproduce",
            ["ml-100k", "fig4", "--baselines=x"],
            "--baselines: unknown baseline 'x': choose among popular, itemknn, ease, mf.",
        ),
        ("reproduce", ["ml-100k", "fig4", "--K_negs=3"], "--num_negatives is what fig4 varies"),
        (
            "reproduce",
            ["ml-100k", "table2", "--samplers=all,mixgcf", "--encoders=pinsage"],
            "--sampler=mixgcf chooses negatives in each layer of the encoder, which pinsage does",
        ),
        (
            "reproduce",
            ["ml-100k", "table2", "--samplers=every"],
            "--samplers: unknown sampler 'every': choose all, or some of recns, recns-o",
        ),
        (
            "reproduce",
            ["ml-100k", "fig4", "--tune=2"],
            "--tune needs an experiment that compares samplers; fig4 does not.",
        ),
        (
            "reproduce",
            ["ml-100k", "table2", "--final_epochs=50"],
            "--final_epochs is for runs with tuned settings: choose --tune, too, or --epochs.",
        ),
        (
            "reproduce",
            ["ml-100k", "table2", "--tune=2", "--epochs=30", "--final_epochs=29"],
            "--final_epochs=29: choose at least 30, --epochs.",
        ),
        ("ablate", ["ml-100k"], "two words are needed, DATASET and ENCODER, not 1"),
        ("ablate", ["ml-100k", "lightgcn", "--base=x"], "--base=x: choose one of both, original"),
        (
            "ablate",
            ["ml-100k", "ngcf", "--base=original", "--adjacency=symmetric"],
            "--adjacency=symmetric with --ngcf_form=code: choose --adjacency=symmetric with",
        ),
    ],
)
def test_bad_input_is_a_one_line_error(command, arguments, sentence, tmp_path):
    done = call(command, *arguments, f"--runs_dir={tmp_path}")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"recns_tf: {sentence}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_dry_run_lists_runs_and_writes_nothing(tmp_path):
    base = Config.for_run("ml-100k", "lightgcn")
    for cell in cells.make_cells(dataclasses.replace(base, sampler="dns"), [0], base):
        finish(cell, tmp_path)
    started = tmp_path / "ml-100k-lightgcn-unins"
    started.mkdir()
    unins = dataclasses.replace(base, sampler="unins")
    (started / "config.json").write_text(json.dumps(unins.to_json()))
    done = call(
        "reproduce", "ml-100k", "table2", "--encoders=lightgcn,ngcf", "--samplers=dns,unins",
        "--seeds=0", "--dry_run", f"--runs_dir={tmp_path}", "--jobs=2", "--baselines=popular",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "done               ml-100k-lightgcn-dns",
        "started      12 s  ml-100k-lightgcn-unins",
        "to do           ?  ml-100k-ngcf-dns",
        "to do           ?  ml-100k-ngcf-unins",
        "4 runs, 1 of them finished; about 6 s of training left; the time of 2 is unknown, since "
        "no similar run is finished.",
        "to do              ml-100k-popular, closed form",
    ]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_dry_run_with_all_samplers_says_what_is_left_out(tmp_path):
    done = call(
        "reproduce", "ml-100k", "table2", "--encoders=pinsage", "--samplers=all", "--seeds=0",
        "--dry_run", f"--runs_dir={tmp_path}", "--baselines=", "--tune=2",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    _, *left_out, tuning, table = done.stdout.strip().split("\n", 4)
    assert [sentence.partition(" is left out for pinsage: ")[0] for sentence in left_out] == [
        "mixgcf",
        "dens",
    ]
    assert tuning.startswith("first 2 trials for each of 18 samplers; ")
    *runs, closing = table.splitlines()
    others = [name for name in registry.SAMPLERS if name not in ("mixgcf", "dens")]
    assert [run.split()[-1] for run in runs] == [f"ml-100k-pinsage-{name}" for name in others]
    assert closing.startswith("18 runs, 0 of them finished")
