"""The flags of the commands that run many runs."""

from __future__ import annotations

import dataclasses
import re

from recns_tf.config.config import Workspace
from recns_tf.config.flags import NOT_EMPTY, Checked, Rule, at_least, one_of, option

SEEDS = Rule("seeds such as 0,1,2", lambda text: bool(re.fullmatch(r"\d+(,\d+)*", text)))
BASES = ("both", "original", "default")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepSettings(Checked):
    """What every sweep of runs is told."""

    data_dir: str = option("data", "folder of the datasets", NOT_EMPTY)
    runs_dir: str = option("runs", "folder of the runs and of the tables over them", NOT_EMPTY)
    seeds: str = option("0,1,2", "a run each, whose mean and deviation are told", SEEDS)
    jobs: int = option(1, "runs side by side, which share the cores", at_least(1))
    dry_run: bool = option(False, "tell what would be run, what is done, and how long it takes")

    @property
    def workspace(self) -> Workspace:
        """Where the runs read and write."""
        return Workspace(data_dir=self.data_dir, runs_dir=self.runs_dir)

    @property
    def seed_numbers(self) -> list[int]:
        """The seeds, each once."""
        return list(dict.fromkeys(int(seed) for seed in self.seeds.split(",")))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReproduceSettings(SweepSettings):
    """What ./run.sh reproduce is told besides."""

    encoders: str = option("", "such as lightgcn,ngcf; those of the paper's table if empty")
    samplers: str = option("", "such as recns,unins; those of the paper's table if empty")
    grid: str = option(
        "",
        "values of what an experiment varies, such as 'dim=64 128; margin=0.1 0.2'; a setting that "
        "is not named keeps the paper's, and one without a value is left out",
    )
    baselines: str = option(
        "popular,itemknn,ease,mf",
        "recommenders without a graph that stand beside each table; none if empty",
    )
    tune: int = option(
        0,
        "trials for every sampler on validation before its runs: of the step size, the L2 "
        "coefficient and one flag of the sampler's own",
        at_least(0),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblateSettings(SweepSettings):
    """What ./run.sh ablate is told besides."""

    base: str = option(
        "both",
        "the settings to start from: original, the authors' code's; default, this project's",
        one_of(*BASES),
    )
    letter: bool = option(
        False, "in place of the defaults take flags/paper.flags, the paper to the letter"
    )
