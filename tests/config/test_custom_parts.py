"""Files of somebody else never run code: which module:object names are imported, and from where."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recns_tf import main
from recns_tf.commands import app, train
from recns_tf.config import flagfiles
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.experiments.cells import Cell
from recns_tf.experiments.sweep import train_command
from recns_tf.training.load import load
from recns_tf.training.train import train_and_evaluate

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = """
from pathlib import Path
Path({marker!r}).write_text("this code ran")
from recns_tf.samplers.unins import UniNS as Sampler
from recns_tf.encoders.mf import MF as Encoder
from recns_tf.losses import bpr as loss
"""
NAMES = {"sampler": "payload:Sampler", "encoder": "payload:Encoder", "loss": "payload:loss"}
SETTINGS = {
    "dataset": "synthetic",
    "encoder": "lightgcn",
    "synthetic_users": 30,
    "synthetic_items": 40,
    "synthetic_clicks": 300,
    "synthetic_exposures": 100,
    "dim": 4,
    "epochs": 1,
    "num_candidates": 4,
}
SIZES = [f"--{name}={value}" for name, value in SETTINGS.items() if name.startswith("synthetic_")]
FLAGS = [*SIZES, "--dim=4", "--epochs=1", "--num_candidates=4"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with data/ and runs/good, a finished run."""
    folder = tmp_path_factory.mktemp("trained")
    workspace = Workspace(
        data_dir=str(folder / "data"), runs_dir=str(folder / "runs"), run_name="good"
    )
    train_and_evaluate(Config(**SETTINGS), workspace)
    return folder


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """The working directory, on the module path: payload.py, data/, runs/good and runs/evil."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "runs" / "good", tmp_path / "runs" / "evil")
    # Whoever changes a run can make its manifest fit, too.
    (tmp_path / "runs" / "evil" / "manifest.json").unlink()
    (tmp_path / "payload.py").write_text(PAYLOAD.format(marker=str(tmp_path / "ran")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("payload", None)


def poison(folder, parts=tuple(NAMES)):
    """Let the settings of a run name the payload; return its config.json."""
    names = {part: NAMES[part] for part in parts}
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | names))
    if (folder / "results.json").exists():
        results = json.loads((folder / "results.json").read_text())
        config = results["config"] | names
        shown = {part: name for part, name in names.items() if part in results}
        (folder / "results.json").write_text(json.dumps(results | shown | {"config": config}))
    return path


def call(*arguments):
    """Run the program here; return what it says when it fails, or None."""
    try:
        main.main(list(map(str, arguments)))
    except SystemExit as end:
        return end.code
    return None


def ran(place):
    return (place / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("part", NAMES)
def test_a_config_file_imports_nothing(place, part):
    path = poison(place / "runs" / "evil", [part])
    words = [] if part == "encoder" else ["synthetic", "lightgcn"]
    said = call("train", *words, f"--config={path}", "--run_name=new")
    assert not ran(place)
    assert said.endswith(
        f"{path} names the {part} {NAMES[part]}, which would run code outside this program: "
        "if you trust it, repeat the name on the command line, or add --allow_custom."
    )
    assert not (place / "runs" / "new").exists()


@pytest.mark.slow
def test_commands_on_runs_import_nothing(place, capsys):
    poison(place / "runs" / "evil")
    assert call("report", "runs/evil", "runs/good") is None
    assert call("summary", "runs/evil", "runs/good") is None
    assert "payload:Sampler" in capsys.readouterr().out
    assert "payload:Encoder payload:Sampler" in (place / "report.html").read_text()
    tables = [f"--{kind}s=runs/good/embeddings/{kind}.npy" for kind in ("user", "item")]
    assert call("compare", "synthetic", *SIZES, *tables, "--run=runs/evil") is None
    assert not ran(place)


@pytest.mark.slow
def test_resuming_in_a_folder_imports_nothing(place):
    poison(place / "runs" / "evil")
    said = call("synthetic", "lightgcn", *FLAGS, "--run_name=evil")
    assert "evil holds a run with other settings" in said
    (place / "runs" / "stub").mkdir()
    shutil.copy(place / "runs" / "evil" / "config.json", place / "runs" / "stub")
    assert call("synthetic", "lightgcn", *FLAGS, "--run_name=stub") is None
    assert (
        json.loads((place / "runs" / "stub" / "config.json").read_text())["loss"] != "payload:loss"
    )
    assert not ran(place)


@pytest.mark.slow
def test_load_imports_nothing_unless_it_is_asked_to(place):
    poison(place / "runs" / "evil", ["sampler"])
    with pytest.raises(UserError, match=r"names the sampler payload:Sampler, .* allow_custom=True"):
        load("runs/evil")
    assert not ran(place)
    model, _ = load("runs/evil", allow_custom=True)
    assert ran(place) and type(model.sampler).__name__ == "UniNS"


def parse(*arguments):
    return app.parse(train.COMMAND, list(map(str, arguments)), "train")


def written(place, **settings):
    path = place / "config.json"
    path.write_text(json.dumps(Config(**SETTINGS | settings).to_json()))
    return path


def test_which_names_of_a_file_are_refused(tmp_path):
    path = written(tmp_path, sampler="a:B", loss="c:d")
    config = f"--config={path}"
    flagfile = tmp_path / "own.flags"
    flagfile.write_text("--sampler=a:B\n--loss=bpr\n")

    def refused(*arguments):
        try:
            parse(*arguments)
        except UserError as error:
            return str(error).partition(" names ")[2].partition(", which")[0]
        return None

    assert refused(config) == "the sampler a:B and the loss c:d"
    assert refused(config, "--sampler=dns") == "the loss c:d"
    assert refused(config, "--strategy=a:B", "--loss=c:d") is None
    assert refused(config, "--sampler=dns", "--loss=bpr") is None
    assert refused("--sampler=dns", "--loss=bpr", config) == "the sampler a:B and the loss c:d"
    assert refused(config, "--sampler=a:Other", "--loss=bpr") is None
    assert refused(config, "--run_name=a:B", "--loss=bpr") == "the sampler a:B"
    assert refused(config, f"--flagfile={flagfile}") is None
    assert refused(f"--flagfile={flagfile}", config) == "the loss c:d"
    assert refused("--config", path, "--allow_custom") is None
    path = written(tmp_path, encoder="a:E")
    assert refused(config) == "the encoder a:E"
    assert refused(config, "synthetic", "a:E") is None
    assert refused(config, "synthetic", "mf") is None


def test_permission_is_not_saved(tmp_path):
    parsed = parse("ml-100k", "mf", "--allow_custom")
    assert "allow_custom" not in parsed.settings(Config, dataset="ml-100k").to_json()
    path = tmp_path / "config.json"
    settings = Config(sampler="a:B").to_json() | {"allow_custom": True}
    path.write_text(json.dumps(settings))
    with pytest.raises(UserError, match="names the sampler a:B"):
        parse(f"--config={path}")


def test_whether_the_user_named_a_part(tmp_path):
    path = written(tmp_path, sampler="a:B")
    flagfile = tmp_path / "own.flags"
    flagfile.write_text("--loss=c:d\n")
    words = ("synthetic", "mf")
    assert not parse(*words).custom
    assert not parse(*words, f"--config={path}", "--allow_custom").custom
    assert parse(*words, "--sampler=a:B").custom
    assert parse("synthetic", "a:E").custom
    assert parse(*words, f"--flagfile={flagfile}").custom
    reproduce = app.COMMANDS["reproduce"].load()
    for flag in ("--samplers=dns,a:B", "--encoders=a:E", "--grid=loss=bpr c:d"):
        assert app.parse(reproduce, ["ml-100k", "table2", flag], "reproduce").custom
    assert not app.parse(reproduce, ["ml-100k", "table2", "--runs_dir=a:b"], "reproduce").custom


def process(place, *arguments, **environment):
    """Run the program like the installed recns-tf, which does not look for modules here."""
    return subprocess.run(
        [sys.executable, "-P", "-c", "from recns_tf.main import main; main()", *arguments],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_only_names_that_are_typed_are_found_in_the_working_directory(place):
    path = poison(place / "runs" / "evil", ["sampler"])
    allowed = (f"--config={path}", "--allow_custom", "--run_name=new")
    done = process(place, "train", *allowed)
    assert done.returncode == 1 and not ran(place)
    assert done.stderr.count("\n") == 1
    assert "the sampler payload:Sampler cannot be loaded: ModuleNotFound" in done.stderr
    done = process(place, "train", *allowed, PYTHONPATH=f"{ROOT}:{place}")
    assert done.returncode == 0 and ran(place), done.stderr
    (place / "ran").unlink()
    again = ("--sampler=payload:Sampler", "--run_name=typed")
    done = process(place, "train", f"--config={path}", *again)
    assert done.returncode == 0 and ran(place), done.stderr
    tables = [
        np.load(place / "runs" / name / "embeddings" / "user.npy") for name in ("new", "typed")
    ]
    np.testing.assert_array_equal(*tables)


def test_a_sweep_names_the_parts_of_its_runs(tmp_path):
    config = Config(sampler="a:B", loss="c:d", encoder="a:E")
    path = written(tmp_path, sampler="a:B", loss="c:d", encoder="a:E")
    line = train_command(Cell("x", config), path, Workspace())
    parsed = parse(*line[line.index("train") + 1 :])
    assert parsed.custom and parsed.words == ["ml-100k", "a:E"]
    plain = train_command(Cell("x", Config()), path, Workspace())
    assert not any("sampler" in argument or "loss" in argument for argument in plain)


def test_a_name_with_a_path_reads_no_flagfile(tmp_path, monkeypatch):
    (tmp_path / "evil.flags").write_text("--sampler=a:B\n")
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "fine.flags").write_text("")
    monkeypatch.setattr(flagfiles, "FOLDER", tmp_path / "flags")
    assert flagfiles.find("fine", "") == [tmp_path / "flags" / "fine.flags"]
    assert (tmp_path / "flags" / "../evil.flags").is_file()
    assert flagfiles.find("../evil", "") == []
    assert flagfiles.find("fine/../..", "evil") == []
    assert flagfiles.find("..", "x/../../evil") == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"dataset": ["x"]}, "is not a run's config.json"),
        ({"sampler": ["a:B"]}, "names the sampler"),
        ({"khop": "3\n--sampler=a:B"}, r"--khop=3\\n--sampler=a:B: choose"),
    ],
)
def test_values_of_other_types_get_around_nothing(tmp_path, settings, sentence):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"dataset": "ml-100k", "encoder": "mf"} | settings))
    with pytest.raises(UserError, match=sentence):
        parse(f"--config={path}")


def test_a_config_file_nested_without_end_is_one_sentence(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"is not a run's config\.json"):
        parse(f"--config={path}")
