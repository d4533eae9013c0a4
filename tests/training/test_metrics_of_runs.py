"""--topk and --select_by in runs and baselines; cold and saturated users on the screen."""

import dataclasses
import json
from contextlib import nullcontext

import numpy as np
import pytest
from matplotlib.figure import Figure

from recns_tf.baselines import fit as fitting
from recns_tf.baselines.base import Fit
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import METRIC
from recns_tf.interactions import make_interactions
from recns_tf.runs.files import LISTS
from recns_tf.training import results as training_results
from recns_tf.training.callbacks import best_row, out_of_patience
from recns_tf.training.curves import plot_curves
from recns_tf.training.train import train_and_evaluate


@pytest.fixture
def workspace(tmp_path):
    return Workspace(runs_dir=str(tmp_path))


def make_data(train, valid, test, num_users, num_items):
    return make_interactions(
        "small",
        train=np.array(train),
        valid=np.array(valid).reshape(-1, 2),
        test=np.array(test),
        exposed=np.zeros((0, 2), np.int64),
        user_ids=np.arange(num_users),
        item_ids=np.arange(num_items),
        source={},
    )


def popular(workspace, data, **settings):
    config = Config(dataset="small", **settings)
    return fitting.fit_and_evaluate("popular", config, BaselineSettings(), workspace, data)


def rows(recalls, ndcgs):
    return [
        {"epoch": n, "valid": {"recall@20": recall, "ndcg@10": ndcg}}
        for n, (recall, ndcg) in enumerate(zip(recalls, ndcgs, strict=True), 1)
    ]


def test_best_epoch_and_patience_follow_the_given_metric():
    found = rows([0.1, 0.4, 0.2, 0.3], [0.3, 0.1, 0.2, 0.1])
    assert best_row(found, "recall@20")["epoch"] == 2
    assert best_row(found, "ndcg@10")["epoch"] == 1
    assert out_of_patience(found, 3, "ndcg@10") and not out_of_patience(found, 3, "recall@20")


@pytest.mark.slow
def test_a_run_is_selected_by_the_given_metric(toy, toy_config, workspace, capsys):
    config = dataclasses.replace(
        toy_config, sampler="unins", learning_rate=0.05, epochs=6, seed=2, topk="20,5",
        select_by="ndcg@5",
    )  # fmt: skip
    results = train_and_evaluate(config, workspace, toy)
    metrics = workspace.run_folder(config) / "metrics.jsonl"
    valid = [json.loads(line)["valid"] for line in metrics.read_text().splitlines()]
    best = {name: int(np.argmax([row[name] for row in valid])) + 1 for name in ("ndcg@5", METRIC)}
    assert best["ndcg@5"] != best[METRIC], "the metrics disagree here"
    assert results["best_epoch"] == best["ndcg@5"]
    assert results["valid"] == valid[best["ndcg@5"] - 1]
    screen = capsys.readouterr().out
    heading = next(line for line in screen.splitlines() if line.lstrip().startswith("epoch "))
    assert heading.split()[-2:] == ["ndcg@5", "seconds"]
    for name, value in (("NDCG@5", "ndcg@5"), ("Popularity@20", "popularity@20")):
        (line,) = (line.split() for line in screen.splitlines() if line.startswith(f"{name} "))
        assert float(line[1]) == pytest.approx(results["valid"][value], abs=6e-3)
        assert float(line[2]) == pytest.approx(results["test"][value], abs=6e-3)
    with pytest.raises(UserError, match="topk 20,5 there, 5,20 here"):
        train_and_evaluate(dataclasses.replace(config, topk="5,20"), workspace, toy)


def test_a_run_of_an_earlier_version_is_shown_again(tmp_path):
    """Its results have three metrics, and no counts of cold or saturated users."""
    old = {"recall@20": 0.25, "ndcg@20": 0.5, "hr@20": 0.75, "users": 7}
    results = {
        "dataset": "d", "encoder": "e", "sampler": "s", "seed": 0, "best_epoch": 1,
        "epochs_run": 1, "seconds_per_epoch": 1.0, "training_seconds": 1.0,
        "valid": None, "test": old, "paper": None,
    }  # fmt: skip
    lines = training_results.table(results, training_results.RunFolder(tmp_path)).splitlines()
    assert [line.split() for line in lines[2:7]] == [
        ["test"], ["Recall@20", "0.2500"], ["NDCG@20", "0.5000"], ["HR@20", "0.7500"],
        ["users", "7"],
    ]  # fmt: skip


def test_curves_show_the_main_metrics_at_the_largest_k(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: drawn.append(figure))
    monkeypatch.setattr("recns_tf.training.curves.atomic", nullcontext)
    valid = {f"{name}@{k}": k / 100 for name in ("recall", "ndcg", "hr", "map") for k in (5, 10)}
    plot_curves([{"epoch": n, "loss": 1.0, "valid": valid} for n in (1, 2)], 2, "t", tmp_path)
    lines = {line.get_label(): line for line in drawn[0].axes[1].lines}
    assert list(lines) == ["Recall@10", "NDCG@10", "HR@10", "best epoch, 2"]
    assert lines["HR@10"].get_ydata().tolist() == [0.1, 0.1]
    assert lines["best epoch, 2"].get_xdata() == [2, 2]


def test_a_baseline_is_selected_by_the_given_metric(toy):
    """Fit 1 has more held-out items in its lists; fit 2 has one of them in the first place."""
    valid = toy.valid.toarray()
    rng = np.random.default_rng(0)
    first = rng.random(valid.shape)
    first[np.arange(len(valid)), valid.argmax(axis=1)] += 9
    second = rng.random(valid.shape) + 0.4 * valid
    fits = [Fit({"n": n}, lambda users, table=table: table[users].copy()) for n, table in
            ((1, second), (2, first))]  # fmt: skip
    chosen = {}
    for select_by in ("mrr@5", "auto"):
        config = Config(topk="5,30", select_by=select_by)
        chosen[select_by], tried = fitting.select(iter(fits), toy, config)
    values = {name: [row["valid"][name] for row in tried] for name in ("mrr@5", "recall@30")}
    assert np.argmax(values["mrr@5"]) == 1 and np.argmax(values["recall@30"]) == 0
    assert chosen["mrr@5"] is fits[1] and chosen["auto"] is fits[0]


def test_a_baseline_records_its_k_and_stores_lists_of_the_largest(toy, workspace):
    results = popular(workspace, toy, topk="3,30", select_by="hr@3")
    folder = workspace.run_folder(Config(dataset="small")).with_name("small-popular")
    lists = np.load(folder / LISTS)
    assert lists.shape == (40, 30)
    hits = [len(set(lists[u, :3]) & set(toy.test[[u]].indices)) for u in range(40)]
    tested = np.diff(toy.test.indptr) > 0
    assert results["test"]["precision@3"] == pytest.approx(np.array(hits)[tested].mean() / 3)
    config = json.loads((folder / "config.json").read_text())
    assert (config["topk"], config["select_by"]) == ("3,30", "hr@3")
    with pytest.raises(UserError, match=r"topk 3,30 there, 20 here"):
        popular(workspace, toy)


def test_a_baseline_of_an_earlier_version_is_shown_again(toy, workspace, capsys):
    first = popular(workspace, toy)
    file = workspace.run_folder(Config(dataset="small")).with_name("small-popular") / "config.json"
    config = json.loads(file.read_text())
    del config["topk"], config["select_by"]
    file.write_text(json.dumps(config))
    (file.parent / "manifest.json").unlink()
    assert popular(workspace, toy) == first
    assert "is finished" in capsys.readouterr().out


@pytest.fixture
def cold_data():
    """30 warm and 20 cold users, 40 items.

    Item 0 is the most popular, 1 the second. Warm users have seen 0 or 1, and their test item is
    the other one; the test item of a cold user is 39, which nobody has.
    """
    train = [(u, int(u >= 20)) for u in range(30)]
    test = [(u, int(u < 20)) for u in range(30)] + [(u, 39) for u in range(30, 50)]
    return make_data(train, [], test, 50, 40)


def test_cold_users_are_named_and_left_out_of_a_second_column(cold_data, workspace, capsys):
    results = popular(workspace, cold_data, topk="1,2")
    test = results["test"]
    assert (test["users"], test["cold_users"], test["warm"]["users"]) == (50, 20, 30)
    assert test["recall@1"] == 30 / 50 and test["warm"]["recall@1"] == 1
    # 20 users have item 0 with 20 train users before them, 30 have 10 or 20 at place 1.
    assert test["warm"]["popularity@1"] == pytest.approx((20 * 10 + 10 * 20) / 30)
    assert test["popularity@1"] == pytest.approx((20 * 10 + 30 * 20) / 50)
    screen = capsys.readouterr().out.splitlines()
    assert screen[0] == (
        "20 of 50 tested users have no train positive: nothing is known about their taste. "
        "Metrics are also given without them."
    )
    assert "               " + f"{'test':>12}{'test warm':>12}" in screen
    assert f"{'Recall@1':<15}{'0.6000':>12}{'1.0000':>12}" in screen
    assert f"{'users':<15}{'50':>12}{'30':>12}" in screen


@pytest.mark.slow
def test_training_names_cold_users_before_the_first_epoch(cold_data, toy_config, workspace, capsys):
    config = dataclasses.replace(toy_config, encoder="mf", sampler="unins", epochs=1, topk="3")
    results = train_and_evaluate(config, workspace, cold_data)
    assert results["test"]["warm"]["users"] == 30
    screen = capsys.readouterr().out
    sentence = "20 of 50 tested users have no train positive: their embeddings are untrained."
    assert screen.count(sentence) == 1 and screen.index(sentence) < screen.index("epoch ")


@pytest.fixture
def few_items():
    """Ten items, of which each of the six users has one train, one valid and one test item."""
    pairs = {shift: [(u, (u + shift) % 10) for u in range(6)] for shift in range(3)}
    return make_data(pairs[0], pairs[1], pairs[2], 6, 10)


@pytest.mark.slow
def test_metrics_that_are_1_for_any_model_are_named_before_training_and_after(
    few_items, toy_config, workspace, capsys
):
    config = dataclasses.replace(toy_config, encoder="mf", sampler="unins", epochs=1, topk="3,20")
    results = train_and_evaluate(config, workspace, few_items)
    assert results["test"]["recall@20"] == results["test"]["hr@20"] == 1
    assert results["test"]["saturated_users@20"] == 6 and results["test"]["saturated_users@3"] == 0
    assert results["valid"]["median_unseen_items"] == 9
    assert results["test"]["median_unseen_items"] == 8
    sentence = (
        "6 of 6 tested users have at most 20 unseen items, so that their Recall@20 and HR@20 are 1 "
        "for any model: choose a smaller K, such as --topk=4."
    )
    before, after = capsys.readouterr().out.split("\n    epoch")
    assert sentence in before and after.splitlines()[-3] == sentence
    train_and_evaluate(config, workspace, few_items)
    assert sentence in capsys.readouterr().out, "a finished run is shown with it again"


def test_a_baseline_names_them_too(few_items, workspace, capsys):
    popular(workspace, few_items, topk="8")
    assert capsys.readouterr().out.count("6 of 6 tested users have at most 8 unseen items") == 2
    popular(dataclasses.replace(workspace, run_name="seven"), few_items, topk="7")
    assert "unseen items" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_suggested_k_tells_models_apart(few_items, toy_config, workspace, capsys):
    config = dataclasses.replace(toy_config, encoder="mf", sampler="unins", epochs=1, topk="4")
    assert train_and_evaluate(config, workspace, few_items)["test"]["saturated_users@4"] == 0
    assert "unseen items" not in capsys.readouterr().out
