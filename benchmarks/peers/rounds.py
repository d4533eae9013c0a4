"""Trains the workloads with both programs, which take turns."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.peers.comparison import Row, measure
from benchmarks.peers.programs import Program, Trained
from benchmarks.peers.workload import Workload
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions


class Rounds(NamedTuple):
    """All runs.

    Attributes:
        trained: what the runs leave, by workload and then by program.
        failures: a sentence for each run that failed.
    """

    trained: dict[Workload, dict[str, list[Trained]]]
    failures: list[str]

    @property
    def versions(self) -> dict[str, dict[str, str]]:
        """The versions of each program that has a run, by its name."""
        return {
            name: runs[0].versions
            for programs in self.trained.values()
            for name, runs in programs.items()
            if runs
        }


def train(plan: Sequence[Workload], programs: Mapping[str, Program], rounds: int) -> Rounds:
    """Train every workload with every program in each round; a run that fails is left out.

    Args:
        plan: the workloads.
        programs: the programs by name.
        rounds: number of rounds, whose numbers from 1 are the seeds.
    """
    found = Rounds({each: {name: [] for name in programs} for each in plan}, [])
    turns = [
        (seed, workload, name)
        for seed in range(1, rounds + 1)
        for workload in plan
        for name in programs
    ]
    for number, (seed, workload, name) in enumerate(turns, 1):
        about = f"{workload.name}, {name}, round {seed}"
        print(f"[{number} of {len(turns)}] {about}", end=": ", flush=True)
        try:
            trained = programs[name].train(workload, seed)
        except UserError as error:
            print(f"failed: {error}", flush=True)
            found.failures.append(f"{about}: {error}")
            continue
        found.trained[workload][name].append(trained)
        seconds = statistics.median(trained.seconds[1:])
        print(f"{seconds:.3g} s per epoch, {trained.gigabytes:.2f} GB", flush=True)
    return found


def evaluated(found: Rounds, data: Mapping[str, Interactions]) -> list[Row]:
    """Return the figures of all runs; the datasets are given by name."""
    return [
        Row(
            workload,
            {
                name: [measure(each, data[workload.dataset]) for each in runs]
                for name, runs in programs.items()
            },
        )
        for workload, programs in found.trained.items()
    ]
