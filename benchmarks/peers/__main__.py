"""Train LightGCN with this library and with RecBole, and compare speed, memory and accuracy.

Each run is a process of its own, and the two programs take turns. Run nothing else on the machine
meanwhile: PyTorch's threads wait for each other, so that other programs slow it down the more.
RecBole is installed into --environment on first use. Times are those of training, medians over the
epochs but the first, in which TensorFlow compiles. Embeddings of the last epoch of either program
are evaluated by this one. The folder --output then holds table.md, results.json, peers.png and
peers.svg.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from benchmarks.measuring import processor
from benchmarks.peers import comparison, environment, picture, rounds
from benchmarks.peers.programs import OURS, THEIRS, Ours, Program, RecBole
from benchmarks.peers.workload import (
    ENCODER,
    EPOCHS,
    FEW_EPOCHS,
    NEGATIVES,
    Workload,
    own_settings,
)
from recns_tf import datasets
from recns_tf.commands import app
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config
from recns_tf.config.flags import A_DURATION, A_FOLDER, A_WAIT, Checked, option, some_of
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.runs.provenance import git_commit
from recns_tf.utils.files import write_json, write_text
from recns_tf.utils.parallel import CORES
from recns_tf.utils.text import count

MOST_LOAD = 0.5
"""The load average above which the machine counts as busy."""
BUSY = "**Other programs were running: these times and ratios mean nothing.**"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peers(Checked):
    """The flags of this command."""

    datasets: str = option("ml-100k,gowalla", "names of datasets, separated by commas")
    negatives: str = option(
        ",".join(NEGATIVES),
        "how negatives are drawn; "
        + "; ".join(f"{name}: {how}" for name, how in NEGATIVES.items()),
        some_of(*NEGATIVES),
    )
    rounds: int = option(2, "runs of each program, with the seeds 1, 2, …", A_DURATION)
    epochs: int = option(
        0,
        "timed epochs, after an untimed one; 0 for "
        + "".join(f"{number} on {name}, " for name, number in EPOCHS.items())
        + f"{FEW_EPOCHS} on others",
        A_WAIT,
    )
    environment: str = option(
        "runs/peers/environment", "folder of RecBole's virtual environment", A_FOLDER
    )
    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    output: str = option("runs/peers", "folder for runs and results", A_FOLDER)

    def plan(self) -> list[Workload]:
        """Return the workloads."""
        return [
            Workload(name, kind, 1 + (self.epochs or EPOCHS.get(name, FEW_EPOCHS)))
            for name in dict.fromkeys(self.datasets.split(","))
            for kind in dict.fromkeys(self.negatives.split(","))
        ]


def main(call: Call) -> None:
    """Run the command."""
    load = round(os.getloadavg()[0], 2)
    settings = call.settings(Peers)
    folder, plan = Path(settings.output), settings.plan()
    for workload in plan:
        datasets.require(workload.dataset, settings.data_dir)
    data = {each.dataset: read(each, settings.data_dir) for each in plan}
    python = environment.prepare(Path(settings.environment))
    programs: dict[str, Program] = {
        OURS: Ours(folder, settings.data_dir),
        THEIRS: RecBole(folder, python, data),
    }
    found = rounds.train(plan, programs, settings.rounds)
    rows = rounds.evaluated(found, data)
    about = {
        "machine": {"processor": processor(), "cores": CORES, "load_average": load},
        "versions": found.versions,
        "git_commit": git_commit(),
    }
    results = {"workloads": [comparison.to_json(row) for row in rows], "failures": found.failures}
    write_json(folder / "results.json", results | about)
    lines = [
        *comparison.table(rows),
        "",
        f"Medians of {count(settings.rounds, 'round')}; {processor()}, {count(CORES, 'core')}; "
        f"load average at the start: {load}.",
        *(["", BUSY] if load > MOST_LOAD else []),
        "",
        *(f"- {name}: {named(packages)}" for name, packages in found.versions.items()),
        f"- commit: {about['git_commit']}",
        *(f"- failed: {sentence}" for sentence in found.failures),
    ]
    write_text(folder / "table.md", "\n".join(lines) + "\n")
    picture.draw(rows, folder)
    print("\n".join(["", *lines, "", f"{folder}/: table.md results.json peers.png peers.svg"]))
    if found.failures:
        raise UserError(f"{count(len(found.failures), 'run')} failed: {found.failures[0]}")


def read(workload: Workload, data_dir: str) -> Interactions:
    """Return the dataset of a workload as a run of this library reads it."""
    settings = own_settings(workload, 0)
    return datasets.load(Config.for_run(workload.dataset, ENCODER, **settings), data_dir)


def named(packages: dict[str, str]) -> str:
    """Return versions as text."""
    return ", ".join(f"{name} {version}" for name, version in packages.items())


COMMAND = Command(
    about=__doc__ or "",
    words="",
    example="--datasets=ml-100k --rounds=3",
    settings=(Peers,),
    run=main,
    interrupted="no results are written",
)

if __name__ == "__main__":
    app.run(COMMAND, sys.argv[1:], "python -m benchmarks.peers")
