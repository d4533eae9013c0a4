"""Train a model, test it once, and leave its folder under runs/.

--config=runs/NAME/config.json stands for the settings of that run; flags after it win. A file that
names a sampler, a loss or an encoder of your own is refused unless you name it again, or give
--allow_custom.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

from recns_tf import datasets, registry
from recns_tf.commands.app import Call, Command
from recns_tf.config.command_line import expand
from recns_tf.config.config import Config, Workspace
from recns_tf.config.flags import Checked, option
from recns_tf.config.logs import LogSettings
from recns_tf.utils.quiet import silenced_stderr


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings(Checked):
    """What the command does besides training."""

    profile: bool = option(
        False, "first measure where the time of a training step goes, into RUN/profile/"
    )
    quiet: bool = option(False, "print nothing but errors")
    allow_custom: bool = option(
        False,
        "import the parts that the file of --config names as module:object; their code runs on "
        "your computer",
    )


def main(call: Call) -> None:
    """Run the command."""
    dataset, encoder = call.words
    log_settings = call.settings(LogSettings)
    log_settings.require_packages()
    workspace = call.settings(Workspace)
    datasets.require(dataset, workspace.data_dir)
    with silenced_stderr():
        registry.find(registry.ENCODERS, "encoder", encoder)
        config = call.settings(Config, dataset=dataset, encoder=encoder)
        registry.find(registry.SAMPLERS, "sampler", config.sampler)
        registry.find(registry.LOSSES, "loss", config.loss)
    interactions = datasets.load(config, workspace.data_dir)
    # TensorFlow takes seconds to import: not before flags and data are known to be sound.
    with silenced_stderr():
        from recns_tf.training.train import train_and_evaluate
    cache = Path(workspace.data_dir) / dataset
    before, wanted = None, call.settings(TrainSettings)
    if wanted.profile:
        # It reads TensorFlow's traces through a module that TensorFlow does not promise to keep.
        from recns_tf.training import profiling

        before = partial(profiling.show, config, interactions, cache)
    train_and_evaluate(
        config,
        workspace,
        interactions,
        cache,
        before,
        log_settings=log_settings,
        quiet=wanted.quiet,
    )


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET ENCODER",
    example="ml-100k lightgcn",
    settings=(Config, Workspace, TrainSettings, LogSettings),
    run=main,
    interrupted="the same command goes on from here",
    flagfile_words=2,
    expand=expand,
)
