"""Tuning, with a program in place of training whose best settings are known."""

import csv
import dataclasses
import json
import math
import sys

import pytest

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments import tuning
from recns_tf.experiments.options import SweepSettings
from tests.experiments.worlds import SMALL, results

PROGRAM = """
import sys; from pathlib import Path
folder = Path(sys.argv[2]); folder.mkdir(parents=True)
(folder / "results.json").write_text(sys.argv[1])
"""


def recall(config):
    """Return a validation Recall@20 that is best for a learning rate of .02 and 50 candidates."""
    away = abs(math.log10(config.learning_rate / 0.02))
    return (
        0.5 - 0.1 * away - (0.1 if config.num_candidates != 50 else 0) * (config.sampler == "dns")
    )


def command(cell, settings, workspace):
    assert json.loads(settings.read_text()) == cell.config.to_json()
    if cell.config.sampler == "popns" and cell.config.learning_rate < 0.01:
        return [sys.executable, "-c", "raise SystemExit('too small')"]
    content = results(cell, (0.9, 0.9, 0.9))
    content["valid"] = {"recall@20": recall(cell.config), "users": 3}
    folder = f"{workspace.runs_dir}/{cell.name}"
    return [sys.executable, "-S", "-c", PROGRAM, json.dumps(content), folder]


def tuned(folder, number, samplers=("dns", "unins"), jobs=1, given=(), command=command, **more):
    base = Config(dataset="synthetic", learning_rate=0.01, **SMALL, **more)
    studies = [
        tuning.create_study(dataclasses.replace(base, sampler=sampler), base, given)
        for sampler in samplers
    ]
    options = SweepSettings(data_dir=str(folder / "data"), runs_dir=str(folder), jobs=jobs)
    failures = tuning.tune(studies, number, options, folder / "table2", command)
    return studies, failures


def proposals(studies):
    return [[(t.params, t.value) for t in study.trials.trials] for study in studies]


@pytest.mark.slow
def test_samplers_have_equal_trials_and_validation_selects_the_best(tmp_path):
    studies, failures = tuned(tmp_path, 5)
    assert failures == [] and [len(study.trials.trials) for study in studies] == [5, 5]
    dns, unins = proposals(studies)
    assert dns[0][0] == {"learning_rate": 0.01, "l2": 1e-4, "num_candidates": 20}
    assert unins[0][0].keys() == {"learning_rate", "l2"}
    for study, trials in zip(studies, (dns, unins), strict=True):
        expected = max(trials, key=lambda trial: trial[1])
        best = tuning.best_settings(study)
        assert best["learning_rate"] == pytest.approx(expected[0]["learning_rate"], rel=0.05)
        assert recall(dataclasses.replace(study.base, **best)) == pytest.approx(expected[1])
        assert all(0.001 <= params["learning_rate"] <= 0.1 for params, _ in trials)


@pytest.mark.slow
def test_interrupted_tuning_continues_with_the_same_proposals(tmp_path):
    whole, _ = tuned(tmp_path / "whole", 3, jobs=2)
    tuned(tmp_path / "cut", 2)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cut/**/results.json")}
    again, _ = tuned(tmp_path / "cut", 3)
    assert proposals(again) == proposals(whole)
    assert len(before) == 4 and all(path.stat().st_mtime_ns == t for path, t in before.items())


@pytest.mark.slow
def test_tuning_files_hold_the_search_space_and_every_trial(tmp_path):
    studies, failures = tuned(tmp_path, 2, samplers=("popns", "recns"), given=("learning_rate",))
    tuning.write_tables(studies, tmp_path)
    text = (tmp_path / "tuning.md").read_text().splitlines()
    assert text[2].startswith(
        "| lightgcn | popns | l2: 1e-06 … 0.1, log scale; "
        "popularity_power: 0.25, 0.5, 0.75, 1.0 | 2 | 46.99 |"
    )
    with (tmp_path / "tuning.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["sampler"], row["trial"], row["state"]) for row in rows] == [
        ("popns", "0", "complete"), ("popns", "1", "complete"),
        ("recns", "0", "complete"), ("recns", "1", "complete"),
    ]  # fmt: skip
    assert all((tmp_path / "table2" / row["folder"] / "results.json").exists() for row in rows)
    assert failures == []


@pytest.mark.slow
def test_failed_trial_is_reported_and_does_not_affect_others(tmp_path):
    studies, failures = tuned(tmp_path, 4, samplers=("popns",))
    values = [value for _, value in proposals(studies)[0]]
    assert len(values) == 4 and None in values and values[0] is not None
    assert len(failures) == values.count(None) and "too small" in failures[0].message
    assert tuning.best_settings(studies[0])["learning_rate"] >= 0.01


@pytest.mark.slow
def test_trials_are_judged_by_the_selection_metric(tmp_path):
    def judged(cell, settings, workspace):
        *start, content, folder = command(cell, settings, workspace)
        valid = {"recall@20": 0.1, "ndcg@5": 0.001 / cell.config.learning_rate}
        return [*start, json.dumps(json.loads(content) | {"valid": valid}), folder]

    options = {"topk": "5,20", "select_by": "ndcg@5"}
    studies, _ = tuned(tmp_path, 2, samplers=("unins",), command=judged, **options)
    for params, value in proposals(studies)[0]:
        assert value == pytest.approx(0.001 / params["learning_rate"], rel=0.05)
    tuning.write_tables(studies, tmp_path)
    assert "best validation NDCG@5, %" in (tmp_path / "tuning.md").read_text().splitlines()[0]
    with (tmp_path / "tuning.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["ndcg@5"]) == 0.1


def test_nothing_left_to_tune_is_an_error():
    with pytest.raises(UserError, match="fixes every setting that could be tuned"):
        tuning.create_study(Config(sampler="unins"), Config(), ["learning_rate", "l2"])


def test_search_spaces_hold_legal_values():
    for sampler, space in tuning.SAMPLER_SPACES.items():
        (name,) = space
        for value in space[name].choices:
            dataclasses.replace(Config(sampler=sampler), **{name: value})
        assert getattr(Config(), name) in space[name].choices, "the first trial is the default"
