"""Run folders of several datasets, and calls of commands in this process."""

import dataclasses

import numpy as np
import pytest

from recns_tf.baselines.fit import fit_and_evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Config, Workspace
from recns_tf.datasets import cache
from recns_tf.main import main
from tests.conftest import make_toy
from tests.serving.worlds import crowded, made_up_run, with_integer_ids

ODD = ("tv, {}", 'the "{}"', "é{}", "'{}", "{} ", "NA", "{}")
"""Ids that a format could get wrong; each dataset has 60 of them."""


def odd_ids(count):
    return np.array([f"{ODD[n % 5].format(n).strip()}" for n in range(count)])


def make_worlds(place):
    """Write runs and datasets into a folder: numbers, text, crowded and a baseline."""
    toy = make_toy()
    text = dataclasses.replace(toy, item_ids=odd_ids(toy.num_items))
    numbers = with_integer_ids(toy)
    for name, data in (("text", text), ("numbers", numbers), ("crowded", crowded())):
        made_up_run(place / "runs" / name, data)
    cache.save(place / "data" / "toy" / "interactions-toy.npz", toy)
    workspace = Workspace(runs_dir=str(place / "runs"), run_name="popular")
    config = Config(dataset="toy")
    fit_and_evaluate("popular", config, BaselineSettings(), workspace, toy)
    return place


def refusal(*words):
    """Return the sentence with which a command line is refused."""
    with pytest.raises(SystemExit) as error:
        main([*map(str, words)])
    sentence = error.value.code
    assert isinstance(sentence, str) and "\n" not in sentence and sentence.endswith(".")
    return sentence.partition(": ")[2]
