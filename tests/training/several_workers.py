"""Trains as one worker of the cluster of TF_CONFIG, or alone; test_several_workers.py runs it.

    python -m tests.training.several_workers FOLDER CASE...

Each case is a run in FOLDER. A case CASE:EPOCHS trains for other epochs. Prints how many
scores per pair a step adds up among the workers, by case.
"""

import dataclasses
import json
import sys

import tensorflow as tf

from recns_tf.config.config import Config, Workspace
from recns_tf.ops.workers import Workers
from recns_tf.training.train import train_and_evaluate
from tests.conftest import TOY, make_toy

EPOCHS = 2
CASES = {
    "unins": {"sampler": "unins"},
    "dns": {"sampler": "dns"},
    "recns": {"sampler": "recns", "l2_scope": "all", "gradient_clip": 0.01},
    "srns": {"sampler": "srns", "srns_window": 2, "srns_warmup": 1},
    "mcns": {"sampler": "mcns"},
    "mf": {"sampler": "dns", "encoder": "mf", "l2_scope": "final"},
    "ngcf": {"sampler": "recns", "encoder": "ngcf", "strategy": "batch"},
    # 64 nodes of a batch are fewer than the graph has, so PinSage encodes these alone.
    "pinsage": {"sampler": "dns", "encoder": "pinsage", "strategy": "batch", "batch_size": 16},
    "advns": {"sampler": "advns", "encoder": "pinsage", "strategy": "batch", "l2_scope": "final"},
    "inbatch": {
        "sampler": "inbatch",
        "strategy": "batch",
        "loss": "softmax",
        "scores": "cosine",
        "l2_scope": "all",
    },
}
"""The settings of each run; --strategy=columns if they name none."""


def config_of(case, alone, epochs):
    """Return the settings of a run, by a single process or by several.

    With its small default ε, Adam turns rounding errors of small gradients into steps of full size.
    """
    settings = {"strategy": "columns"} | CASES[case] | ({"strategy": "none"} if alone else {})
    config = Config(**TOY, adam_epsilon=1e-4)
    return dataclasses.replace(config, **settings, epochs=epochs, patience=epochs)


def main(folder, cases):
    """Train the cases one after the other."""
    data = make_toy()
    sizes = {}
    add = Workers.sum

    def counted(group, values):
        if not tf.executing_eagerly() and values.shape.rank:
            sizes[case].append(values.shape[1:].num_elements())
        return add(group, values)

    Workers.sum = counted
    for each in cases:
        case, _, epochs = each.partition(":")
        sizes[case] = []
        config = config_of(case, folder.endswith("alone"), int(epochs or EPOCHS))
        train_and_evaluate(config, Workspace(runs_dir=folder, run_name=case), data, quiet=True)
    print(json.dumps(sizes))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
