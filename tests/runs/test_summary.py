import json

import pytest

from recns_tf.errors import UserError
from recns_tf.runs.summary import summarize


def write(folder, seed, recall, sampler="dns", margin=0.1, encoder="e", test=None, **more):
    folder.mkdir(parents=True)
    results = {
        "dataset": "d", "encoder": encoder, "sampler": sampler, "seed": seed,
        "best_epoch": 10 * seed, "seconds_per_epoch": 1.5,
        "valid": None,
        "test": test or {"recall@20": recall, "ndcg@20": 0.2, "hr@20": 0.5},
        "config": {
            "dataset": "d", "encoder": encoder, "sampler": sampler, "margin": margin, "seed": seed,
            **more,
        },
        "data": {"checksum": "x"},
        "negatives": {"false_negatives": recall / 10},
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_runs_that_differ_only_in_the_seed_are_averaged(tmp_path, capsys):
    folders = [
        write(tmp_path / "a", 1, 0.1),
        write(tmp_path / "b", 2, 0.2),
        write(tmp_path / "c", 3, 0.3, sampler="unins"),
        write(tmp_path / "d", 3, 0.6, margin=0.2),
        tmp_path / "unfinished",
    ]
    lines = summarize(folders).splitlines()
    assert lines[2:] == [
        "| d | e | dns | margin 0.1 | 2 "
        "| 0.1500 ± 0.0707 | 0.2000 ± 0.0000 | 0.5000 ± 0.0000 | 15 | 1.50 | 1.50% |",
        "| d | e | unins | margin 0.1 | 1 | 0.3000 | 0.2000 | 0.5000 | 30 | 1.50 | 3.00% |",
        "| d | e | dns | margin 0.2 | 1 | 0.6000 | 0.2000 | 0.5000 | 30 | 1.50 | 6.00% |",
    ]
    assert "unfinished is not a finished run" in capsys.readouterr().err


def test_repeated_seeds_and_damaged_runs_are_skipped(tmp_path, capsys):
    one = write(tmp_path / "a", 1, 0.1)
    damaged = write(tmp_path / "b", 2, 0.2)
    (damaged / "results.json").write_text('{"mine": 1}')
    assert "| 1 | 0.1000 |" in summarize([one, one, damaged])
    said = capsys.readouterr().err
    assert "repeats a seed" in said and "results.json is damaged" in said


@pytest.mark.parametrize("epoch", [float("nan"), float("inf"), 1.5, "1", True])
def test_a_best_epoch_that_is_no_integer_is_damage(tmp_path, capsys, epoch):
    whole, damaged = write(tmp_path / "a", 1, 0.1), write(tmp_path / "b", 2, 0.2)
    results = json.loads((damaged / "results.json").read_text()) | {"best_epoch": epoch}
    (damaged / "results.json").write_text(json.dumps(results))
    assert "| 1 | 0.1000 |" in summarize([whole, damaged])
    assert "results.json is damaged" in capsys.readouterr().err


def test_summary_without_a_finished_run_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        summarize([tmp_path])


def test_settings_in_which_runs_of_an_encoder_differ_are_shown(tmp_path):
    """Not shown: settings that differ only between encoders, and defaults of newer settings."""
    folders = [
        write(tmp_path / "a", 1, 0.1, num_layers=2),
        write(tmp_path / "b", 2, 0.1, num_layers=2, khop=3),
        write(tmp_path / "c", 1, 0.1, encoder="f", num_layers=3),
        write(tmp_path / "d", 1, 0.1, encoder="f", num_layers=3, l2=0.5),
    ]
    cells = [[cell.strip() for cell in line.split("|")] for line in summarize(folders).splitlines()]
    assert [row[4:6] for row in cells[2:]] == [
        ["l2 0.0001", "2"],
        ["l2 0.0001", "1"],
        ["l2 0.5", "1"],
    ]


def several(k, **more):
    """Return test metrics at 5 and `k`."""
    names = ("recall", "ndcg", "hr", "map", "popularity")
    return {f"{name}@{at}": at / 100 for name in names for at in (5, k)} | more


def cells_of(line):
    return [cell.strip() for cell in line.split("|")][1:-1]


def test_recall_ndcg_and_hr_are_shown_at_the_largest_k_of_each_run(tmp_path):
    folders = [
        write(tmp_path / "a", 1, 0.1),
        write(tmp_path / "b", 1, 0.1, sampler="unins", test=several(10), topk="5,10"),
    ]
    head, _, old, new = map(cells_of, summarize(folders).splitlines())
    assert head[5:11] == [
        f"test {metric}@{k}" for metric in ("Recall", "NDCG", "HR") for k in (10, 20)
    ]
    assert old[5:11] == ["", "0.1000", "", "0.2000", "", "0.5000"]
    assert new[5:11] == ["0.1000", "", "0.1000", "", "0.1000", ""]


def test_metrics_are_chosen_by_name(tmp_path):
    folders = [
        write(tmp_path / "a", 1, 0.1, test=several(20)),
        write(tmp_path / "b", 2, 0.1, test=several(20, **{"map@5": 0.15, "popularity@20": 1.2})),
        write(tmp_path / "c", 3, 0.1),
    ]
    text = summarize(folders, "map@5, Popularity@20,recall@20,map@5")
    head, _, row = map(cells_of, text.splitlines())
    assert head[5:8] == ["test MAP@5", "test Popularity@20", "test Recall@20"]
    assert row[4] == "3" and row[7] == "0.1667 ± 0.0577"
    assert row[5] == "0.1000 ± 0.0707 (2 of 3 runs)", "the third run has not recorded it"
    assert row[6] == "0.70 ± 0.71 (2 of 3 runs)"


def test_a_metric_that_no_run_has_recorded_is_an_error(tmp_path):
    folder = write(tmp_path / "a", 1, 0.1)
    for wrong in ("recall@10", "seed", "map@20,recall@20", "recall@20,"):
        with pytest.raises(UserError, match="choose some of recall@20, ndcg@20, hr@20") as caught:
            summarize([folder], wrong)
        assert str(caught.value).startswith("--metrics: '")
