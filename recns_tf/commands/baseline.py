"""Fit and test a closed-form recommender: popular, itemknn or ease.

Hyperparameters are selected by the validation metric of --select_by from the grids given by the
flags, and tested once.
"""

from __future__ import annotations

from recns_tf import datasets, registry
from recns_tf.baselines.fit import fit_and_evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config, Workspace


def main(call: Call) -> None:
    """Run the command."""
    dataset, name = call.words
    workspace = call.settings(Workspace)
    datasets.require(dataset, workspace.data_dir)
    registry.find(registry.BASELINE_MODELS, "baseline", name)
    config = call.settings(Config, dataset=dataset)
    settings = call.settings(BaselineSettings)
    interactions = datasets.load(config, workspace.data_dir)
    print(interactions.summary())
    fit_and_evaluate(name, config, settings, workspace, interactions)


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET NAME",
    example="ml-100k ease",
    settings=(Config, Workspace, BaselineSettings),
    run=main,
    flagfile_words=1,
)
