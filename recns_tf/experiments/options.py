"""The flags of the commands that run many runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recns_tf.config.command_line import explicit_settings
from recns_tf.config.config import Workspace
from recns_tf.config.flags import (
    A_FOLDER,
    A_SEED,
    A_WAIT,
    LARGEST_INTEGER,
    Checked,
    list_of,
    one_of,
    option,
    whole,
)
from recns_tf.errors import UserError
from recns_tf.utils.text import LONGEST_LIST

SEEDS = list_of(0, LARGEST_INTEGER, "0,1,2", most=10_000)
BASES = ("both", "original", "default")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunsSettings(Checked):
    """The flags of every command that makes many runs."""

    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    runs_dir: str = option("runs", "folder of the runs and of their tables", A_FOLDER)
    jobs: int = option(1, "number of parallel runs, which share the cores", whole(1, 1_024))
    dry_run: bool = option(
        False, "only list the runs, which of them are finished, and the time the others will take"
    )

    @property
    def workspace(self) -> Workspace:
        """The folders that the runs read and write."""
        return Workspace(data_dir=self.data_dir, runs_dir=self.runs_dir)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepSettings(RunsSettings):
    """The flags of every sweep."""

    seeds: str = option("0,1,2", "seeds, one run each; tables show mean and deviation", SEEDS)

    @property
    def seed_numbers(self) -> list[int]:
        """The seeds without duplicates."""
        return list(dict.fromkeys(int(seed) for seed in self.seeds.split(",")))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReproduceSettings(SweepSettings):
    """The additional flags of the command reproduce."""

    encoders: str = option("", "encoders, such as lightgcn,ngcf; the paper's if empty")
    samplers: str = option(
        "", "samplers, such as recns,unins; all for every one; the paper's if empty"
    )
    grid: str = option(
        "",
        "values of the varied settings, such as 'dim=64 128; margin=0.1 0.2'; settings not listed "
        "keep the paper's values, and settings without values are left out",
        longest=LONGEST_LIST,
    )
    baselines: str = option(
        "popular,itemknn,ease,mf", "baselines without a graph below each table; none if empty"
    )
    pairs: bool = option(
        False, "test the difference of every two values in a table, not only RecNS and the best"
    )
    tune: int = option(
        0,
        "number of tuning trials per sampler on validation: of the learning rate, the L2 "
        "coefficient and the sampler's own flags",
        whole(0, 1_000_000),
    )
    final_epochs: int = option(
        0, "epochs of the runs with tuned settings at most; 0 for --epochs, as the trials", A_WAIT
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblateSettings(SweepSettings):
    """The additional flags of the command ablate."""

    base: str = option(
        "both",
        "settings to start from: original, those of the authors' code; default, the defaults",
        one_of(*BASES),
    )
    letter: bool = option(
        False, "use flags/paper.flags, which follow the paper exactly, in place of the defaults"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerifySettings(RunsSettings):
    """The flags of the command verify."""

    epochs: int = option(
        0,
        "train curves to this epoch at most, and compare all values up to it; 0 for the values "
        "that take minutes",
        A_WAIT,
    )
    seed: int = option(0, "seed of the runs", A_SEED)


def fixed_settings(
    arguments: Sequence[str], dataset: str, encoder: str
) -> tuple[list[Path], dict[str, Any]]:
    """Return what a command line fixes for all runs of a sweep, as `explicit_settings` does.

    Raises:
        UserError: it fixes the seed, or a value is illegal.
    """
    files, fixed = explicit_settings(arguments, dataset, encoder)
    if "seed" in fixed:
        raise UserError("--seed is what a sweep varies: choose seeds with --seeds=0,1,2.")
    return files, fixed
