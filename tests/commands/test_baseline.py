import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recns_tf.baselines import fit as fitting
from recns_tf.baselines.base import Fit
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.interactions import make_interactions, to_pairs
from recns_tf.runs import data
from recns_tf.runs.files import LISTS
from recns_tf.runs.summary import summarize
from tests.conftest import make_toy


@pytest.fixture
def workspace(tmp_path):
    return Workspace(runs_dir=str(tmp_path))


def fit(name, workspace, data, **settings):
    config = Config(dataset="ml-100k")
    return fitting.fit_and_evaluate(name, config, BaselineSettings(**settings), workspace, data)


def test_best_fit_on_validation_is_tested_once(toy, workspace, monkeypatch, capsys):
    parts = []
    real = fitting.evaluate

    def spy(scores, held_out, *arguments, **options):
        parts.append("test" if held_out is toy.test else "valid")
        return real(scores, held_out, *arguments, **options)

    monkeypatch.setattr(fitting, "evaluate", spy)
    results = fit("ease", workspace, toy, ease_l2="1,10,100")
    assert parts == ["valid"] * 3 + ["test"]
    recalls = [row["valid"]["recall@20"] for row in results["tried"]]
    best = results["tried"][int(np.argmax(recalls))]
    assert len(set(recalls)) > 1, "the grid makes a difference here"
    assert results["chosen"] == best["settings"] and results["valid"] == best["valid"]
    folder = Path(workspace.runs_dir) / "ml-100k-ease"
    assert json.loads((folder / "results.json").read_text()) == results
    lists = np.load(folder / LISTS)
    for u in range(40):
        assert not set(lists[u]) & {*toy.train[[u]].indices, *toy.valid[[u]].indices}
    hits = [len(set(lists[u]) & set(toy.test[[u]].indices)) for u in range(40)]
    counts = np.diff(toy.test.indptr)
    recall = np.mean([hit / count for hit, count in zip(hits, counts, strict=True) if count])
    assert results["test"]["recall@20"] == pytest.approx(recall)
    assert "chosen" in capsys.readouterr().out


def test_finished_baseline_is_shown_again_and_another_grid_is_refused(toy, workspace, capsys):
    first = fit("ease", workspace, toy, ease_l2="1")
    assert fit("ease", workspace, toy, ease_l2="1") == first
    assert "is finished" in capsys.readouterr().out
    with pytest.raises(UserError, match="ease_l2 1 there, 2 here"):
        fit("ease", workspace, toy, ease_l2="2")


def test_finished_baseline_of_an_earlier_version_is_shown(toy, workspace, capsys):
    grids = {"itemknn_neighbors": "5", "itemknn_shrink": "0"}
    first = fit("itemknn", workspace, toy, **grids)
    path = Path(workspace.runs_dir) / "ml-100k-itemknn" / "config.json"
    settings = json.loads(path.read_text())
    del settings["history"], settings["itemknn_scores"]
    path.write_text(json.dumps(settings))
    (path.parent / "manifest.json").unlink()
    with pytest.raises(UserError, match="itemknn_scores sum there, deviations here"):
        fit("itemknn", workspace, toy, itemknn_scores="deviations", **grids)
    assert fit("itemknn", workspace, toy, **grids) == first
    assert "is finished" in capsys.readouterr().out


def test_baseline_that_cannot_be_fitted_leaves_no_folder(toy, workspace):
    with pytest.raises(UserError, match="ease needs"):
        fit("ease", workspace, toy, ease_memory=1e-9)
    assert not list(Path(workspace.runs_dir).iterdir())


def test_without_validation_positives_only_a_single_number_is_accepted(workspace):
    toy = make_toy()
    none = np.zeros((0, 2), dtype=np.int64)
    data = make_interactions(
        "toy",
        train=to_pairs(toy.train),
        valid=none,
        test=to_pairs(toy.test),
        exposed=none,
        user_ids=toy.user_ids,
        item_ids=toy.item_ids,
        source={},
    )
    with pytest.raises(UserError, match="no validation positives to choose ease_l2 by"):
        fit("ease", workspace, data, ease_l2="1,2")
    named = dataclasses.replace(workspace, run_name="one")
    results = fit("ease", named, data, ease_l2="1")
    assert results["valid"] is None and results["test"]["users"] > 0
    with pytest.raises(UserError, match="no validation positives"):
        fit("ease", dataclasses.replace(named, overwrite=True), data, ease_l2="1,2")
    assert fit("ease", named, data, ease_l2="1") == results, "the run to overwrite is kept"
    again = fit("ease", dataclasses.replace(named, overwrite=True), data, ease_l2="2")
    assert again["chosen"] == {"ease_l2": 2} and fit("ease", named, data, ease_l2="2") == again


def test_first_of_equal_fits_is_selected(toy):
    ones = [Fit({"n": n}, lambda users: np.ones((len(users), 60))) for n in (1, 2)]
    best, tried = fitting.select(iter(ones), toy, Config())
    assert best is ones[0] and len(tried) == 2


def test_summary_shows_a_baseline(toy, workspace):
    results = fit("popular", workspace, toy)
    (line,) = summarize([Path(workspace.runs_dir) / "ml-100k-popular"]).splitlines()[2:]
    cells = [cell.strip() for cell in line.split("|")][1:-1]
    assert cells[:5] == ["ml-100k", "popular", "none", "", "1"]
    assert cells[5] == f"{results['test']['recall@20']:.4f}"
    assert cells[8:] == ["", "", ""]


@pytest.mark.slow
def test_command_writes_the_run_folder(tmp_path):
    folders = [f"--data_dir={tmp_path}/data", f"--runs_dir={tmp_path}/runs"]
    done = subprocess.run(
        [sys.executable, "-m", "recns_tf", "baseline", "synthetic-small", "popular", *folders],
        cwd=Path(__file__).resolve().parent.parent.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "synthetic-small popular" in done.stdout
    config = json.loads((tmp_path / "runs/synthetic-small-popular/config.json").read_text())
    assert config["dataset"] == "synthetic-small" and "margin" not in config
    assert "ease_l2" not in config, "a setting of another baseline"


def test_unknown_baseline_is_an_error(toy, workspace):
    with pytest.raises(UserError, match="unknown baseline 'svd': choose one of popular, itemknn"):
        fit("svd", workspace, toy)


def test_data_settings_are_those_that_dataset_loaders_read():
    """Oracle: the source code of the dataset loaders."""
    folder = Path(data.__file__).parents[1] / "datasets"
    read = {
        name
        for file in folder.rglob("*.py")
        for name in re.findall(r"(?<!\.)\bconfig\.(\w+)", file.read_text(encoding="utf-8"))
    }
    assert set(data.NAMES) == read
