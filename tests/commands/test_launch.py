"""The command launch."""

import importlib.util
import socket
import sys

import pytest

from recns_tf.commands import launch
from recns_tf.commands.app import parse
from recns_tf.errors import UserError


def called(*words):
    launch.main(parse(launch.COMMAND, list(words), "launch"))


@pytest.fixture
def started(monkeypatch):
    """What launch starts: command, number of workers and folder of logs."""
    seen = []
    monkeypatch.setattr(launch, "run_together", lambda *arguments: seen.append(arguments))
    return seen


def test_words_after_the_dashes_are_those_of_train(started, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    called("--workers=3", f"--log_dir={tmp_path}", "--", "shop", "mf", "--strategy=dns", "--seed=1")
    ((command, count, logs),) = started
    assert command[-6:] == [
        "train",
        "shop",
        "mf",
        "--strategy=dns",
        "--seed=1",
        "--strategy=columns",
    ]
    assert (count, logs) == (3, tmp_path)


def test_the_strategy_can_be_given(started):
    called("--", "shop", "ngcf", "--strategy=batch", "--seed=1")
    ((command, *_),) = started
    assert command[-5:] == ["train", "shop", "ngcf", "--strategy=batch", "--seed=1"]


def test_another_strategy_is_refused(started):
    message = "--strategy=none trains in one process: choose --strategy=columns or batch"
    with pytest.raises(UserError, match=message):
        called("--", "shop", "mf", "--strategy=none")
    assert not started


def test_an_address_runs_the_same_command_on_its_cluster(started, tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "run_on_ray", lambda *arguments: started.append(arguments))
    words = [f"--log_dir={tmp_path}", "--", "shop", "mf"]
    called(*words)
    called("--address=head:6379", *words)
    assert started[1] == ("head:6379", *started[0])


def test_an_address_needs_ray(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^--address=a:1 needs .* 'recns-tf\[cluster\]'\.$"):
        called("--address=a:1", "--", "shop", "mf")


def test_an_address_where_nothing_answers_is_an_error(monkeypatch, tmp_path):
    ray = pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UserError, match=rf"^--address={address}: choose HOST:PORT of a"):
        called(f"--address={address}", f"--log_dir={tmp_path}", "--", "shop", "mf")
