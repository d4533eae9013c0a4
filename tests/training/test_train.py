"""Complete runs on small datasets: their output files, and how they resume."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from recns_tf import registry
from recns_tf.config.config import Workspace
from recns_tf.encoders.base import Encoder
from recns_tf.errors import UserError
from recns_tf.evaluation import ranking
from recns_tf.evaluation.metrics import METRIC
from recns_tf.interactions import make_interactions
from recns_tf.runs.folder import RunFolder
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.unins import UniNS
from recns_tf.training import callbacks, train
from recns_tf.training.build import build
from recns_tf.training.callbacks import best_row, kept_row, out_of_patience
from recns_tf.training.train import train_and_evaluate
from tests.conftest import PAIRS, make_toy, with_rate


@pytest.fixture
def workspace(tmp_path):
    return Workspace(data_dir=str(tmp_path / "data"), runs_dir=str(tmp_path / "runs"))


def rows(folder):
    """Return the rows of a run's metrics.jsonl without the times."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    for row in found:
        assert row.pop("seconds") > row.pop("sampling_seconds") > 0
    return found


def without_times(results):
    return {key: value for key, value in results.items() if "seconds" not in key}


@pytest.mark.slow
def test_run_writes_all_output_files(toy, toy_config, workspace, capsys):
    results = train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    assert folder.name == "ml-100k-lightgcn-recns"
    assert {path.name for path in folder.iterdir()} == {
        ".lock", "best", "checkpoint", "config.json", "curves.png", "embeddings",
        "manifest.json", "metrics.jsonl", "results.json",
    }  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    assert config == toy_config.to_json() | {"data_checksum": toy.checksum}

    lines = rows(folder)
    assert [row["epoch"] for row in lines] == [1, 2, 3]
    for row in lines:
        assert {"loss", "ranking_loss", "penalty", "hardness", "amplification"} <= set(row)
        assert {f"{metric}@20" for metric in registry.USER_METRICS} | {"users"} < set(row["valid"])

    assert json.loads((folder / "results.json").read_text()) == results
    assert results["epochs_run"] == 3
    assert results["region"]["kind"] == "intermediate"
    assert 0 < results["region"]["coverage"]["mean"] <= 1
    assert {"tensorflow", "keras", "python"} <= set(results["versions"])
    assert results["data"] == {"checksum": toy.checksum, "source": toy.source}
    best = max(lines, key=lambda row: row["valid"]["recall@20"])
    assert results["best_epoch"] == best["epoch"] and results["valid"] == best["valid"]

    user = np.load(folder / "embeddings" / "user.npy")
    item = np.load(folder / "embeddings" / "item.npy")
    assert user.shape == (40, 8) and item.shape == (60, 8) and user.dtype == np.float32
    assert np.load(folder / "embeddings" / "user_ids.npy").tolist() == list(toy.user_ids)
    assert np.load(folder / "embeddings" / "item_ids.npy").tolist() == list(toy.item_ids)
    again = ranking.evaluate(user, item, toy.test, seen=toy.train + toy.valid, train=toy.train)
    assert again == results["test"], "the saved embeddings are the tested ones"
    valid = ranking.evaluate(user, item, toy.valid, seen=toy.train)
    assert valid["recall@20"] == results["valid"]["recall@20"], "and those of the best epoch"

    model, _, _ = build(toy_config, toy)
    model.load_weights(folder / "best" / "model.weights.h5")
    np.testing.assert_array_equal(model.encoder.embeddings()[0], user)

    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    screen = capsys.readouterr().out
    assert "40 users, 60 items" in screen and "intermediate region, khop 3" in screen
    assert f"{results['test']['recall@20']:.4f}" in screen and str(folder) in screen
    heading = next(line for line in screen.splitlines() if line.lstrip().startswith("epoch "))
    assert heading.split() == [
        "epoch", "loss", "negative_score", "hardness", "amplification", "recall@20", "seconds",
    ]  # fmt: skip
    shown = [line for line in screen.splitlines() if line.split()[:1] in (["1"], ["2"], ["3"])]
    assert len(shown) == 3 and "*" in shown[0]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", registry.SAMPLERS)
def test_runs_depend_on_the_seed_only(toy, toy_config, workspace, sampler):
    def run(name, seed):
        config = dataclasses.replace(toy_config, sampler=sampler, seed=seed, epochs=2)
        place = dataclasses.replace(workspace, run_name=name)
        results = without_times(train_and_evaluate(config, place, toy))
        return rows(place.run_folder(config)), results

    one, again, other = run("one", 5), run("again", 5), run("other", 6)
    assert one == again
    assert one[0] != other[0]


@pytest.mark.slow
def test_seed_changes_weights_and_batches(toy, toy_config):
    def weights_and_batch(seed):
        model, pipeline, _ = build(dataclasses.replace(toy_config, seed=seed), toy)
        batch = next(iter(pipeline.batches()))
        return [model.encoder.nodes.numpy(), *(part.numpy() for part in batch)]

    for name, one, two in zip(
        ("weights", *Batch._fields), weights_and_batch(1), weights_and_batch(2), strict=True
    ):
        assert not np.array_equal(one, two), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "memory", "encoder", "sampler"),
    [
        ("in_epoch", 2.0, "lightgcn", "recns"),
        ("before_row", 2.0, "lightgcn", "recns"),
        ("after_row", 2.0, "lightgcn", "recns"),
        ("before_checkpoint", 2.0, "lightgcn", "recns"),
        ("in_epoch", 0.0, "lightgcn", "recns"),
        ("in_epoch", 2.0, "ngcf", "recns"),
        ("in_epoch", 2.0, "pinsage", "dns"),
        ("in_epoch", 2.0, "lightgcn", "mcns"),
        ("in_epoch", 2.0, "lightgcn", "srns"),
        ("in_epoch", 2.0, "lightgcn", "advns"),
        ("in_epoch", 2.0, "lightgcn", "rns-as"),
    ],
)
def test_killed_run_resumes_to_the_same_numbers(
    toy, toy_config, workspace, monkeypatch, moment, memory, encoder, sampler, capsys
):
    """Covers pools redrawn every second epoch, dropout (NGCF) and sampled neighbors (PinSage).

    Also covers samplers with state: chains, memories, snapshots, generators and their baselines.
    """
    config = dataclasses.replace(
        toy_config,
        encoder=encoder,
        sampler=sampler,
        epochs=4,
        region_memory=memory,
        pool_size=6,
        pool_epochs=2,
        table_steps=3,
    )
    whole = dataclasses.replace(workspace, run_name="whole")
    expected = without_times(train_and_evaluate(config, whole, toy))
    place = dataclasses.replace(workspace, run_name="killed")
    folder = place.run_folder(config)

    class Killed(BaseException):
        """Simulates the end of the process."""

    def die(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patch:
        end = callbacks.EpochEnd

        class Dying(end):
            def on_train_batch_end(self, batch, logs=None):
                if moment == "in_epoch" and int(self.checkpoints.epoch) == 2 and batch == 1:
                    raise Killed

            def on_epoch_end(self, epoch, logs=None):
                if epoch == 2:
                    if moment == "before_row":
                        raise Killed
                    if moment == "after_row":
                        patch.setattr(self.model, "save_weights", die)
                    if moment == "before_checkpoint":
                        patch.setattr(self.checkpoints, "save", die)
                super().on_epoch_end(epoch, logs)
                if epoch == 2 and moment == "after_row":
                    raise Killed

        patch.setattr("recns_tf.training.train.EpochEnd", Dying)
        with pytest.raises(Killed):
            train_and_evaluate(config, place, toy)
    assert not (folder / "results.json").exists()
    if moment == "after_row":
        with (folder / "metrics.jsonl").open("a") as file:
            file.write('{"epoch": 4, "lo')
    capsys.readouterr()
    resumed = without_times(train_and_evaluate(config, place, toy))
    screen = capsys.readouterr().out
    assert "resuming after epoch" in screen
    assert ("pools of 6 items per user, drawn every 2 epochs" in screen) == (memory == 0)
    assert resumed == expected
    assert rows(folder) == rows(whole.run_folder(config))
    for name in ("user", "item"):
        one, two = (
            np.load(p.run_folder(config) / "embeddings" / f"{name}.npy") for p in (whole, place)
        )
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_run_killed_after_its_last_epoch_is_not_trained_again(toy, toy_config, workspace):
    expected = train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    lines = (folder / "metrics.jsonl").read_bytes()
    (folder / "results.json").unlink()
    assert train_and_evaluate(toy_config, workspace, toy) == expected
    assert (folder / "metrics.jsonl").read_bytes() == lines, "no epoch was trained again"


@pytest.mark.slow
def test_finished_run_is_shown_and_not_run_again(toy, toy_config, workspace, capsys):
    first = train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.is_file()}
    capsys.readouterr()
    assert train_and_evaluate(toy_config, workspace, toy) == first
    assert "is finished; --overwrite would run it again" in capsys.readouterr().out
    for path, stamp in stamps.items():
        if path.name not in ("config.json", ".lock"):
            assert path.stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_other_settings_need_overwrite(toy, toy_config, workspace):
    train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    kept = (folder / "results.json").read_bytes()
    other = dataclasses.replace(toy_config, margin=0.2)
    with pytest.raises(UserError, match=r"margin 0\.1 there, 0\.2 here.*--run_name.*--overwrite"):
        train_and_evaluate(other, workspace, toy)
    with pytest.raises(UserError, match="data_checksum"):
        train_and_evaluate(toy_config, workspace, make_toy(seed=9))
    assert (folder / "results.json").read_bytes() == kept
    overwrite = dataclasses.replace(workspace, overwrite=True)
    assert train_and_evaluate(other, overwrite, toy)["config"]["margin"] == 0.2


@pytest.mark.slow
def test_run_killed_in_its_first_epoch_gives_way_to_other_settings(
    toy, toy_config, workspace, monkeypatch
):
    class Killed(BaseException):
        """Simulates the end of the process."""

    def die(*arguments, **options):
        raise Killed

    config = dataclasses.replace(toy_config, encoder="mf", epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.EpochEnd, "on_epoch_end", die)
        with pytest.raises(Killed):
            train_and_evaluate(config, workspace, toy)
    other = dataclasses.replace(config, margin=0.2)
    assert train_and_evaluate(other, workspace, toy)["config"]["margin"] == 0.2


@pytest.mark.slow
def test_finished_run_of_an_earlier_version_is_shown(toy, toy_config, workspace):
    """A setting missing from config.json counts as its default; another value is another run."""
    results = train_and_evaluate(toy_config, workspace, toy)
    path = workspace.run_folder(toy_config) / "config.json"
    settings = json.loads(path.read_text())
    del settings["merge"]
    path.write_text(json.dumps(settings))
    (path.parent / "manifest.json").unlink()
    other = dataclasses.replace(toy_config, merge="nested")
    with pytest.raises(UserError, match=r"merge flat there, nested here"):
        train_and_evaluate(other, workspace, toy)
    assert train_and_evaluate(toy_config, workspace, toy) == results


@pytest.mark.slow
def test_overwriting_starts_anew_and_only_after_an_epoch(toy, toy_config, workspace, monkeypatch):
    """A refusal leaves the earlier run; a run that trains has the numbers of a first one."""
    train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    overwrite = dataclasses.replace(workspace, overwrite=True, run_name=folder.name)
    other = dataclasses.replace(toy_config, margin=0.2, epochs=2)
    measure = callbacks.EpochEnd.on_epoch_end

    def refuse(*_):
        raise UserError("the model is too large.")

    def diverge(self, epoch, logs=None):
        measure(self, epoch, logs | {"loss": float("nan")})

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.EpochEnd, "on_epoch_end", diverge)
        with pytest.raises(UserError, match="the loss became nan in epoch 1"):
            train_and_evaluate(other, overwrite, toy)
    with monkeypatch.context() as patch:
        patch.setattr(train, "build", refuse)
        with pytest.raises(UserError, match="too large"):
            train_and_evaluate(other, overwrite, toy)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    results = train_and_evaluate(other, overwrite, toy)
    clean = dataclasses.replace(workspace, run_name="clean")
    assert without_times(results) == without_times(train_and_evaluate(other, clean, toy))
    assert rows(folder) == rows(clean.run_folder(other))
    kept = {path.name for path in (folder / "checkpoint").iterdir()}
    assert kept == {path.name for path in (clean.run_folder(other) / "checkpoint").iterdir()}


def test_locked_run_is_an_error(toy, toy_config, workspace):
    folder = RunFolder(workspace.run_folder(toy_config))
    settings = toy_config.to_json() | {"data_checksum": toy.checksum}
    with (
        folder.claim(settings, overwrite=False),
        pytest.raises(UserError, match="another process is writing"),
    ):
        train_and_evaluate(toy_config, workspace, toy)


@pytest.mark.slow
def test_run_killed_during_overwrite_never_resumes_the_old_run(
    toy, toy_config, workspace, monkeypatch
):
    """Wherever the deletion stops, the remains must be refused or the run must start anew."""
    other = dataclasses.replace(toy_config, margin=0.2, epochs=2)
    clean = dataclasses.replace(workspace, run_name="clean")
    expected = without_times(train_and_evaluate(other, clean, toy))
    overwrite = dataclasses.replace(workspace, overwrite=True)
    old = dataclasses.replace(workspace, run_name="old")
    train_and_evaluate(toy_config, old, toy)

    class Killed(BaseException):
        pass

    for kill_at in range(1, 20):
        fresh = dataclasses.replace(workspace, run_name=f"run{kill_at}")
        shutil.copytree(old.run_folder(toy_config), fresh.run_folder(other))
        deaths = [kill_at]

        def deadly(function, deaths=deaths):
            def call(*arguments, **options):
                deaths[0] -= 1
                if deaths[0] == 0:
                    raise Killed
                return function(*arguments, **options)

            return call

        survived = True
        with monkeypatch.context() as patch:
            for module, name in ((shutil, "rmtree"), (Path, "rename"), (Path, "unlink")):
                patch.setattr(module, name, deadly(getattr(module, name)))
            try:
                RunFolder(fresh.run_folder(other)).clear()
            except Killed:
                survived = False
        if survived:
            return
        try:
            results = train_and_evaluate(other, fresh, toy)
        except UserError as error:
            assert "--overwrite" in str(error)
            results = train_and_evaluate(
                other, dataclasses.replace(overwrite, run_name=fresh.run_name), toy
            )
        assert without_times(results) == expected
    raise AssertionError("clear never completed")


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["metrics.jsonl", "best/model.weights.h5"])
def test_missing_files_of_a_run_are_errors(toy, toy_config, workspace, lost):
    train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    (folder / "results.json").unlink()
    (folder / lost).unlink()
    with pytest.raises(UserError, match=f"{lost} is missing: --overwrite"):
        train_and_evaluate(toy_config, workspace, toy)


@pytest.mark.slow
def test_damaged_files_of_a_run_of_an_earlier_version_are_errors(toy, toy_config, workspace):
    train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    (folder / "results.json").unlink()
    (folder / "manifest.json").unlink()
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text("\n".join([lines[0], lines[1][:20], lines[2]]) + "\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 2 is damaged"):
        train_and_evaluate(toy_config, workspace, toy)
    (folder / "manifest.json").unlink()
    for content in ("{", "[]", "3"):
        (folder / "config.json").write_text(content)
        with pytest.raises(UserError, match=r"config\.json is damaged"):
            train_and_evaluate(toy_config, workspace, toy)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("results.json", r"results\.json is damaged"),
        ("best/model.weights.h5", r"model\.weights\.h5 is damaged"),
        ("checkpoint/ckpt-3.data-00000-of-00001", r"checkpoint\S* is damaged"),
        ("checkpoint/ckpt-3.index", r"checkpoint\S* is damaged"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_truncated_file_is_an_error(toy, toy_config, workspace, file, sentence, listed):
    """Whether or not it is listed in the manifest, which earlier versions did not write."""
    train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    if not listed:
        (folder / "manifest.json").unlink()
    if file != "results.json":
        (folder / "results.json").unlink()
    (folder / file).write_bytes((folder / file).read_bytes()[:50])
    with pytest.raises(UserError, match=f"{sentence}.*: --overwrite"):
        train_and_evaluate(toy_config, workspace, toy)
    overwrite = dataclasses.replace(workspace, overwrite=True)
    assert train_and_evaluate(toy_config, overwrite, toy)["epochs_run"] == 3


@pytest.mark.slow
def test_best_weights_of_another_epoch_are_refused(toy, toy_config, workspace):
    """Even in the folder of an earlier version, whose files have no checksums."""
    config = dataclasses.replace(toy_config, encoder="mf", learning_rate=0.1)
    other = dataclasses.replace(workspace, run_name="other")
    train_and_evaluate(dataclasses.replace(config, seed=1), other, toy)
    results = train_and_evaluate(config, workspace, toy)
    folder = workspace.run_folder(config)
    best = folder / "best" / "model.weights.h5"
    mine = best.read_bytes()
    (folder / "results.json").unlink()
    best.write_bytes((other.run_folder(config) / "best" / "model.weights.h5").read_bytes())
    with pytest.raises(UserError, match=r"weights\.h5 is damaged, or was changed after the run"):
        train_and_evaluate(config, workspace, toy)
    (folder / "manifest.json").unlink()
    sentence = rf"gives a validation .* of .*epoch {results['best_epoch']} of .* --overwrite starts"
    with pytest.raises(UserError, match=sentence):
        train_and_evaluate(config, workspace, toy)
    best.write_bytes(mine)
    assert without_times(train_and_evaluate(config, workspace, toy)) == without_times(results)


@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_that_is_not_a_run_is_left_unchanged(toy, toy_config, workspace, overwrite):
    folder = workspace.run_folder(toy_config)
    (folder / "best").mkdir(parents=True)
    (folder / "best" / "notes").write_text("keep")
    place = dataclasses.replace(workspace, overwrite=overwrite)
    with pytest.raises(UserError, match="is not the folder of a run: choose another --run_name"):
        train_and_evaluate(toy_config, place, toy)
    assert sorted(path.name for path in folder.rglob("*")) == ["best", "notes"]


@pytest.mark.slow
def test_temporary_files_of_killed_writers_are_deleted(toy, toy_config, workspace):
    train_and_evaluate(toy_config, workspace, toy)
    folder = workspace.run_folder(toy_config)
    left = [folder / ".123.results.json", folder / "best" / ".45.model.weights.h5"]
    for path in left:
        path.write_text("half")
    train_and_evaluate(toy_config, workspace, toy)

    barely = dataclasses.replace(workspace, run_name="barely")
    early = barely.run_folder(toy_config)
    early.mkdir()
    (early / ".77.config.json").write_text("{")
    train_and_evaluate(toy_config, barely, toy)
    left.append(early / ".77.config.json")
    assert not any(path.exists() for path in left)
    assert (folder / ".lock").exists()


def test_training_stops_when_validation_stops_improving(toy, toy_config, workspace):
    config = dataclasses.replace(toy_config, epochs=60, patience=2, learning_rate=0.05)
    results = train_and_evaluate(config, workspace, toy)
    (workspace.run_folder(config) / "results.json").unlink()
    again = train_and_evaluate(config, workspace, toy)
    assert without_times(again) == without_times(results), "early stopping survives a resumption"
    assert results["epochs_run"] < 60
    recalls = [row["valid"]["recall@20"] for row in rows(workspace.run_folder(config))]
    assert results["best_epoch"] == int(np.argmax(recalls)) + 1
    assert results["epochs_run"] == results["best_epoch"] + 2


def make_rows(*recalls):
    return [
        {"epoch": n} | ({} if recall is None else {"valid": {"recall@20": recall}})
        for n, recall in enumerate(recalls, 1)
    ]


def test_patience_counts_validations_not_epochs():
    tie = make_rows(0.1, 0.3, 0.3, 0.2)
    assert best_row(tie, METRIC)["epoch"] == 2, "the first in case of a tie"
    assert not out_of_patience(make_rows(0.1, 0.3, 0.3, 0.2), 3, METRIC)
    assert out_of_patience(make_rows(0.1, 0.3, 0.3, 0.2, 0.1), 3, METRIC)
    assert not out_of_patience(make_rows(0.3, None, 0.2, None, 0.1), 3, METRIC)
    assert not out_of_patience(make_rows(None, None, None, None), 3, METRIC)
    assert best_row(make_rows(None, None), METRIC)["epoch"] == 2
    for found, best, last in ((tie, 2, 4), (make_rows(0.3, None), 1, 2)):
        assert kept_row(found, METRIC, "best")["epoch"] == best
        assert kept_row(found, METRIC, "last")["epoch"] == last
    assert kept_row([], METRIC, "last") is None
    assert best_row([], METRIC) is None and not out_of_patience([], 1, METRIC)


@pytest.mark.slow
def test_eval_every_sets_the_validated_epochs(toy, toy_config, workspace):
    config = dataclasses.replace(toy_config, epochs=5, eval_every=2)
    train_and_evaluate(config, workspace, toy)
    checked = [row["epoch"] for row in rows(workspace.run_folder(config)) if "valid" in row]
    assert checked == [2, 4, 5]


@pytest.mark.slow
def test_eval_first_moves_the_validated_epochs(toy, toy_config, workspace):
    """As the authors' loop, whose epochs count from 0 and are checked every 10: 1, 11, 21, …"""
    config = dataclasses.replace(toy_config, epochs=6, eval_every=3, eval_first=1)
    results = train_and_evaluate(config, workspace, toy)
    checked = [row["epoch"] for row in rows(workspace.run_folder(config)) if "valid" in row]
    assert checked == [1, 4, 6], "the last epoch is always validated"
    assert results["best_epoch"] in checked


@pytest.mark.parametrize("part", ["valid", "test"])
def test_last_epoch_can_be_kept(toy, toy_config, workspace, capsys, part):
    config = dataclasses.replace(
        toy_config, epochs=60, patience=2, learning_rate=0.05, validate_on=part
    )
    best = train_and_evaluate(config, dataclasses.replace(workspace, run_name="best"), toy)
    assert best["best_epoch"] == best["epochs_run"] - 2 < 58
    capsys.readouterr()
    config = dataclasses.replace(config, keep="last")
    results = train_and_evaluate(config, workspace, toy)
    screen = capsys.readouterr().out
    folder = workspace.run_folder(config)
    assert results["best_epoch"] == results["epochs_run"] == best["epochs_run"], (
        "early stopping ends the same epoch, but restores no other"
    )
    assert f"last epoch {results['epochs_run']} of {results['epochs_run']}" in screen
    assert ("the test metrics decide when training ends" in screen) == (part == "test")
    assert "best epoch on test" not in screen
    last = rows(folder)[-1]
    assert results[part] == last["valid"]
    assert results["negatives"]["false_negatives"] == last["false_negatives"]
    assert results["test"] != best["test"]

    model, _, _ = build(config, toy)
    model.load_weights(folder / "best" / "model.weights.h5")
    np.testing.assert_array_equal(
        model.encoder.embeddings()[0], np.load(folder / "embeddings" / "user.npy")
    )
    (folder / "results.json").unlink()
    again = train_and_evaluate(config, workspace, toy)
    assert without_times(again) == without_times(results)


@pytest.mark.slow
def test_last_epoch_is_kept_without_validation_positives(toy, toy_config, workspace, capsys):
    from recns_tf.interactions import to_pairs

    data = make_interactions(
        "bare",
        train=to_pairs(toy.train),
        valid=np.zeros((0, 2)),
        test=to_pairs(toy.test),
        exposed=to_pairs(toy.exposed),
        user_ids=toy.user_ids,
        item_ids=toy.item_ids,
        source={},
    )
    results = train_and_evaluate(toy_config, workspace, data)
    assert results["best_epoch"] == results["epochs_run"] == 3
    assert results["valid"] is None and results["test"]["users"] > 0
    assert "no validation positives" in capsys.readouterr().out


@pytest.mark.slow
def test_early_stopping_on_test_warns_and_reports_valid_separately(
    toy, toy_config, workspace, capsys
):
    config = dataclasses.replace(toy_config, validate_on="test")
    results = train_and_evaluate(config, workspace, toy)
    assert "--validate_on=test: the test metrics will be those" in capsys.readouterr().out
    stopping_metrics = [row["valid"] for row in rows(workspace.run_folder(config))]
    best = max(row["recall@20"] for row in stopping_metrics)
    assert (
        results["test"]["recall@20"]
        == best
        == stopping_metrics[results["best_epoch"] - 1]["recall@20"]
    )
    assert results["valid"] not in stopping_metrics, "results.json has valid metrics under valid"
    plain = train_and_evaluate(toy_config, dataclasses.replace(workspace, run_name="x"), toy)
    assert results["valid"]["users"] == plain["valid"]["users"]


@pytest.mark.slow
def test_nonfinite_loss_is_an_error(toy, toy_config, workspace):
    config = with_rate(dataclasses.replace(toy_config, loss="bpr"), 1e30)
    with pytest.raises(UserError, match=r"the loss became .* try a smaller --learning_rate"):
        train_and_evaluate(config, workspace, toy)
    assert not (workspace.run_folder(config) / "results.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "sampler"), PAIRS)
def test_every_encoder_and_sampler_trains_and_loads(toy, toy_config, workspace, encoder, sampler):
    config = dataclasses.replace(toy_config, encoder=encoder, sampler=sampler, epochs=1)
    train_and_evaluate(config, workspace, toy)
    folder = workspace.run_folder(config)
    exported = [np.load(folder / "embeddings" / f"{name}.npy") for name in ("user", "item")]
    loaded, _, _ = build(dataclasses.replace(config, seed=1), toy)
    assert not np.allclose(loaded.encoder.embeddings()[0], exported[0], atol=1e-3)
    loaded.load_weights(folder / "best" / "model.weights.h5")
    for table, saved in zip(loaded.encoder.embeddings(), exported, strict=True):
        np.testing.assert_allclose(table, saved, rtol=1e-5, atol=1e-6)
    tops = [
        ranking.top_items(*tables, np.arange(toy.num_users), toy.train, k=5)
        for tables in (exported, loaded.encoder.embeddings())
    ]
    np.testing.assert_array_equal(*tops)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "sampler"),
    [("lightgcn", sampler) for sampler in registry.SAMPLERS if sampler != "simns"]
    + [(encoder, "recns") for encoder in registry.ENCODERS if encoder != "lightgcn"],
)
def test_checkerboard_is_recovered(encoder, sampler, toy_config, workspace):
    """Even users like even items, odd users odd items; the held-out items must rank first.

    Half of the items of the other color were exposed. SimNS is left out: its negatives resemble
    the positive, so once it has learned the colors it draws only held-out items.
    """
    size = 24
    cells = np.add.outer(np.arange(size), np.arange(size)) % 2 == 0
    board = np.argwhere(cells)
    # Item u is valid and item u + 2 is test for user u; both have u's color.
    gap = (board[:, 1] - board[:, 0]) % size
    data = make_interactions(
        "checkerboard",
        train=board[(gap != 0) & (gap != 2)],
        valid=board[gap == 0],
        test=board[gap == 2],
        exposed=np.argwhere(~cells)[::2],
        user_ids=np.arange(size),
        item_ids=np.arange(size),
        source={},
    )
    config = dataclasses.replace(
        toy_config, encoder=encoder, sampler=sampler, region="all", epochs=40, eval_every=40
    )
    train_and_evaluate(config, workspace, data)
    folder = workspace.run_folder(config)
    user, item = (np.load(folder / "embeddings" / f"{name}.npy") for name in ("user", "item"))
    top = ranking.top_items(user, item, np.arange(size), data.train, k=2)
    assert {tuple(sorted(row)) for row in top[:1].tolist()} == {(0, 2)}
    for u in range(size):
        assert set(top[u]) == {u, (u + 2) % size}


@pytest.mark.slow
def test_score_tables_are_encoded_at_the_right_steps(toy, toy_config, workspace, monkeypatch):
    """At the start of each epoch and every table_steps steps, only for samplers that need them."""

    def encodings(**settings):
        config = dataclasses.replace(toy_config, encoder="pinsage", epochs=2, **settings)
        steps = []
        model, pipeline, _ = build(config, toy)
        refreshed = type(model.encoder).refresh
        with monkeypatch.context() as patch:
            patch.setattr(
                type(model.encoder),
                "refresh",
                lambda self: (steps.append(1), refreshed(self))[1],
            )
            place = dataclasses.replace(workspace, run_name="-".join(map(str, settings.values())))
            train_and_evaluate(config, place, toy)
        return len(steps), pipeline.steps_per_epoch

    number, steps = encodings(sampler="dns")
    assert number == 1 + 2, "once when the model is built, and once per epoch"
    number, steps = encodings(sampler="dns", table_steps=2)
    assert number == 1 + 2 * -(-steps // 2) > 3
    assert encodings(sampler="recns")[0] == 0


class SpySampler(UniNS):
    """Records the calls of `begin_epoch`."""

    epochs: ClassVar[list[int]] = []
    encoders: ClassVar[list[Encoder]] = []

    def begin_epoch(self, epoch, encoder):
        self.epochs.append(epoch)
        self.encoders.append(encoder)


@pytest.mark.slow
def test_begin_epoch_is_called_once_per_epoch_and_continues_when_resumed(
    toy, toy_config, workspace, monkeypatch
):
    spy = f"{__name__}:SpySampler"
    config = dataclasses.replace(toy_config, sampler=spy, epochs=4)

    def called():
        epochs, SpySampler.epochs[:] = list(SpySampler.epochs), []
        return epochs

    train_and_evaluate(config, workspace, toy)
    assert called() == [0, 1, 2, 3]
    assert all(isinstance(encoder, Encoder) for encoder in SpySampler.encoders)

    class Killed(BaseException):
        """Simulates the end of the process."""

    end_epoch = callbacks.EpochEnd.on_epoch_end

    def die_in_epoch_2(self, epoch, logs=None):
        if epoch == 2:
            raise Killed
        end_epoch(self, epoch, logs)

    killed = dataclasses.replace(workspace, run_name="killed")
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.EpochEnd, "on_epoch_end", die_in_epoch_2)
        with pytest.raises(Killed):
            train_and_evaluate(config, killed, toy)
    assert called() == [0, 1, 2]
    train_and_evaluate(config, killed, toy)
    assert called() == [2, 3], "epoch 2 is repeated, because it was not completed"
