"""The command launch."""

import pytest

from recns_tf.commands import launch
from recns_tf.commands.app import parse
from recns_tf.errors import UserError


def called(*words):
    launch.main(parse(launch.COMMAND, list(words), "launch"))


def test_words_after_the_dashes_are_those_of_train(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(launch, "run_together", lambda *arguments: seen.append(arguments))
    called("--workers=3", f"--log_dir={tmp_path}", "--", "shop", "mf", "--strategy=dns", "--seed=1")
    ((command, count, logs),) = seen
    assert command[-6:] == [
        "train",
        "shop",
        "mf",
        "--strategy=dns",
        "--seed=1",
        "--strategy=columns",
    ]
    assert (count, logs) == (3, tmp_path)


def test_another_strategy_is_refused():
    with pytest.raises(UserError, match="--strategy=none: 'launch' trains with --strategy=columns"):
        called("--", "shop", "mf", "--strategy=none")
