import json

import pytest

from recns_tf.errors import UserError
from recns_tf.reporting.groups import group_runs
from recns_tf.reporting.runs import best_epoch, number, read_run, read_runs
from tests.reporting import worlds


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return worlds.load(tmp_path_factory.mktemp("data"))


def test_runs_that_differ_only_in_the_seed_form_a_group(tmp_path, data):
    folders = [
        worlds.write_run(tmp_path / "a", data, seed=0),
        worlds.write_run(tmp_path / "b", data, seed=1),
        worlds.write_run(tmp_path / "c", data, margin=0.2),
        worlds.write_run(tmp_path / "d", data, sampler="unins", finished=False),
        # Recording khop at its default makes no difference.
        worlds.write_run(tmp_path / "e", data, seed=2, khop=3),
    ]
    runs, notes = read_runs(folders)
    groups = group_runs(runs, notes)
    names = {group.label: [run.path.name for run in group.runs] for group in groups}
    assert names == {
        "lightgcn recns, margin 0.1": ["a", "b", "e"],
        "lightgcn recns, margin 0.2": ["c"],
        "lightgcn unins": ["d"],
    }
    assert groups[-1].label == "lightgcn unins", "untested groups come last"
    means = [sum(group.tested("recall@20")) / len(group.runs) for group in groups[:2]]
    assert means == sorted(means, reverse=True)
    assert not notes


def test_of_two_runs_with_one_seed_the_finished_one_counts(tmp_path, data):
    one = worlds.write_run(tmp_path / "a", data, finished=False)
    two = worlds.write_run(tmp_path / "b", data)
    for order in ([one, two], [two, one]):
        runs, notes = read_runs(order)
        (group,) = group_runs(runs, notes)
        assert [run.path for run in group.runs] == [two]
        assert notes == [f"{one} repeats a seed of {two}: left out."]


def test_runs_on_different_data_are_in_different_groups(tmp_path, data):
    one = worlds.write_run(tmp_path / "a", data)
    two = worlds.write_run(tmp_path / "b", data)
    text = (two / "config.json").read_text().replace(data.checksum, "f" * 64)
    (two / "config.json").write_text(text)
    runs, notes = read_runs([one, two])
    labels = {group.label for group in group_runs(runs, notes)}
    assert labels == {f"lightgcn recns, data {data.checksum[:8]}", "lightgcn recns, data ffffffff"}


def test_unfinished_run_has_rows_and_a_best_epoch_so_far(tmp_path, data):
    folder = worlds.write_run(tmp_path / "a", data, epochs=3, finished=False)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(worlds.row(4, 0.01)) + "\n" + '{"epoch": 5, "lo')
    run = read_run(folder)
    assert len(run.rows) == 4 and best_epoch(run) == 3 and run.results is None
    assert run.number("valid", "recall@20") == pytest.approx(0.13)
    assert run.notes == [f"{folder}/metrics.jsonl, line 5 is damaged: the curves end before it."]


def test_unfinished_run_that_keeps_the_last_epoch_has_it_marked(tmp_path, data):
    folder = worlds.write_run(tmp_path / "a", data, epochs=3, finished=False, keep="last")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(worlds.row(4, 0.01, false_negatives=0.5)) + "\n")
    run = read_run(folder)
    assert best_epoch(run) == 4 and run.false_negatives() == 0.5
    assert run.number("valid", "recall@20") == pytest.approx(0.01)


def test_label_shows_the_run_name_if_many_settings_differ(tmp_path, data):
    other = {"margin": 0.2, "khop": 5, "l2": 0.5, "dim": 8}
    folders = [
        worlds.write_run(tmp_path / "mine", data),
        worlds.write_run(tmp_path / "original-seed1", data, seed=1, **other),
        worlds.write_run(tmp_path / "original-seed2", data, seed=2, **other),
    ]
    runs, notes = read_runs(folders)
    labels = {group.label for group in group_runs(runs, notes)}
    assert labels == {"lightgcn recns (mine)", "lightgcn recns (original)"}


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"', "null", "{}", '{"test": 1}', "\x00"])
def test_damaged_results_file_keeps_the_curves(tmp_path, data, text):
    folder = worlds.write_run(tmp_path / "a", data)
    (folder / "results.json").write_text(text)
    run = read_run(folder)
    assert run.results is None and len(run.rows) == 4
    (note,) = run.notes
    assert note.startswith(f"{folder}/results.json is damaged")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dataset": "x"}', None])
def test_damaged_settings_are_read_from_the_results(tmp_path, data, text):
    folder = worlds.write_run(tmp_path / "a", data)
    (folder / "config.json").unlink()
    if text is not None:
        (folder / "config.json").write_text(text)
    run = read_run(folder)
    assert run.config["margin"] == 0.1 and run.checksum == data.checksum
    (folder / "results.json").unlink()
    with pytest.raises(UserError, match=r"is damaged|is not the folder of a run\."):
        read_run(folder)


def test_other_paths_are_left_out_with_a_note(tmp_path, data):
    good = worlds.write_run(tmp_path / "a", data)
    (tmp_path / "report.html").write_text("x")
    (tmp_path / "empty").mkdir()
    others = [tmp_path / name for name in ("report.html", "empty", "nowhere")]
    runs, notes = read_runs([*others, good])
    assert [run.path for run in runs] == [good]
    assert notes == [f"{path} is not the folder of a run. Left out." for path in others]
    with pytest.raises(UserError, match="no run to report on: name folders"):
        read_runs(others)


@pytest.mark.parametrize("value", [None, True, "1", [1], {}, float("nan"), float("inf")])
def test_only_finite_numbers_are_numbers(value):
    assert number({"a": {"b": value}}, "a", "b") is None
    assert number({"a": {"b": 0}}, "a", "b") == 0
    assert number({"a": 1}, "a", "b") is None and number(None, "a") is None
