"""Runs that diverge: what ends them, what is kept, and what is only a warning."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from recns_tf.config.config import Workspace
from recns_tf.errors import UserError
from recns_tf.training import callbacks, divergence
from recns_tf.training.train import train_and_evaluate
from tests.conftest import with_rate


@pytest.fixture
def workspace(tmp_path):
    return Workspace(runs_dir=str(tmp_path))


def rows(*losses):
    return [{"epoch": number, "loss": loss} for number, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([], None),
        ([0.7, 0.5, 0.3], None),
        ([0.5, 5e5], None),
        ([0.5, 0.4, 5.1e5, 9e9, 0.1], 3),
        ([-0.5, -5.1e5], 2),
        ([1e9, 1e10], None),
        ([1e9, 1.1e10], 2),
        ([1.1e10, 0.1], 1),
        ([0.0, 1.0, 9e9], None),
        ([0.0, 1.1e10], 2),
    ],
)
def test_a_loss_of_a_million_times_the_first_or_above_1e10_is_a_warning(losses, epoch):
    row = divergence.explosion(rows(*losses))
    assert (row and row["epoch"]) == epoch
    assert len(divergence.warnings(rows(*losses))) == (epoch is not None)


def test_the_warning_names_the_epoch_and_both_losses():
    remedy = "training diverges; try a smaller --learning_rate or a larger --l2."
    assert divergence.warnings(rows(0.5, 2e6, 3e7)) == [
        f"The loss reached 2e+06 in epoch 2, from 0.5 in epoch 1: {remedy}"
    ]
    assert divergence.warnings(rows(2e11)) == [f"The loss reached 2e+11 in epoch 1: {remedy}"]


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_one_number_that_is_not_finite_is_enough(bad):
    layer = keras.layers.Dense(3)
    layer.build((2, 2))
    divergence.require_finite_weights(layer.weights, 4)
    layer.bias.assign([0.0, bad, 0.0])
    with pytest.raises(UserError, match=r"bias' are not finite after epoch 4: try a smaller --lea"):
        divergence.require_finite_weights(layer.weights, 4)
    fine, spoiled = np.ones((2, 2), np.float32), np.array([[1, 1], [1, bad]], np.float32)
    divergence.require_finite_scores(fine, fine, 4)
    for tables in ((fine, spoiled), (spoiled, fine), (0 * fine, spoiled)):
        with pytest.raises(
            UserError, match="scores of the embeddings are not finite after epoch 4"
        ):
            divergence.require_finite_scores(*tables, 4)


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_must_be_within_the_range_of_float32(sign):
    """Its largest number is about 3.4e38."""
    table = np.full((3, 4), 0.9e19, np.float32)
    divergence.require_finite_scores(table, sign * table, 1)
    table = np.full((3, 4), 1e19, np.float32)
    with np.errstate(over="ignore"):
        assert not np.isfinite(table @ table.T).any()
    with pytest.raises(UserError, match="the scores of the embeddings are not finite"):
        divergence.require_finite_scores(table, sign * table, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "rate", "words"),
    [
        ("mf", 1e39, "the weights '.*' are not finite after epoch 1"),
        ("lightgcn", 1e25, "the scores of the embeddings are not finite after epoch 1"),
    ],
)
def test_the_last_update_is_checked(toy, toy_config, workspace, encoder, rate, words):
    """In a single step, the loss is that of the initial weights."""
    config = dataclasses.replace(toy_config, encoder=encoder, batch_size=10_000, epochs=1)
    config = with_rate(config, rate)
    with pytest.raises(UserError, match=rf"{words}: try a smaller --learning_rate"):
        train_and_evaluate(config, workspace, toy)
    assert not workspace.run_folder(config).exists(), "there is no epoch to keep"


@pytest.mark.slow
def test_the_checkpoint_of_the_epoch_before_is_kept(toy, toy_config, workspace, monkeypatch):
    whole = train_and_evaluate(toy_config, dataclasses.replace(workspace, run_name="whole"), toy)

    def spoil(refresh, epoch, logs=None):
        if epoch == 1:
            nodes = refresh.sampled_rec.encoder.nodes
            nodes.assign(nodes + np.array([np.nan] + [0] * (nodes.shape[1] - 1), np.float32))

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Refresh, "on_epoch_end", spoil)
        with pytest.raises(UserError, match="are not finite after epoch 2"):
            train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    assert not (folder / "results.json").exists() and not (folder / "embeddings").exists()
    assert [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").open()] == [1]
    again = train_and_evaluate(toy_config, workspace, toy)
    assert again["test"] == whole["test"] and again["epochs_run"] == 3


@pytest.mark.slow
def test_results_are_not_written_from_embeddings_that_are_not_finite(
    toy, toy_config, workspace, monkeypatch
):
    """Without validation, the embeddings are first computed when the run is finished."""
    monkeypatch.setattr("recns_tf.training.train.validation", lambda *arguments: None)
    config = with_rate(dataclasses.replace(toy_config, batch_size=10_000, epochs=1), 1e25)
    with pytest.raises(
        UserError, match="the scores of the embeddings are not finite after epoch 1"
    ):
        train_and_evaluate(config, workspace, toy)
    folder = workspace.run_folder(config)
    assert not (folder / "results.json").exists() and not (folder / "embeddings").exists()


@pytest.mark.slow
def test_a_huge_loss_is_said_once_and_recorded(toy, toy_config, workspace, capsys):
    config = dataclasses.replace(
        toy_config, encoder="mf", sampler="unins", loss="bpr", learning_rate=1e4, l2=0.0, epochs=4
    )
    config = dataclasses.replace(config, batch_size=10_000)
    results = train_and_evaluate(config, workspace, toy)
    (sentence,) = results["warnings"]
    assert sentence.startswith("The loss reached ") and "in epoch 2, from 0.69" in sentence
    assert capsys.readouterr().out.count(sentence) == 1
    saved = json.loads((workspace.run_folder(config) / "results.json").read_text())
    assert saved["warnings"] == [sentence]
    calm = train_and_evaluate(toy_config, workspace, toy)
    assert calm["warnings"] == [] and "diverges" not in capsys.readouterr().out
