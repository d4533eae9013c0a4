"""Train one model with several worker processes.

The words after -- are those of `train`. --strategy=columns, the default here, gives each worker
some columns of the embeddings; --strategy=batch a share of the pairs of each batch. Worker 0
writes the run's folder and shows its progress; the others write to log_dir/worker-N.log. The
numbers are those of one worker up to rounding, and any number of workers continues an interrupted
run. With --address=HOST:PORT, the workers run on a Ray cluster, and worker 0 on this machine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from recns_tf import registry
from recns_tf.commands.app import Call, Command
from recns_tf.config.cluster import AN_ADDRESS, require_ray
from recns_tf.config.flags import A_FOLDER, Checked, option, whole
from recns_tf.errors import UserError
from recns_tf.utils.child_processes import command_line
from recns_tf.utils.ray_workers import run_on_ray
from recns_tf.utils.worker_processes import run_together

MOST = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaunchSettings(Checked):
    """The processes to start."""

    workers: int = option(2, "number of worker processes", whole(1, MOST))
    log_dir: str = option("runs/workers", "folder of the logs of the workers", A_FOLDER)
    address: str = option(
        "",
        "the Ray cluster that runs the workers, to which this machine belongs; empty starts them "
        "on this machine, without Ray",
        AN_ADDRESS,
    )


def main(call: Call) -> None:
    """Run the command."""
    settings = call.settings(LaunchSettings)
    command = command_line("train", *with_strategy(call.words))
    run = run_together
    if settings.address:
        require_ray(f"--address={settings.address}")
        run = partial(run_on_ray, settings.address)
    run(command, settings.workers, Path(settings.log_dir))


def with_strategy(words: Sequence[str]) -> list[str]:
    """Return the words of a `train` by several workers.

    The original repository's --strategy, another name of --sampler, is left to `train`.

    Raises:
        UserError: a word asks for training in one process.
    """
    flags = (word.lstrip("-").partition("=") for word in words)
    asked = [value for flag, _, value in flags if flag == "strategy"]
    several = registry.OVER_WORKERS
    for value in asked:
        if value in registry.STRATEGIES and value not in several:
            legal = " or ".join(several)
            raise UserError(f"--strategy={value} trains in one process: choose --strategy={legal}.")
    given = any(value in several for value in asked)
    return [*words, *([] if given else [f"--strategy={several[0]}"])]


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET ENCODER [--flag=value…]",
    example="--workers=2 -- ml-100k lightgcn --epochs=20",
    settings=(LaunchSettings,),
    run=main,
    interrupted="the same command continues from here",
)
