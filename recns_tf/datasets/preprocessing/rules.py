"""The rules by which a log is filtered and split, and how a run's flags set them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recns_tf.errors import UserError

if TYPE_CHECKING:
    from recns_tf.config.config import Config

SPLITS = ("random", "temporal", "given")
CONFLICTS = ("train", "any")


@dataclass(frozen=True)
class Rules:
    """Rules for converting a log to train, valid, test and exposed pairs.

    Attributes:
        split: "random"; "temporal", where each user's last positives go to test and those before
            them to valid, and exposures from the time of the first held-out positive on are
            dropped because they were not known in training (ties are broken at random with a
            fixed seed); or "given", the split that the log defines, where exposures of valid and
            test are dropped.
        split_seed: seed of the random split.
        valid, test: shares of each user's positives.
        user_core, item_core: minimum numbers of positives per user and per item; 0 keeps all,
            even users and items without positives.
        conflicts: which positives remove the same pair from the exposures. With "train", an
            exposed pair that is a held-out positive stays exposed: if it were removed, a sampler
            could infer that no exposed item is a positive of valid or test. With "any", it is
            removed.
    """

    split: str = "random"
    split_seed: int = 0
    valid: float = 0.1
    test: float = 0.1
    user_core: int = 0
    item_core: int = 0
    conflicts: str = "train"


def split_rules(config: Config, split: str = "random", **others: Any) -> Rules:
    """Return the rules for a run's flags.

    Args:
        config: all settings; only `split` and `split_seed` are used, and `dataset` in messages.
        split: the meaning of --split=auto.
        others: other attributes of Rules.

    Raises:
        UserError: a seed is set for a split that does not depend on one.
    """
    chosen = split if config.split == "auto" else config.split
    if chosen != "random" and config.split_seed:
        raise UserError(
            f"--split_seed={config.split_seed}: {config.dataset} has a {chosen} split, which no "
            "seed changes; leave the flag out."
        )
    return Rules(split=chosen, split_seed=config.split_seed, **others)
