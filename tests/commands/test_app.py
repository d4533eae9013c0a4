"""The command table, usage, help and what is said about words and flags."""

import json
import subprocess
import sys

import pytest

from recns_tf import main, registry
from recns_tf.commands import app, train
from recns_tf.commands.app import Command
from recns_tf.config import flagfiles
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from tests.commands.test_train import ROOT

FLAGS = {
    "train": (
        "num_negatives",
        "khop",
        "alpha",
        "K_negs",
        "run_name",
        "synthetic_users",
        "topk",
        "[no]tensorboard",
        "mlflow",
    ),
    "prepare": (
        "input",
        "append",
        "engine",
        "address",
        "user",
        "label",
        "positive",
        "split",
        "data_dir",
        "[no]overwrite",
    ),
    "launch": ("workers", "log_dir", "address"),
    "describe": ("split_seed", "layout", "data_dir"),
    "regions": ("khop", "region_definition", "region_reading", "region_memory", "pool_size"),
    "export": ("format", "split_seed", "layout"),
    "recommend": ("output", "topk", "users", "candidates", "[no]include_seen", "[no]overwrite"),
    "similar": ("items", "users", "topk", "output", "[no]overwrite"),
    "index": ("output", "approximate", "hnsw_links", "hnsw_search", "topk"),
    "baseline": ("ease_memory", "split_seed", "select_by"),
    "compare": ("users", "items", "user_ids", "run", "depth", "output", "topk"),
    "summary": ("metrics",),
    "report": ("output", "data_dir"),
    "reproduce": ("grid", "seeds", "tune", "final_epochs", "jobs", "num_negatives"),
    "ablate": ("base", "[no]letter", "seeds"),
    "serve": ("host", "port", "[no]histories", "reload_seconds", "data_dir"),
    "export-model": ("topk", "version", "[no]overwrite", "data_dir"),
    "verify": ("epochs", "seed", "jobs", "[no]dry_run", "runs_dir", "data_dir"),
    "bench": ("shapes", "rounds"),
    "test": (),
}


def call(arguments, capsys, monkeypatch, program="./run.sh"):
    """Run the program; return its status, what it prints, and what it says of errors."""
    monkeypatch.setenv("RECNS_TF_PROGRAM", program)
    status = None
    try:
        main.main(arguments)
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().out


@pytest.mark.parametrize("name", registry.COMMANDS)
def test_help_shows_usage_and_every_flag(name, capsys, monkeypatch):
    status, text = call([name, "--help"], capsys, monkeypatch)
    assert status is None
    assert text.startswith(f"Usage: ./run.sh {name}")
    for flag in FLAGS[name]:
        assert f"--{flag}:" in text
    assert call(["help", name], capsys, monkeypatch) == (status, text)


def test_usage_names_every_part_and_the_program_as_it_was_called(capsys, monkeypatch):
    for arguments in ([], ["--help"], ["-h"], ["help"]):
        status, text = call(arguments, capsys, monkeypatch, "recns-tf")
        assert status is None and "Usage: recns-tf DATASET ENCODER" in text
        for entries in (registry.COMMANDS, registry.DATASETS, registry.SAMPLERS):
            assert all(f"\n  {name} " in text for name in entries)
        assert "run.sh" not in text


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("pepare", "two words are needed, DATASET and ENCODER, not 1: .* Did you mean 'prepare'?"),
        ("ml-100 lightgcn", "unknown dataset 'ml-100': .* Did you mean 'ml-100k'?"),
        ("ml-100k lightgnc", "unknown encoder 'lightgnc': .* Did you mean 'lightgcn'?"),
        ("ml-100k lightgcn --num_negative=3", "Unknown command line flag .* Did you mean: num_neg"),
        ("describe", "one word is needed, DATASET, not 0: for example './run.sh describe ml-100k'"),
        ("baseline ml-100k", "two words are needed, DATASET and NAME, not 1: for example"),
        ("report", "at least one word is needed, RUN…, not 0: for example './run.sh report runs"),
        ("export ml-100k x.csv y.csv", "two words are needed, DATASET and PATH, not 3"),
        ("describe ml-100k --nothing", "Unknown .* './run.sh describe --help' lists every flag"),
        ("prepare a b", "one word is needed, NAME, not 2"),
        ("prepare a --positive===cart --positive===buy", "--positive is given 2 times: give it"),
        ("ml-100k mf --lr=1 --dim=2 --learning_rate=2", "--learning_rate or --lr is given 2 times"),
        ("ml-100k mf --overwrite --nooverwrite", "--overwrite is given 2 times: give it once"),
        ("describe ml-100k --khop 3 --khop 5", "--khop or --khops is given 2 times"),
        ("help pepare", "unknown command 'pepare': .* Did you mean 'prepare'?"),
    ],
)
def test_a_wrong_line_is_one_sentence(line, sentence, capsys, monkeypatch):
    status, text = call(line.split(), capsys, monkeypatch)
    assert status.startswith("run.sh: ") and "\n" not in status and text == ""
    pattern = sentence.replace("?", r"\?")
    with pytest.raises(UserError, match=pattern):
        raise UserError(status)


def test_train_may_be_left_out_and_its_flagfiles_come_before_the_line():
    parsed = app.parse(
        train.COMMAND, ["--seed=1", "ml-100k", "--khop", "5", "pinsage"], "./run.sh train"
    )
    assert parsed.words == ["ml-100k", "pinsage"]
    config = parsed.settings(Config, dataset="ml-100k", encoder="pinsage")
    assert config == Config.for_run("ml-100k", "pinsage", khop=5, seed=1)
    assert config.dim == 256 and config.batch_size == 2048


def test_the_command_line_wins_over_flagfiles_and_config(tmp_path):
    flagfile, config = tmp_path / "a.flags", tmp_path / "config.json"
    flagfile.write_text("--khop=5\n--dim=8\n")
    config.write_text(json.dumps(Config(khop=7, dim=16).to_json()))
    for before in (f"--flagfile={flagfile}", f"--config={config}"):
        parsed = app.parse(train.COMMAND, ["ml-100k", "mf", before, "--khop=3"], "train")
        assert parsed.flags["khop"].value == 3 and parsed.flags["dim"].value in (8, 16)


def test_a_flagfile_that_is_not_text_is_named(tmp_path):
    (tmp_path / "a.flags").write_bytes(b"--dim=3\n\xff\n")
    with pytest.raises(UserError, match=r"--flagfile=.*a\.flags: not a text in UTF-8\.$"):
        app.parse(train.COMMAND, ["ml-100k", "mf", f"--flagfile={tmp_path}/a.flags"], "train")


def test_flags_are_made_once_to_be_read_and_once_to_find_repeated_ones(monkeypatch):
    made = []
    for module in (app, flagfiles):
        make = module.make_flags
        monkeypatch.setattr(module, "make_flags", lambda *a, make=make: made.append(a) or make(*a))
    parsed = app.parse(train.COMMAND, ["ml-100k", "pinsage", "--khop=5"], "train")
    assert len(made) == 2
    assert parsed.flags["khop"].value == 5 and parsed.flags["dim"].value == 256


def test_flags_do_not_outlive_a_call():
    line = ["ml-100k", "lightgcn"]
    app.parse(train.COMMAND, [*line, "--khop=5"], "train")
    assert app.parse(train.COMMAND, line, "train").flags["khop"].value == 3


@pytest.mark.parametrize(
    ("words", "given", "fits"),
    [
        ("", [], True),
        ("", ["a"], False),
        ("A", ["a"], True),
        ("A B…", ["a"], False),
        ("A B…", ["a", "b", "c"], True),
        ("[A…]", [], True),
        ("[A…]", ["a", "b"], True),
    ],
)
def test_how_many_words_a_command_takes(words, given, fits):
    command = Command("about", words, "example", (), lambda call: None)
    if fits:
        app.require_words(command, given, "program")
    else:
        with pytest.raises(UserError, match="needed"):
            app.require_words(command, given, "program")


def test_bench_is_said_to_need_a_checkout(capsys, monkeypatch):
    def missing(entry):
        raise ModuleNotFoundError("No module named 'benchmarks'", name="benchmarks")

    monkeypatch.setattr(registry.Entry, "load", missing)
    status, _ = call(["bench"], capsys, monkeypatch)
    assert status == "run.sh: 'bench' needs a checkout of the project."


@pytest.mark.slow
def test_the_three_ways_to_call_it_are_one_program(tmp_path):
    outputs = {
        subprocess.run(
            line, cwd=ROOT, capture_output=True, text=True, check=True, env={}
        ).stdout.replace(name, "PROGRAM")
        for line, name in (
            ([sys.executable, "-m", "recns_tf", "export", "--help"], "python -m recns_tf"),
            ([sys.executable, "-c", "from recns_tf.main import main; main()", "export", "-h"],
             "recns-tf"),
        )
    }  # fmt: skip
    assert len(outputs) == 1 and "PROGRAM export DATASET PATH" in outputs.pop()
