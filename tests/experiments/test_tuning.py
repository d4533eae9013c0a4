"""Tuning, with a program in place of training whose best settings are known."""

import csv
import dataclasses
import doctest
import hashlib
import json
import math
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from recns_tf.commands import reproduce
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments import design, plans, tuning
from recns_tf.experiments.cells import Cell, name_of, results_of
from recns_tf.experiments.options import ReproduceSettings, SweepSettings
from recns_tf.registry import ENCODERS, SAMPLERS
from tests.experiments.worlds import SMALL, finish, results

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
    last = design.SIZE + 2
    whole, _ = tuned(tmp_path / "whole", last, jobs=2)
    tuned(tmp_path / "cut", 5)
    tuned(tmp_path / "cut", design.SIZE + 1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cut/**/results.json")}
    again, _ = tuned(tmp_path / "cut", last)
    assert proposals(again) == proposals(whole)
    assert len(before) == 2 * (design.SIZE + 1) and all(
        path.stat().st_mtime_ns == t for path, t in before.items()
    )


def test_trials_of_the_design_wait_for_none_and_later_ones_for_all_before(tmp_path, monkeypatch):
    """Each call of `sweep` waits for its runs; all runs of a call share the jobs."""
    calls = []

    def sweep(cells, workspace, folder, jobs, command):
        calls.append([cell.config for cell in cells])
        for cell in cells:
            folder = Path(workspace.runs_dir, cell.name)
            folder.mkdir(parents=True)
            content = results(cell, (0.9, 0.9, 0.9)) | {"valid": {"recall@20": recall(cell.config)}}
            (folder / "results.json").write_text(json.dumps(content))
        return []

    monkeypatch.setattr(tuning, "sweep", sweep)
    studies, _ = tuned(tmp_path, design.SIZE + 2)
    assert [len(call) for call in calls] == [2 * design.SIZE, 2, 2]
    # In the order of their numbers, so that an interrupted sweep leaves as many of each sampler.
    assert [config.sampler for config in calls[0]] == ["dns", "unins"] * design.SIZE
    for study, trials in zip(studies, proposals(studies), strict=True):
        ran = [c for call in calls for c in call if c.sampler == study.base.sampler]
        assert [recall(config) for config in ran] == [value for _, value in trials]


def test_the_words_for_the_trials_of_a_round():
    assert doctest.testmod(tuning).failed == 0
    assert tuning.rounds(1) == [range(1)] and tuning.rounds(12) == [range(12)]
    assert [tuning.trials_text(numbers) for numbers in tuning.rounds(13)] == [
        "trials 1 to 12", "trial 13",
    ]  # fmt: skip
    assert tuning.trials_text(range(1)) == "trial 1"


@pytest.mark.slow
def test_tuning_files_hold_the_search_space_and_every_trial(tmp_path):
    studies, failures = tuned(tmp_path, 2, samplers=("popns", "recns"), given=("learning_rate",))
    tuning.write_tables(studies, tmp_path)
    text = (tmp_path / "tuning.md").read_text().splitlines()
    assert text[2].startswith(
        "| lightgcn | popns | l2: 1e-06 … 0.1, log scale; "
        "popularity_power: 0.25, 0.5, 0.75, 1.0 | quasi-random search | 2 | 46.99 |"
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
        own = {"srns_weight", "srns_temperature"} if sampler == "srns" else {*space}
        assert space.keys() == own and len(space) == (2 if sampler == "srns" else 1)
        for name, values in space.items():
            for value in values.choices:
                dataclasses.replace(Config(sampler=sampler), **{name: value})
            for encoder in ENCODERS:
                first = getattr(Config.for_run("ml-100k", encoder), name)
                assert first in values.choices, "the first trial is that of the flagfiles"


def radical_inverse(number, base):
    """Return the digits of a number mirrored at the point, as van der Corput defines them."""
    value, place = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        place /= base
        value += digit * place
    return value


def proposed(sampler, given=(), trials=design.SIZE, **settings):
    """Return the settings that a study proposes if every trial has the same value."""
    base = Config(**{"dataset": "synthetic", "learning_rate": 0.01, **settings})
    study = tuning.create_study(dataclasses.replace(base, sampler=sampler), base, given)
    found = []
    for _ in range(trials):
        trial, cell = tuning.propose(study)
        found.append((trial.params, cell.config))
        study.trials.tell(trial, 0.1)
    return found


def test_the_design_is_the_halton_sequence_on_the_scales_of_the_settings():
    (_, first), *rest = proposed("srns")
    assert (first.learning_rate, first.l2, first.srns_weight, first.srns_temperature) == (
        *(0.01, 1e-4, 5.0, 10.0),
    )
    weights, temperatures = (values.choices for values in tuning.SAMPLER_SPACES["srns"].values())
    for index, (params, config) in enumerate(rest, 2):
        rate, l2, weight, temperature = (radical_inverse(index, base) for base in (2, 3, 5, 7))
        # From a tenth to ten times .01, and from 1e-6 to .1.
        assert math.log10(params["learning_rate"]) == pytest.approx(2 * rate - 3)
        assert math.log10(params["l2"]) == pytest.approx(5 * l2 - 6)
        assert config.l2 == pytest.approx(params["l2"], rel=0.05)
        assert config.srns_weight == weights[int(4 * weight)]
        assert config.srns_temperature == temperatures[int(3 * temperature)]
    assert {config.srns_temperature for _, config in rest} == set(temperatures)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_samplers_share_the_points_of_the_design(sampler):
    def shared(found):
        return [(params["learning_rate"], params["l2"]) for params, _ in found]

    found = proposed(sampler)
    assert len(set(shared(found))) == design.SIZE and shared(found) == shared(proposed("unins"))
    # One setting less does not move the values of another.
    fixed = proposed(sampler, given=("learning_rate",))
    assert [params["l2"] for params, _ in fixed] == [params["l2"] for params, _ in found]


def test_a_start_outside_the_search_space_moves_no_other_value():
    # The middle of the choices is the default, 20.
    assert proposed("dns", num_candidates=7) == proposed("dns")
    (_, start), *_ = proposed("dns", l2=0.0)
    assert start.l2 == pytest.approx(10**-3.5, rel=0.05) and start.learning_rate == 0.01


def test_tpe_goes_on_from_the_design_even_if_runs_of_it_failed():
    """The next proposal is that of Optuna with the same trials, and not a random draw."""
    base = Config(dataset="synthetic", sampler="unins", learning_rate=0.01)
    study = tuning.create_study(base, base, ())
    for number in range(design.SIZE):
        trial, cell = tuning.propose(study)
        failed = number % 3 == 1
        state = TrialState.FAIL if failed else None
        study.trials.tell(trial, None if failed else recall(cell.config), state=state)
    done = study.trials.get_trials()
    trial, _ = tuning.propose(study)
    digest = hashlib.sha256(f"synthetic {base.encoder} unins {design.SIZE}".encode()).digest()
    seed = int.from_bytes(digest[:4], "big")
    found = {}
    for start in (0, design.SIZE):
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=start)
        oracle = optuna.create_study(direction="maximize", sampler=sampler)
        oracle.add_trials(done)
        found[start] = oracle.ask(study.space).params
    assert trial.params == found[0] != found[design.SIZE]


def test_temperature_of_srns_fits_the_size_of_scores():
    """Embeddings of PinSage have length 1; those of the others are not bounded."""
    temperatures = {
        encoder: Config.for_run("ml-100k", encoder).srns_temperature for encoder in ENCODERS
    }
    assert temperatures == dict.fromkeys(ENCODERS, 10.0) | {"pinsage": 1.0}


@pytest.mark.parametrize("final", [0, 7])
def test_runs_after_tuning_have_the_best_settings_and_their_own_limit(final, tmp_path, monkeypatch):
    def tune(studies, number, options, folder):
        for study in studies:
            assert study.base.epochs == 3, "trials keep --epochs"
            for rate, valid in ((0.002, 0.2), (0.004, 0.3), (0.008, 0.1)):
                params = tuning.design_point(study, 0) | {"learning_rate": rate}
                study.trials.add_trial(
                    optuna.trial.create_trial(params=params, distributions=study.space, value=valid)
                )
                config = dataclasses.replace(study.base, **params)
                finish(Cell(name_of(config, study.plain), config), folder / "trials")
        return []

    monkeypatch.setattr(tuning, "tune", tune)
    given = {"epochs": 3, **SMALL}
    experiment = plans.customize("table2", ["lightgcn"], {"sampler": ("unins", "dns")}, given)
    points = plans.plan(experiment, "synthetic", (0, 1), given)
    options = ReproduceSettings(
        tune=3, final_epochs=final, seeds="0,1", runs_dir=str(tmp_path / "runs")
    )
    found, _ = reproduce.tune_samplers(experiment, points, options, tmp_path / "table2", [], given)
    for point in found:
        configs = [cell.config for cell in point.cells]
        assert [config.seed for config in configs] == [0, 1]
        assert {(config.learning_rate, config.epochs) for config in configs} == {
            (0.004, final or 3)
        }
        assert all(f"epochs={final or 3}" in cell.name for cell in point.cells)
    # The run of seed 0 is the best trial, unless it may take more epochs.
    copied = {path.name for path in tmp_path.glob("runs/*")}
    assert copied == (set() if final else {point.cells[0].name for point in found})
    for cell in (point.cells[0] for point in found if not final):
        assert results_of(cell, tmp_path / "runs") is not None


def test_example_in_the_docstring():
    result = doctest.testmod(design)
    assert result.attempted and not result.failed


def test_words_for_the_search():
    assert design.search_method(1) == design.search_method(12) == "quasi-random search"
    assert design.search_method(13) == "quasi-random design, then TPE"
