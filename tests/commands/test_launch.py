"""The command launch."""

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


def test_words_after_the_dashes_are_those_of_train(started, tmp_path):
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
