"""The command verify, with a small table of published results in place of the package's."""

import csv
import dataclasses
import json
import re

import keras
import matplotlib.image
import pytest

from recns_tf.baselines.fit import fit_and_evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Config, Workspace
from recns_tf.datasets import load
from recns_tf.experiments import claims, verification, verification_tables
from recns_tf.experiments.options import VerifySettings
from recns_tf.experiments.sweep import Failure
from recns_tf.main import main
from recns_tf.training.train import train_and_evaluate
from tests.experiments import worlds
from tests.experiments.test_claims import BASELINE, CURVE, write

SMALL = {**worlds.SMALL, "batch_size": 64, "num_negatives": 2, "learning_rate": 0.01}
FLAGS = " ".join(f"--{name}={value}" for name, value in SMALL.items())
DATA = " ".join(f"--{name}={value}" for name, value in SMALL.items() if "synthetic" in name)
CONFIG = Config.for_run(
    "synthetic", "mf", sampler="unins", loss="bpr", validate_on="test", valid_share=0.0,
    epochs=3, patience=3, **SMALL,
)  # fmt: skip

ALL = ("curve", "best", "knn", "--epochs=3")
MADE_UP = {
    ("curve", 1, "recall@20"): 0.5,
    ("curve", 3, "recall@20"): 0.5,
    ("best", "best", "recall@20"): 0.5,
    ("knn", "", "recall@20"): 0.5,
}
"""Values by name, epoch and metric, for tests in which it does not matter what they are."""


def rows(values, tolerance=".00005"):
    """Return the rows of three entries, given their values by name, epoch and metric."""
    found = []
    for (name, epoch, metric), value in values.items():
        base = BASELINE if name == "knn" else CURVE
        grid = "--itemknn_neighbors=20 --itemknn_shrink=0 "
        flags = grid + DATA if name == "knn" else FLAGS
        if name == "best":
            flags += " --epochs=3 --patience=2"
        found.append(
            base | {
                "name": name, "settings": flags, "epoch": epoch, "metric": metric,
                "value": f"{value:.6f}", "tolerance": tolerance,
                "length": "quick" if (name, epoch) in (("curve", 1), ("knn", "")) else "long",
            }
        )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder, and the values that runs outside of the command give."""
    place = tmp_path_factory.mktemp("verify")
    workspace = Workspace(data_dir=str(place / "data"), runs_dir=str(place / "own"))
    train_and_evaluate(CONFIG, workspace, quiet=True)
    lines = workspace.run_folder(CONFIG).joinpath("metrics.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["valid"] for line in lines]
    values = {
        ("curve", epoch, metric): epochs[epoch - 1][metric]
        for epoch in (1, 3)
        for metric in ("recall@20", "ndcg@20")
    }
    values["best", "best", "recall@20"] = max(each["recall@20"] for each in epochs)
    grids = BaselineSettings(itemknn_neighbors="20", itemknn_shrink="0")
    data = load(CONFIG, workspace.data_dir)
    knn = fit_and_evaluate("itemknn", CONFIG, grids, workspace, data)
    values["knn", "", "recall@20"] = knn["test"]["recall@20"]
    return place, values


@pytest.fixture
def verify(tmp_path, monkeypatch, capsys):
    """A function that runs the command in a folder, and returns its sentence and its output."""

    def run(table, *words, place=tmp_path):
        monkeypatch.setattr(claims, "TABLE", write(tmp_path / "published.csv", *table))
        folders = (f"--runs_dir={place / 'runs'}", f"--data_dir={place / 'data'}")
        sentence = None
        try:
            main(["verify", *words, *folders])
        except SystemExit as end:
            sentence = end.code
        return sentence, capsys.readouterr().out

    return run


def table_of(place):
    with (place / "runs" / "verify" / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_curves_best_epochs_and_baselines_are_compared(world, verify):
    place, values = world
    sentence, output = verify(rows(values), *ALL, place=place)
    assert sentence is None, output
    found = table_of(place)
    assert {(r["name"], r["epoch"], r["metric"]): r["agrees"] for r in found} == {
        (name, str(epoch), {"recall@20": "Recall@20", "ndcg@20": "NDCG@20"}[metric]): "yes"
        for name, epoch, metric in values
    }
    for row, value in zip(found, values.values(), strict=True):
        assert float(row["ours"]) == pytest.approx(value, abs=1e-6) and value > 0
    table = (place / "runs" / "verify" / "table.md").read_text()
    assert table.strip() in output and "| a paper |" in table
    assert matplotlib.image.imread(place / "runs" / "verify" / "curves.png").ndim == 3

    config = json.loads((place / "runs" / "verify-curve-epochs=3" / "config.json").read_text())
    assert (config["validate_on"], config["valid_share"], config["epochs"]) == ("test", 0.0, 3)

    # Nothing is trained again, and a wrong value is noticed.
    before = {path: path.stat().st_mtime_ns for path in (place / "runs").rglob("results.json")}
    assert len(before) == 3
    for key in (("curve", 3, "ndcg@20"), ("best", "best", "recall@20"), ("knn", "", "recall@20")):
        wrong = values | {key: values[key] + 0.0002}
        sentence, output = verify(rows(wrong), *ALL, place=place)
        expected = f"{key[0]} does not agree with what was published: see "
        assert expected in sentence and sentence.count("agree") == 1
        assert [r["agrees"] for r in table_of(place)].count("no") == 1
        assert "-0.0002" in output
    assert {path: path.stat().st_mtime_ns for path in before} == before

    # A looser tolerance, in the words of the table.
    sentence, _ = verify(rows(wrong, "10%"), *ALL, place=place)
    assert sentence is None

    # The picture of an earlier call does not stay beside the table of another.
    sentence, _ = verify(rows(values), "knn", place=place)
    assert sentence is None and not (place / "runs" / "verify" / "curves.png").exists()


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_an_interrupted_run_resumes(world, verify, tmp_path):
    _, values = world
    workspace = Workspace(
        data_dir=str(tmp_path / "data"),
        runs_dir=str(tmp_path / "runs"),
        run_name="verify-curve-epochs=3",
    )
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(CONFIG, workspace, callbacks=[Interrupt()], quiet=True)
    assert not (tmp_path / "runs" / "verify-curve-epochs=3" / "results.json").exists()
    sentence, output = verify(rows(values), "curve", "--epochs=3")
    assert sentence is None and output.startswith("started ")
    (log,) = (tmp_path / "runs" / "verify" / "logs").iterdir()
    assert "resuming after epoch 2" in log.read_text()


def test_a_dry_run_lists_entries_and_writes_nothing(verify, tmp_path):
    sentence, output = verify(rows(MADE_UP), "--dry_run")
    assert sentence is None and not (tmp_path / "runs").exists()
    assert output.splitlines() == [
        "to do         0 s  curve: 1 epoch of mf on synthetic, 1 value",
        "to do         0 s  knn: itemknn on synthetic, 1 value",
        "2 entries; about 1 s left on 2 cores.",
        "curve also has values of epoch 3: --epochs=3",
        "Not checked: best; name them to check them.",
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["curves"],
            r"there is no published result 'curves': choose some of curve, best, knn, late\.",
        ),
        (["curve", "x"], "there is no published result 'x'"),
        (["late", "--epochs=2"], "--epochs=2: the first published value of late is that of epoch"),
        (["--epochs=-1"], "--epochs=-1: choose a whole number from 0"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_run(verify, tmp_path, words, sentence):
    late = rows({("late", 3, "recall@20"): 0.5})
    refused, output = verify([*rows(MADE_UP), *late], *words)
    assert re.search(sentence, refused) and output == "" and not (tmp_path / "runs").exists()


def test_a_damaged_table_is_named_with_its_line(verify, tmp_path):
    table = rows(MADE_UP)
    table[1]["value"] = "much"
    refused, _ = verify(table)
    assert "published.csv, line 3 is damaged (its value 'much' is not a number)" in refused


def test_a_run_with_other_settings_is_refused_before_anything_is_run(verify, tmp_path):
    runs = tmp_path / "runs"
    other = dataclasses.replace(CONFIG, dim=3, epochs=1, patience=1)
    worlds.finish(verification.Cell("verify-curve-epochs=1", other), runs)
    refused, _ = verify(rows(MADE_UP))
    assert "holds a run with other settings (dim 3 there, 8 here)" in refused
    assert [path.name for path in runs.iterdir()] == ["verify-curve-epochs=1"]


def entries_of(tmp_path, *table):
    return claims.read(write(tmp_path / "t.csv", *table))


@pytest.fixture
def entries(tmp_path):
    """Entries with all kinds of values; what they are does not matter."""
    return entries_of(tmp_path, *rows(MADE_UP))


def test_which_values_are_compared(entries):
    def chosen(names, **options):
        checks = verification.plan(entries, names, **options)
        return {each.cell.name: [claim.epoch for claim in each.claims] for each in checks}

    assert chosen([]) == {"verify-curve-epochs=1": [1], "verify-knn": [""]}
    assert chosen(["best", "knn", "best"]) == {"verify-best": ["best"], "verify-knn": [""]}
    assert chosen(["curve"], epochs=2, seed=4) == {"verify-curve-epochs=1-seed4": [1]}
    assert chosen([], epochs=3) == {"verify-curve-epochs=3": [1, 3], "verify-knn": [""]}
    assert chosen(["best", "knn"], epochs=9, seed=4) == {
        "verify-best-seed4": ["best"], "verify-knn": [""],
    }  # fmt: skip


def test_an_entry_that_was_not_run_is_named(entries, tmp_path, capsys):
    checks = verification.plan(entries, ["curve", "best", "knn"])
    findings = [
        verification.Finding(checks[0], checks[0].claims[0], 0.4),
        verification.Finding(checks[1], checks[1].claims[0], None),
        verification.Finding(checks[2], checks[2].claims[0], 0.5),
    ]
    failure = Failure("verify-best", "failed: why", tmp_path / "log")
    with pytest.raises(ValueError, match=r"curve does not agree .*, and best was not run: see f/"):
        verification_tables.report(findings, [failure], "f")
    assert capsys.readouterr().out == f"verify-best failed: why ({tmp_path}/log)\n"
    verification_tables.report(findings[2:], [], "f")
    table = verification_tables.write(findings, entries, tmp_path / "runs", 0)
    assert "| 0.5000 |  |  | ±.00005 | not run |" in table
    assert "| 0.5000 | 0.4000 | -0.1000 | ±.00005 | no |" in table


def test_curves_are_drawn_with_the_published_values_and_their_tolerance(tmp_path):
    table = [
        CURVE | {"epoch": str(epoch), "value": value, "tolerance": "10%"}
        for epoch, value in ((4, ".4"), (2, ".1-.3"))
    ]
    (check,) = verification.plan(entries_of(tmp_path, *table), [])
    trained = [{"epoch": n, "valid": {"recall@20": n / 10}} for n in (2, 4)]
    axes = verification_tables.Figure().subplots()
    verification_tables.draw(axes, check, "recall@20", trained)
    line, published = axes.lines[0], axes.lines[1]
    assert line.get_xydata().tolist() == [[2, 0.2], [4, 0.4]]
    assert published.get_xydata().tolist() == [[2, 0.2], [4, 0.4]]
    (band,) = (each for each in axes.collections if each.get_facecolor().size and each.get_alpha())
    corners = {tuple(point) for point in band.get_paths()[0].vertices.round(6).tolist()}
    assert {(2, 0.09), (2, 0.33), (4, 0.36), (4, 0.44)} <= corners
    assert axes.get_title() == "curve" and axes.get_ylabel() == "test Recall@20"


def test_a_baseline_that_needs_too_much_memory_is_not_run(tmp_path, monkeypatch, capsys):
    from recns_tf.baselines import ease

    row = BASELINE | {"name": "e", "encoder": "ease", "settings": f"--ease_l2=9 {DATA}"}
    checks = verification.plan(entries_of(tmp_path, row), ["e"])
    monkeypatch.setattr(ease, "available_bytes", lambda: 8 * 80**2 - 1)
    options = VerifySettings(runs_dir=str(tmp_path / "runs"), data_dir=str(tmp_path))
    assert verification.run(checks, options, tmp_path / "runs" / "verify") == []
    assert "verify-e is skipped: ease needs 0.1 MB" in capsys.readouterr().out
    (finding,) = verification.find(checks, tmp_path / "runs")
    assert finding.ours is None and not finding.agrees
    monkeypatch.setattr(ease, "available_bytes", lambda: 8 * 80**2)
    verification.run(checks, options, tmp_path / "runs" / "verify")
    (finding,) = verification.find(checks, tmp_path / "runs")
    assert finding.ours is not None
