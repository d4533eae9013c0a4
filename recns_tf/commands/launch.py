"""Train one model with several worker processes, each with some columns of the embeddings.

The words after -- are those of `train`, with --strategy=columns. Worker 0 writes the run's folder
and shows its progress; the others write to log_dir/worker-N.log. The numbers are those of one
worker, and any number of workers continues an interrupted run. With --address=HOST:PORT, the
workers run on a Ray cluster, and worker 0 on this machine.
"""

from __future__ import annotations

import dataclasses
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
STRATEGY = "--strategy=columns"


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
    for word in call.words:
        # The original repository's --strategy, another name of --sampler, is left to `train`.
        flag, _, value = word.lstrip("-").partition("=")
        if flag == "strategy" and value in registry.STRATEGIES:
            raise UserError(f"{word}: 'launch' trains with {STRATEGY}; leave the flag out.")
    command = command_line("train", *call.words, STRATEGY)
    run = run_together
    if settings.address:
        require_ray(f"--address={settings.address}")
        run = partial(run_on_ray, settings.address)
    run(command, settings.workers, Path(settings.log_dir))


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET ENCODER [--flag=value…]",
    example="--workers=2 -- ml-100k lightgcn --epochs=20",
    settings=(LaunchSettings,),
    run=main,
    interrupted="the same command continues from here",
)
