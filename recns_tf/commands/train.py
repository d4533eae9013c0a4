"""Train a model, test it once, and leave its folder under runs/.

--config=runs/NAME/config.json stands for the settings of that run; flags after it win. A file that
names a sampler, a loss or an encoder of your own is refused unless you name it again, or give
--allow_custom.
"""

from __future__ import annotations

import dataclasses

from recns_tf import registry
from recns_tf.commands.app import Call, Command, load_dataset
from recns_tf.config.command_line import expand
from recns_tf.config.config import Config, Workspace
from recns_tf.config.flags import Checked, option
from recns_tf.config.logs import LogSettings
from recns_tf.utils.imports import lean_imports
from recns_tf.utils.quiet import silenced_stderr

UNUSED = ("matplotlib", "pandas")
"""What Keras imports, if it is installed, for functions that training does not call."""


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
    log_settings, wanted = call.settings(LogSettings), call.settings(TrainSettings)
    log_settings.require_packages()
    workspace = call.settings(Workspace)
    config, interactions, cache = load_dataset(call, require_parts, encoder=call.words[1])
    # TensorFlow takes seconds to import: not before flags and data are known to be sound. A part of
    # the user's own has imported it before, with everything that Keras offers.
    with silenced_stderr(), lean_imports(*UNUSED):
        from recns_tf.training.train import profiler, train_and_evaluate
    train_and_evaluate(
        config,
        workspace,
        interactions,
        cache,
        profiler(config, interactions, cache) if wanted.profile else None,
        log_settings=log_settings,
        quiet=wanted.quiet,
    )


def require_parts(call: Call) -> None:
    """Raise UserError unless there are such an encoder, sampler and loss."""
    dataset, encoder = call.words
    with silenced_stderr():
        registry.find(registry.ENCODERS, "encoder", encoder)
        config = call.settings(Config, dataset=dataset, encoder=encoder)
        registry.find(registry.SAMPLERS, "sampler", config.sampler)
        registry.find(registry.LOSSES, "loss", config.loss)


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET ENCODER",
    example="ml-100k lightgcn",
    settings=(Config, Workspace, TrainSettings, LogSettings),
    run=main,
    interrupted="the same command continues from here",
    flagfile_words=2,
    expand=expand,
)
