"""The public interface: names, arguments of `train`, and what is imported when."""

import doctest
import inspect
import json
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest

import recns_tf as rt
from recns_tf import api
from recns_tf.config.config import FIELDS, Workspace
from recns_tf.errors import UserError
from recns_tf.main import main
from recns_tf.samplers.unins import UniNS
from recns_tf.serving import recommender

NAMES = {"user": "user", "item": "item", "quiet": True}
SMALL = {"epochs": 2, "dim": 4, "num_negatives": 2, "num_candidates": 6, "batch_size": 64}


class Own(UniNS):
    """A sampler of one's own."""


def log(seed=0):
    rng = np.random.default_rng(seed)
    return {"user": rng.integers(0, 30, 300), "item": rng.integers(0, 40, 300)}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Returns a dataset, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return rt.Interactions.from_frame(log(), user="user", item="item", name="shop", quiet=True)


def test_public_names_are_documented_and_of_this_package():
    assert sorted(rt.__all__) == sorted(rt.MODULES) == sorted(set(dir(rt)) - {"__version__"})
    for name in rt.__all__:
        value = getattr(rt, name)
        assert value.__module__ == f"recns_tf.{rt.MODULES[name]}" and inspect.getdoc(value)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = rt.nonsense


def modules_after(program):
    text = f"import sys\n{program}\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return done.stdout.split()


HEAVY = ("tensorflow", "keras", "pandas", "polars", "matplotlib", "optuna", "faiss")


@pytest.mark.slow
def test_tensorflow_is_imported_for_training_alone(data):
    assert modules_after("import recns_tf as rt; rt.__all__; dir(rt)") == []
    frame = "{'user': [1, 1, 2], 'item': [3, 4, 4]}"
    made = f"rt.Interactions.from_frame({frame}, user='user', item='item', quiet=True)"
    # PyArrow imports pandas where it is installed.
    assert set(modules_after(f"import recns_tf as rt; {made}")) <= {"pandas"}
    api.train(data, "mf", "unins", quiet=True, **SMALL)
    used = modules_after("import recns_tf as rt; rt.load('runs/shop-mf-unins').recommend(k=3)")
    assert not {"tensorflow", "keras", "polars"} & set(used)


@pytest.mark.slow
def test_training_leaves_a_run_folder_with_the_name_of_the_data(data, tmp_path, capsys):
    model = rt.train(data, "mf", "unins", **SMALL)
    out = capsys.readouterr().out
    assert "epoch" in out and "best epoch" in out
    assert model.run.path.resolve() == tmp_path / "runs" / "shop-mf-unins"
    config = json.loads((model.run.path / "config.json").read_text())
    assert config["epochs"] == 2 and config["sampler"] == "unins" and config["dataset"] == "shop"
    assert rt.load("runs/shop-mf-unins").data.checksum == data.checksum
    again = rt.train(data, "mf", "unins", **SMALL)
    assert again.results == model.results, "a finished run is read"
    assert "is finished" in capsys.readouterr().out


@pytest.mark.slow
def test_quiet_prints_nothing(data, capfd):
    rt.train(data, "mf", "unins", quiet=True, **SMALL)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_other_data_of_the_same_name_are_refused(data):
    rt.train(data, "mf", "unins", quiet=True, **SMALL)
    other = rt.Interactions.from_frame(log(1), user="user", item="item", name="shop", quiet=True)
    with pytest.raises(UserError, match="holds a run with other settings \\(data_checksum"):
        rt.train(other, "mf", "unins", quiet=True, **SMALL)
    replaced = rt.train(other, "mf", "unins", quiet=True, overwrite=True, **SMALL)
    assert rt.load(replaced.run.path).data.checksum == other.checksum


def test_every_flag_is_an_argument():
    for field in FIELDS.values():
        if field.name != "dataset":
            assert api.to_setting(field.name, field.default) == field.default
    assert set(api.WORKSPACE) == {"data_dir", "runs_dir", "run_name", "overwrite"}


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("epochs", np.int64(3), 3),
        ("margin", 1, 1.0),
        ("margin", np.float32(0.5), 0.5),
        ("topk", [5, 10], "5,10"),
        ("num_neighbors", (25, 10), "25,10"),
        ("stale_scores", True, True),
        ("sampler", Own, "tests.test_api:Own"),
    ],
)
def test_arguments_become_settings(name, value, setting):
    found = api.to_setting(name, value)
    assert found == setting and type(found) is type(setting)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"epoch": 3}, "train has no argument 'epoch'.* Did you mean 'epochs'"),
        ({"epochs": 0}, "--epochs=0: choose a whole number"),
        ({"epochs": 2.5}, "--epochs=2.5: choose a whole number"),
        ({"epochs": "2"}, "--epochs=2: choose"),
        ({"epochs": True}, "--epochs=True: choose"),
        ({"sampler": "recsn"}, "--sampler=recsn: choose one of"),
        ({"sampler": 3}, "the sampler 3 cannot be found by its name"),
        ({"encoder": "lightgnc"}, "lightgnc"),
        ({"split": "random"}, "split is a setting of the data"),
        ({"split_seed": 1}, "split_seed is a setting of the data"),
        ({"dataset": "zhihu"}, "no argument 'dataset'"),
        ({"strategy": "columns"}, "strategy='columns' needs several processes"),
        ({"strategy": "batch"}, "strategy='batch' needs several processes"),
        ({"run_name": "a/b"}, "--run_name=a/b: choose the name of one folder"),
    ],
)
def test_bad_arguments_are_one_sentence(data, settings, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence) as caught:
        rt.train(data, **SMALL | settings, quiet=True)
    assert isinstance(caught.value, UserError) and "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize("wrong", [log(), None, 3])
def test_only_datasets_and_their_names_are_trained_on(wrong):
    with pytest.raises(UserError, match="is not a dataset: make one with"):
        rt.train(wrong)


def test_a_class_that_has_no_name_is_refused(data):
    class Hidden(UniNS):
        pass

    with pytest.raises(UserError, match="at the top of a module"):
        rt.train(data, "mf", Hidden, quiet=True, **SMALL)


@pytest.mark.slow
def test_parts_of_ones_own_are_given_as_classes(data):
    model = rt.train(data, "mf", Own, quiet=True, **SMALL)
    assert model.run.path.name == "shop-mf-tests.test_api.Own"
    # To recommend needs none of the run's own code.
    again = rt.load(model.run.path)
    assert again.recommend(k=2)["item"].tolist() == model.recommend(k=2)["item"].tolist()
    with pytest.raises(UserError, match="allow_custom"):
        again.keras_model()
    assert isinstance(again.keras_model(allow_custom=True).sampler, Own)


class Recorder(keras.callbacks.Callback):
    """Keeps the logs of every epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, dict(logs)))


@pytest.mark.slow
def test_callbacks_are_called_and_change_nothing(data):
    recorder = Recorder()
    model = rt.train(data, "mf", "unins", callbacks=[recorder], quiet=True, **SMALL)
    plain = rt.train(data, "mf", "unins", run_name="plain", quiet=True, **SMALL)
    assert [epoch for epoch, _ in recorder.seen] == [0, 1]
    for one, other in zip(model.embeddings, plain.embeddings, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_named_dataset_gives_what_the_command_line_gives(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = rt.train("synthetic-small", "mf", "unins", quiet=True, epochs=2, split_seed=1)
    main(["synthetic-small", "mf", "--sampler=unins", "--epochs=2", "--split_seed=1",
          "--run_name=typed"])  # fmt: skip
    typed = rt.load("runs/typed")
    assert typed.results["test"] == model.results["test"]
    assert not (model.run.path / "interactions.npz").exists(), "data/ has them"
    assert typed.evaluate() == model.evaluate() == typed.results["test"]
    assert typed.recommend(k=5).equals(model.recommend(k=5))


def test_the_arguments_of_the_workspace_are_those_of_the_command_line():
    assert set(api.WORKSPACE) == set(inspect.signature(Workspace).parameters)


@pytest.mark.slow
def test_examples_of_the_docstrings_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    users, items = ([186, 196, 50, 7] * 30, list(range(45, 55)) * 12)
    numbers = rt.Interactions.from_frame({"user": users, "item": items}, **NAMES)
    rt.train(numbers, "mf", "unins", run_name="ml-100k-lightgcn-recns", quiet=True, **SMALL)
    clicks = {"user": [f"u{number % 10}" for number in range(200)], "item": list(range(40)) * 5}
    names = {"train": rt.train, "load": partial(rt.load, frames="pyarrow"), "clicks": clicks}
    for module in (api, recommender):
        result = doctest.testmod(module, extraglobs=names | {"Interactions": rt.Interactions})
        assert result.attempted and not result.failed
