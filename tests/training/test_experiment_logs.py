"""Logs for TensorBoard and MLflow against metrics.jsonl, also after interruptions."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from recns_tf.config.config import Config, Workspace
from recns_tf.config.logs import LogSettings
from recns_tf.errors import UserError
from recns_tf.runs.folder import RunFolder
from recns_tf.training import callbacks, mlflow_log, train
from recns_tf.training.row_log import RowLog
from recns_tf.training.tensorboard_log import TensorBoardLog
from recns_tf.training.train import train_and_evaluate

TENSORBOARD = LogSettings(tensorboard=True)


@pytest.fixture(scope="session")
def config(toy_config):
    return dataclasses.replace(toy_config, encoder="mf", sampler="unins", epochs=4, eval_every=2)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(runs_dir=str(tmp_path / "runs"), run_name="one")


@pytest.fixture
def folder(workspace):
    return Path(workspace.runs_dir) / workspace.run_name


def expected(folder):
    """Return what a log should have, as sorted (name, step, value), from the files of a run."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    results = json.loads((folder / "results.json").read_text())
    parts = [("valid", row["epoch"], row["valid"]) for row in rows if "valid" in row]
    parts.append(("test", results["best_epoch"], results["test"]))
    found = []
    for row in rows:
        names = set(row) - {"epoch", "valid"}
        found += [(f"train/{name}", row["epoch"], row[name]) for name in names]
    for part, epoch, metrics in parts:
        for name, value in metrics.items():
            if name == "warm":
                found += [(f"{part}/warm_{n}", epoch, each) for n, each in value.items()]
            else:
                found.append((f"{part}/{name}", epoch, value))
    return sorted(found)


def events(folder):
    """Return the values in the event files of a run, with those of plugins, and the texts."""
    scalars, texts = [], []
    for file in sorted((folder / "tensorboard").iterdir()):
        records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
        while True:
            try:
                record = next(records, None)
            except tf.errors.DataLossError:
                break
            if record is None:
                break
            event = event_pb2.Event.FromString(record)
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                content = tf.make_ndarray(value.tensor)
                if plugin == "text":
                    texts.append((value.tag, content.item().decode()))
                else:
                    assert plugin == "scalars" and content.shape == ()
                    scalars.append((value.tag, event.step, content.item()))
    return sorted(scalars), texts


def in_float32(values):
    return [(name, step, float(np.float32(value))) for name, step, value in values]


class Interrupt(RowLog):
    """Ends training at the end of an epoch, before the callbacks after it."""

    def __init__(self, number):
        keras.callbacks.Callback.__init__(self)
        self.number = number

    def on_train_begin(self, logs=None):
        pass

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.number:
            raise KeyboardInterrupt


def interrupt(monkeypatch, number):
    """Let training end after an epoch is committed, but before it is logged."""
    original = train.callbacks_for
    return monkeypatch.setattr(
        train, "callbacks_for", lambda *words: [Interrupt(number), *original(*words)]
    )


@pytest.mark.slow
def test_later_callbacks_see_the_row(toy, config, workspace, folder, monkeypatch):
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((epoch + 1, dict(logs)))

        def finish(self, results):
            seen.append(results)

    monkeypatch.setattr(train, "callbacks_for", lambda *_: [Recorder()])
    results = train_and_evaluate(config, workspace, toy)
    assert seen.pop() == results
    names = {"train/": "", "valid/": "val_"}
    for epoch, logs in seen:
        wanted = {
            names[name[:6]] + name[6:]: value
            for name, step, value in expected(folder)
            if step == epoch and name[:6] in names
        }
        assert logs == wanted
        assert ("val_recall@20" in logs) == (epoch % 2 == 0)
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4]
    assert '"val_' not in (folder / "metrics.jsonl").read_text()


def test_metrics_of_warm_users_have_names_of_their_own():
    row = {
        "epoch": 3,
        "loss": 0.5,
        "valid": {"recall@5": 0.1, "users": 4, "warm": {"recall@5": 0.2, "users": 2}},
        "seconds": 1.5,
    }
    assert callbacks.epoch_logs(row) == {
        "loss": 0.5,
        "seconds": 1.5,
        "val_recall@5": 0.1,
        "val_users": 4,
        "val_warm_recall@5": 0.2,
        "val_warm_users": 2,
    }
    assert "warm" in row["valid"]


@pytest.mark.slow
def test_logs_change_no_result(toy, config, workspace, tmp_path):
    def run(name, settings):
        place = dataclasses.replace(workspace, run_name=name)
        train_and_evaluate(config, place, toy, log_settings=settings)
        folder = Path(place.runs_dir) / name
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        rows = [
            {key: value for key, value in json.loads(line).items() if "seconds" not in key}
            for line in lines
        ]
        arrays = [(folder / "embeddings" / f"{each}.npy").read_bytes() for each in ("user", "item")]
        return rows, arrays, (folder / "config.json").read_text()

    plain = run("plain", LogSettings())
    assert not (tmp_path / "runs" / "plain" / "tensorboard").exists()
    assert run("logged", TENSORBOARD) == plain
    assert (tmp_path / "runs" / "logged" / "tensorboard").exists()


@pytest.mark.slow
def test_tensorboard_has_every_row_once(toy, config, workspace, folder):
    train_and_evaluate(config, workspace, toy, log_settings=TENSORBOARD)
    scalars, texts = events(folder)
    assert scalars == in_float32(expected(folder))
    ((name, text),) = texts
    assert name == "config" and "| learning_rate | `0.01` |" in text.splitlines()
    # A finished run adds nothing.
    train_and_evaluate(config, workspace, toy, log_settings=TENSORBOARD)
    assert events(folder) == (scalars, texts)


@pytest.mark.slow
def test_tensorboard_after_an_interruption(toy, config, workspace, folder, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, workspace, toy, log_settings=TENSORBOARD)
    assert {step for _, step, _ in events(folder)[0]} == {1, 2}, "epoch 3 is not logged yet"
    # The process was killed within a record, so that a part of epoch 2 is lost, too.
    (file,) = (folder / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-150])
    part = events(folder)[0]
    assert 0 < sum(step == 2 for _, step, _ in part) < sum(step == 1 for _, step, _ in part) + 20
    with monkeypatch.context() as patch:
        interrupt(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, workspace, toy, log_settings=TENSORBOARD)
    assert {step for _, step, _ in events(folder)[0]} == {1, 2, 3}, "added when training begins"
    train_and_evaluate(config, workspace, toy, log_settings=TENSORBOARD)
    scalars, texts = events(folder)
    assert scalars == in_float32(expected(folder)) and len(texts) == 1
    assert len(part) < len([each for each in scalars if each[1] <= 2])


@pytest.mark.slow
def test_a_finished_run_is_logged_afterwards_and_overwritten(toy, config, workspace, folder):
    train_and_evaluate(config, workspace, toy)
    train_and_evaluate(config, workspace, toy, log_settings=TENSORBOARD)
    assert events(folder)[0] == in_float32(expected(folder))
    anew = dataclasses.replace(workspace, overwrite=True)
    other = dataclasses.replace(config, seed=1, epochs=2)
    train_and_evaluate(other, anew, toy, log_settings=TENSORBOARD)
    scalars, texts = events(folder)
    assert scalars == in_float32(expected(folder)) and len(texts) == 1
    train_and_evaluate(config, anew, toy)
    assert not (folder / "tensorboard").exists()


def test_names_are_grouped_and_written_once(tmp_path):
    run = RunFolder(tmp_path)
    run.write_config({"dataset": "ml-100k", "encoder": "mf"})
    log = TensorBoardLog(run)
    log.add(7, {"val_ndcg@5": 0.5, "test_hr@5": 1, "validity": 2.0})
    log.add(7, {"val_ndcg@5": 0.25, "loss": 0.125})
    log.close()
    assert events(tmp_path)[0] == [
        ("test/hr@5", 7, 1.0), ("train/loss", 7, 0.125), ("train/validity", 7, 2.0),
        ("valid/ndcg@5", 7, 0.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "uri",
    ["", "http://localhost:5000", "https://host/path", "sqlite:///mlflow.db",
     "sqlite:////tmp/a b.db", "file:./mlruns", "databricks", "databricks://profile"],
)  # fmt: skip
def test_legal_addresses(uri):
    assert LogSettings(mlflow=uri).mlflow == uri


@pytest.mark.parametrize(
    "uri",
    ["mlruns", "localhost:5000", "http://", "http://user:password@host", "ftp://host", "sqlite:///",
     "file:", "databricks://", " http://host"],
)  # fmt: skip
def test_illegal_addresses(uri):
    with pytest.raises(UserError, match=r"--mlflow=.*: choose http://HOST:PORT or https://HOST"):
        LogSettings(mlflow=uri)


def test_logs_are_no_settings_of_a_run():
    names = {field.name for field in dataclasses.fields(LogSettings)}
    assert names == {"tensorboard", "mlflow"}
    assert names.isdisjoint(field.name for field in dataclasses.fields(Config))
    assert LogSettings() == LogSettings(tensorboard=False, mlflow="")


def test_a_missing_package_is_one_sentence(monkeypatch, toy, config, workspace, folder):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = LogSettings(mlflow="http://localhost:5000")
    sentence = r"^--mlflow needs the package mlflow: pip install 'recns-tf\[mlflow\]'\.$"
    with pytest.raises(UserError, match=sentence):
        settings.require_packages()
    with pytest.raises(UserError, match=sentence):
        train_and_evaluate(config, workspace, toy, log_settings=settings)
    assert not folder.exists()
    LogSettings().require_packages()
    TENSORBOARD.require_packages()


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("val_recall@20", "val_recall_at_20"),
        ("valid/a b-c.d", "valid/a b-c.d"),
        ("a%b(c)", "a_b_c_"),
    ],
)
def test_names_that_mlflow_allows(name, legal):
    assert mlflow_log.legal_name(name) == legal


def test_parts_are_at_most_as_long_as_mlflow_takes():
    assert list(mlflow_log.parts([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(mlflow_log.parts([1, 2], 2)) == [[1, 2]]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Returns the address of a file that takes the place of a tracking server."""
    pytest.importorskip("mlflow")
    place = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        yield f"sqlite:///{place}/mlflow.db"


@pytest.fixture
def settings(database):
    return LogSettings(mlflow=database)


def runs_of(uri, name):
    """Return the runs of MLflow with a name, the first one first, and the client."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("ml-100k")
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    return [run for run in found if run.info.run_name == name], client


def history(run, client):
    return sorted(
        (name, metric.step, metric.value)
        for name in run.data.metrics
        for metric in client.get_metric_history(run.info.run_id, name)
    )


def in_mlflow(values):
    return sorted((name.replace("@", "_at_"), step, value) for name, step, value in values)


@pytest.mark.slow
def test_mlflow_has_settings_rows_and_results(toy, config, workspace, settings, tmp_path, capsys):
    place = dataclasses.replace(workspace, run_name="whole")
    results = train_and_evaluate(config, place, toy, log_settings=settings)
    folder = Path(place.runs_dir) / "whole"
    (run,), client = runs_of(settings.mlflow, "whole")
    assert history(run, client) == in_mlflow(expected(folder))
    saved = json.loads((folder / "config.json").read_text())
    assert run.data.params == {name: str(value) for name, value in saved.items()}
    assert run.info.status == "FINISHED"
    files = client.list_artifacts(run.info.run_id)
    assert sorted(file.path for file in files) == ["curves.png", "results.json"]
    copy = client.download_artifacts(run.info.run_id, "results.json", str(tmp_path))
    assert json.loads(Path(copy).read_text()) == results
    assert "--mlflow" not in capsys.readouterr().err

    ended = run.info.end_time
    train_and_evaluate(config, place, toy, log_settings=settings)
    (run,), client = runs_of(settings.mlflow, "whole")
    assert history(run, client) == in_mlflow(expected(folder)) and run.info.end_time == ended

    train_and_evaluate(
        config, dataclasses.replace(place, overwrite=True), toy, log_settings=settings
    )
    (first, second), client = runs_of(settings.mlflow, "whole")
    assert first.info.run_id == run.info.run_id
    assert history(second, client) == in_mlflow(expected(folder)), "another run of MLflow"


@pytest.mark.slow
def test_mlflow_after_an_interruption(toy, config, workspace, settings, monkeypatch):
    place = dataclasses.replace(workspace, run_name="stopped")
    with monkeypatch.context() as patch:
        interrupt(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, place, toy, log_settings=settings)
    (run,), client = runs_of(settings.mlflow, "stopped")
    assert {step for _, step, _ in history(run, client)} == {1, 2}
    assert run.info.status == "RUNNING"
    train_and_evaluate(config, place, toy, log_settings=settings)
    (same,), client = runs_of(settings.mlflow, "stopped")
    assert same.info.run_id == run.info.run_id and same.info.status == "FINISHED"
    folder = Path(place.runs_dir) / "stopped"
    assert history(same, client) == in_mlflow(expected(folder))

    client.delete_run(same.info.run_id)
    train_and_evaluate(config, place, toy, log_settings=settings)
    (new,), client = runs_of(settings.mlflow, "stopped")
    assert new.info.run_id != same.info.run_id
    assert history(new, client) == in_mlflow(expected(folder))


@pytest.mark.slow
@pytest.mark.parametrize("arrived", [0, 5])
def test_training_goes_on_if_mlflow_fails(
    toy, config, workspace, settings, monkeypatch, capsys, arrived
):
    from mlflow.tracking import MlflowClient

    original, failures = MlflowClient.log_batch, []

    def log_batch(self, run_id, metrics=(), **options):
        if not failures and [metric.step for metric in metrics][:1] == [2]:
            failures.append(2)
            original(self, run_id, metrics=metrics[:arrived])
            raise ConnectionError("the server\nis gone.")
        original(self, run_id, metrics=metrics, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    name = f"failed{arrived}"
    place = dataclasses.replace(workspace, run_name=name)
    train_and_evaluate(config, place, toy, log_settings=settings)
    (run,), client = runs_of(settings.mlflow, name)
    assert history(run, client) == in_mlflow(expected(Path(place.runs_dir) / name))
    assert run.info.status == "FINISHED"
    assert f"--mlflow={settings.mlflow}: the server is gone. What is missing there is logged when" \
        in capsys.readouterr().err  # fmt: skip


@pytest.mark.slow
def test_a_run_that_mlflow_missed_is_completed_by_the_same_command(
    toy, config, workspace, settings, monkeypatch, capsys
):
    from mlflow.tracking import MlflowClient

    def gone(*_, **__):
        raise ConnectionError("gone")

    place = dataclasses.replace(workspace, run_name="late")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", gone)
        patch.setattr(MlflowClient, "create_run", gone)
        results = train_and_evaluate(config, place, toy, log_settings=settings)
    assert capsys.readouterr().err.count("gone. What is missing") == 2
    assert runs_of(settings.mlflow, "late")[0] == []
    assert train_and_evaluate(config, place, toy, log_settings=settings) == results
    (run,), client = runs_of(settings.mlflow, "late")
    assert history(run, client) == in_mlflow(expected(Path(place.runs_dir) / "late"))


@pytest.mark.slow
def test_a_server_that_is_down_stops_the_run_before_training(
    toy, config, workspace, folder, monkeypatch
):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # Port 1 is that of no server.
    with pytest.raises(UserError, match=r"^--mlflow=http://127\.0\.0\.1:1: .*\.$") as found:
        train_and_evaluate(
            config, workspace, toy, log_settings=LogSettings(mlflow="http://127.0.0.1:1")
        )
    assert "\n" not in str(found.value) and not folder.exists()


@pytest.mark.slow
def test_a_deleted_experiment_is_one_sentence(toy, config, workspace, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/other.db"
    client = MlflowClient(tracking_uri=uri)
    number = client.create_experiment("ml-100k")
    client.delete_experiment(number)
    with pytest.raises(UserError, match=f"experiment ml-100k is deleted; .*-id {number}'"):
        train_and_evaluate(config, workspace, toy, log_settings=LogSettings(mlflow=uri))


@pytest.mark.slow
@pytest.mark.parametrize("content", ["{", "[]", '{"run_id": "a"}'])
def test_a_damaged_mlflow_json_is_one_sentence(toy, config, workspace, folder, settings, content):
    train_and_evaluate(config, workspace, toy)
    (folder / "mlflow.json").write_text(content)
    with pytest.raises(UserError, match=r"mlflow\.json is damaged.*: delete it to log to another"):
        train_and_evaluate(config, workspace, toy, log_settings=settings)
