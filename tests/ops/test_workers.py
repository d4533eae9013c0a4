"""The workers of TF_CONFIG."""

import dataclasses

import pytest

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.ops.workers import EXAMPLE, VARIABLE, Task, read_task
from recns_tf.training.train import join
from tests.conftest import TOY

GOOD = '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}'


def test_a_worker_knows_its_number_and_all_addresses():
    assert read_task(GOOD) == Task(1, ("a:1", "b:2"))
    assert read_task(EXAMPLE) == Task(0, ("host0:2222", "host1:2222"))


def test_without_a_cluster_there_is_one_worker():
    assert read_task("") == Task(0, ("",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not of the form"),
        ("[]", "is not of the form"),
        ('{"task": {"index": 0}}', "is not of the form"),
        (GOOD.replace('"a:1", "b:2"', ""), "must list the workers"),
        (GOOD.replace("a:1", "a"), "must list the workers as host:port"),
        (GOOD.replace("a:1", "a:99999"), "must list the workers as host:port"),
        (GOOD.replace("b:2", "a:1"), "names the same host:port twice"),
        (GOOD.replace('"index": 1', '"index": 2'), "has the task 2, but the workers are 0 to 1"),
        (GOOD.replace('"index": 1', '"index": true'), "has the task true"),
        (GOOD.replace('"index": 1', '"index": "1"'), 'has the task "1"'),
        (GOOD.replace('"type": "worker"', '"type": "ps"'), "may name workers alone"),
        (GOOD.replace('"worker": [', '"ps": ["c:3"], "worker": ['), "may name workers alone"),
    ],
)
def test_a_mistake_gets_one_sentence_with_the_form(text, message):
    with pytest.raises(UserError) as caught:
        read_task(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"the environment variable {VARIABLE} ")


def test_a_cluster_is_not_ignored(monkeypatch):
    monkeypatch.setenv(VARIABLE, GOOD)
    with pytest.raises(UserError, match="names 2 workers, but --strategy=none"):
        join(Config(**TOY))


@pytest.mark.parametrize("strategy", ["columns", "batch"])
def test_a_single_worker_trains_an_ordinary_run(monkeypatch, strategy):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert join(dataclasses.replace(Config(**TOY), strategy=strategy)) is None
