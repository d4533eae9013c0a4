"""Training that starts from the weights of an earlier run, whose rows are matched by ids."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.training.build import build
from recns_tf.training.load import load
from recns_tf.training.train import train_and_evaluate
from recns_tf.training.warm_start import trained_on, warm_start

ENCODERS = ("lightgcn", "mf", "ngcf", "pinsage")
KEPT_USERS = np.array([7, 3, 39, 5, 1, 2, 20, 21, 22, 23, 24, 25])
KEPT_ITEMS = np.array([50, 4, 9, 11, 0, 59, 30, 31, 32, 33, 34, 35])


def tomorrow_of(data):
    """Return other data: some users and items in another order, and two new ones of each."""
    ids = {
        "user_ids": np.concatenate([["v0"], data.user_ids[KEPT_USERS], ["v1"]]),
        "item_ids": np.concatenate([[1], data.item_ids[KEPT_ITEMS], [2]]),
    }
    rows = np.random.default_rng(5).random((3, 14, 14)) < 0.2
    empty = csr_array((14, 14), dtype=bool)
    train, valid, test = (csr_array(part) for part in rows & (np.cumsum(rows, axis=0) == 1))
    return dataclasses.replace(
        data, name="tomorrow", train=train, valid=valid, test=test, exposed=empty, **ids
    )


class Killed(Exception):
    pass


class KillAfterAnEpoch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise Killed


@pytest.fixture(scope="module")
def runs(toy, toy_config, tmp_path_factory):
    """Short runs of all encoders, by name."""
    workspace = Workspace(runs_dir=str(tmp_path_factory.mktemp("runs")))
    folders = {}
    for encoder in ENCODERS:
        config = dataclasses.replace(toy_config, encoder=encoder, keep="last")
        train_and_evaluate(config, workspace, toy, quiet=True)
        folders[encoder] = workspace.run_folder(config)
    return folders


def started(config, data, folder, **changes):
    config = dataclasses.replace(config, init_from=str(folder), **changes)
    model, _, _ = build(config, data)
    return model, warm_start(model, data, config)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_same_data_start_where_the_run_ended(runs, toy, toy_config, encoder):
    earlier, _ = load(runs[encoder], interactions=toy)
    model, summary = started(toy_config, toy, runs[encoder], encoder=encoder, stale_scores=True)
    assert summary == (
        f"weights of 40 of 40 users and 60 of 60 items from {runs[encoder]}; the others start from "
        "their neighbors"
    )
    for each in (model.encoder, model.previous):
        for now, before in zip(each.weights, earlier.encoder.weights, strict=True):
            np.testing.assert_array_equal(now, before)
    assert int(model.optimizer.iterations) == 0
    assert not any(np.any(moment) for moment in model.optimizer._velocities)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_rows_follow_their_ids_and_new_ones_come_from_their_neighbors(
    runs, toy, toy_config, encoder
):
    earlier, _ = load(runs[encoder], interactions=toy)
    data = tomorrow_of(toy)
    model, summary = started(
        toy_config, data, runs[encoder], encoder=encoder, init_optimizer="kept"
    )
    assert "12 of 14 users and 12 of 14 items" in summary
    before, now = earlier.encoder.nodes.numpy(), model.encoder.nodes.numpy()
    np.testing.assert_array_equal(now[1:13], before[KEPT_USERS])
    np.testing.assert_array_equal(now[15:27], before[40 + KEPT_ITEMS])
    users, items = np.zeros((2, 60), bool), np.zeros((2, 40), bool)
    users[:, KEPT_ITEMS] = data.train.toarray()[[0, 13]][:, 1:13]
    items[:, KEPT_USERS] = data.train.toarray()[:, [0, 13]].T[:, 1:13]
    assert users.any() and items.any()
    if encoder == "mf":
        expected_users = earlier.encoder.embed_new_users(csr_array(users))
        expected_items = earlier.encoder.embed_new_items(csr_array(items))
    elif encoder == "lightgcn":
        expected_users = expected_items = np.zeros((2, before.shape[1]))
    else:
        expected_users = np.tile(before[:40].mean(axis=0), (2, 1))
        expected_items = np.tile(before[40:100].mean(axis=0), (2, 1))
    np.testing.assert_allclose(now[[0, 13]], expected_users, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(now[[14, 27]], expected_items, rtol=1e-5, atol=1e-7)
    for here, there in zip(model.encoder.weights[1:], earlier.encoder.weights[1:], strict=True):
        np.testing.assert_array_equal(here, there)

    assert int(model.optimizer.iterations) == int(earlier.optimizer.iterations) > 0
    assert float(model.optimizer.learning_rate) == pytest.approx(toy_config.learning_rate)
    for name in ("_momentums", "_velocities"):
        here, there = (getattr(each.optimizer, name) for each in (model, earlier))
        first, known = here[0].numpy(), there[0].numpy()
        assert known.any()
        np.testing.assert_array_equal(first[1:13], known[KEPT_USERS])
        np.testing.assert_array_equal(first[15:27], known[40 + KEPT_ITEMS])
        assert not first[[0, 13, 14, 27]].any()
        for one, other in zip(here[1:], there[1:], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_run_that_starts_from_another_resumes_and_records_it(
    runs, toy, toy_config, tmp_path, capsys
):
    data, workspace = tomorrow_of(toy), Workspace(runs_dir=str(tmp_path))
    config = dataclasses.replace(
        toy_config, encoder="lightgcn", init_from=str(runs["lightgcn"]), epochs=2
    )
    whole = train_and_evaluate(config, workspace, data)
    assert "weights of 12 of 14 users" in capsys.readouterr().out
    folder = workspace.run_folder(config)
    recorded = json.loads((folder / "config.json").read_text())
    manifest = json.loads((runs["lightgcn"] / "manifest.json").read_text())
    (state,) = manifest["files"]["best/model.weights.h5"]
    assert recorded["init_checksum"] == state["sha256"]
    assert Config.from_json(recorded) == config

    again = Workspace(runs_dir=str(tmp_path), run_name="again")
    with pytest.raises(Killed):
        train_and_evaluate(config, again, data, callbacks=[KillAfterAnEpoch()])
    resumed = train_and_evaluate(config, again, data)
    assert "resuming after epoch 1" in capsys.readouterr().out
    assert resumed["test"] == whole["test"]


@pytest.mark.slow
def test_what_cannot_be_started_from_is_refused(runs, toy, toy_config, tmp_path):
    with pytest.raises(UserError, match=r"'nodes' of shape .* choose the encoder of that run"):
        started(toy_config, toy, runs["lightgcn"], encoder="lightgcn", dim=4)
    with pytest.raises(UserError, match="has 1 weight instead of 5"):
        started(toy_config, toy, runs["lightgcn"], encoder="ngcf", num_layers=2)
    strangers = dataclasses.replace(
        toy, user_ids=np.arange(40), item_ids=np.array([f"i{n}" for n in range(60)])
    )
    with pytest.raises(UserError, match="none of its users and items is in toy"):
        started(toy_config, strangers, runs["mf"], encoder="mf", dataset="toy")
    for place in (tmp_path, tmp_path / "nothing"):
        config = dataclasses.replace(toy_config, init_from=str(place))
        with pytest.raises(UserError, match="is not the folder of a finished run of an encoder"):
            train_and_evaluate(config, Workspace(runs_dir=str(tmp_path / "new")), toy)
    assert not (tmp_path / "new").exists()
    folder = runs["mf"]
    config = dataclasses.replace(toy_config, encoder="mf", init_from=str(folder))
    same = Workspace(runs_dir=str(folder.parent), run_name=folder.name, overwrite=True)
    with pytest.raises(UserError, match="is this run: choose another --run_name"):
        train_and_evaluate(config, same, toy)
    assert (folder / "results.json").exists()


@pytest.mark.slow
def test_held_out_positives_that_the_earlier_run_was_trained_on_are_reported(
    toy, toy_config, tmp_path, capsys
):
    workspace = Workspace(runs_dir=str(tmp_path))
    config = dataclasses.replace(toy_config, encoder="mf", epochs=1)
    train_and_evaluate(config, workspace, toy, keep_data=True)
    data = tomorrow_of(toy)
    number = sum(
        toy.train[KEPT_USERS[user - 1], KEPT_ITEMS[item - 1]]
        for user, item in zip(*data.held_out.nonzero(), strict=True)
        if 0 < user < 13 and 0 < item < 13
    )
    assert number > 1
    folder = workspace.run_folder(config)
    config = dataclasses.replace(config, init_from=str(folder))
    train_and_evaluate(config, dataclasses.replace(workspace, run_name="b"), data)
    expected = f"was trained on {number} of the {data.held_out.nnz} valid and test positives"
    assert expected in capsys.readouterr().out
    assert trained_on(toy, config, tmp_path) == ""
    (folder / "interactions.npz").unlink()
    assert trained_on(toy, config, tmp_path).startswith("not known whether")


def test_kept_moments_need_a_run_to_keep_them_of():
    with pytest.raises(UserError, match="--init_optimizer=kept needs --init_from"):
        Config(init_optimizer="kept")
