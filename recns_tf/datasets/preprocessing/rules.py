"""The rules by which a log is filtered and split, and how a run's flags set them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recns_tf.errors import UserError

if TYPE_CHECKING:
    from recns_tf.config.config import Config

SPLITS = ("random", "temporal", "leave-one-out", "global-temporal", "given")
CONFLICTS = ("train", "any")


@dataclass(frozen=True)
class Rules:
    """Rules for converting a log to train, valid, test and exposed pairs.

    Attributes:
        split: how positives are held out.

            - "random": shares of each user's positives.
            - "temporal": the same shares, the last positives to test and those before them to
              valid. Exposures from the time of the user's first held-out positive on are dropped,
              because they were not known in training. Ties are broken at random with a fixed seed.
            - "leave-one-out": each user's last positive to test and the one before it to valid.
              With times, ties and exposures are treated as in "temporal"; without, the order is
              random.
            - "global-temporal": positives after a time that is the same for all users. Exposures
              from that time on are dropped.
            - "given": the split that the log defines. Exposures of valid and test are dropped.
        split_seed: seed of the random split, and of leave-one-out without times.
        valid, test: shares of each user's positives that may be held out; of all of these for
            "global-temporal"; unused for "leave-one-out" and "given".
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
        UserError: a seed is set for a split that never depends on one. Whether leave-one-out does
            depends on the log, so `split_order` checks it.
    """
    chosen = split if config.split == "auto" else config.split
    if chosen not in ("random", "leave-one-out") and config.split_seed:
        raise UserError(
            f"--split_seed={config.split_seed}: {config.dataset} has a {chosen} split, which no "
            "seed changes; leave the flag out."
        )
    return Rules(split=chosen, split_seed=config.split_seed, **others)
