"""Fit and test a closed-form recommender: popular, itemknn or ease.

Hyperparameters are selected by the validation metric of --select_by from the grids given by the
flags, and tested once.
"""

from __future__ import annotations

from recns_tf import registry
from recns_tf.baselines.fit import fit_and_evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.commands.app import Call, Command, load_dataset
from recns_tf.config.config import Config, Workspace


def main(call: Call) -> None:
    """Run the command."""
    _, name = call.words
    workspace, settings = call.settings(Workspace), call.settings(BaselineSettings)
    config, interactions, _ = load_dataset(
        call, lambda _: registry.find(registry.BASELINE_MODELS, "baseline", name)
    )
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
