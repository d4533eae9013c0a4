"""A raw log of clicks and impressions, and how it becomes Interactions.

Whatever the format, a reader returns a Log: one row an event, a user, an item, whether it was
positive, and perhaps when. `to_interactions` then settles repeats and conflicts, keeps the
k-core, and splits per user, and counts what became of every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.datasets.split import TEST, TRAIN, VALID, split_per_user
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, make_interactions

SPLITS = ("random", "temporal")


class Log(NamedTuple):
    """Events of a log, in any order, repeats allowed.

    Attributes:
        users, items: [n] integers, positions in `user_ids` and `item_ids`.
        positive: bool [n]; False is an item shown and not chosen.
        times: [n] numbers, later is larger, or None where the log has none.
        user_ids, item_ids: the log's own ids, each once.
    """

    users: NDArray[np.integer]
    items: NDArray[np.integer]
    positive: NDArray[np.bool_]
    times: NDArray[Any] | None
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]


@dataclass(frozen=True)
class Rules:
    """How a log becomes train, valid, test and exposed.

    Attributes:
        split: "random", or "temporal": each user's last positives go to test, those before them
            to valid.
        split_seed: of the random split.
        valid, test: shares of each user's positives.
        user_core, item_core: positives that a user, an item must keep; 0 keeps all, even those
            that were only shown.
    """

    split: str = "random"
    split_seed: int = 0
    valid: float = 0.1
    test: float = 0.1
    user_core: int = 0
    item_core: int = 0


class Account(NamedTuple):
    """What became of every row of a log; `rows` is the sum of all the others.

    Attributes:
        rows: rows of the log.
        repeated_positives: rows of a positive pair beyond its first.
        repeated_exposures: rows of an exposed pair beyond its first.
        conflicts: exposed pairs that are train positives too: positive wins. Pairs
            shown whose positive is in valid or test stay exposed, lest exposure tells labels.
        below_core: pairs, positive or exposed, of users and items outside the k-core.
        train, valid, test, exposed: pairs kept.
    """

    rows: int
    repeated_positives: int
    repeated_exposures: int
    conflicts: int
    below_core: int
    train: int
    valid: int
    test: int
    exposed: int


def to_interactions(
    log: Log, name: str, rules: Rules, source: dict[str, Any]
) -> tuple[Interactions, Account]:
    """Return the dataset that a log makes, and an account of its rows.

    Args:
        log: the events.
        name: of the dataset.
        rules: how to split and filter.
        source: what the log is, for Interactions.source.

    Raises:
        UserError: the rules ask for times that the log has not, or leave nothing to train on.
    """
    if rules.split not in SPLITS:
        raise UserError(f"--split={rules.split}: choose one of {', '.join(SPLITS)}.")
    if rules.split == "temporal" and log.times is None:
        raise UserError(f"--split=temporal: {name} has no timestamps; choose --split=random.")
    num_items = len(log.item_ids)
    keys = log.users.astype(np.int64) * num_items + log.items
    liked = np.unique(keys[log.positive])
    times = None
    if log.times is not None and rules.split == "temporal":
        times = first_times(keys[log.positive], log.times[log.positive])
    shown_rows = keys[~log.positive]
    shown = np.unique(shown_rows)

    users, items = np.divmod(liked, num_items)
    keep_user, keep_item = core(users, items, len(log.user_ids), num_items, rules)
    kept_liked = keep_user[users] & keep_item[items]
    kept_shown = keep_user[shown // num_items] & keep_item[shown % num_items]
    if not kept_liked.any():
        raise UserError(f"{name}: no positive is left to train on.")
    new_user, new_item = np.cumsum(keep_user) - 1, np.cumsum(keep_item) - 1

    def pairs(kept_keys: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.stack([new_user[kept_keys // num_items], new_item[kept_keys % num_items]], axis=1)

    positives = pairs(liked[kept_liked])
    if times is None:
        order = np.random.default_rng(rules.split_seed).random(len(positives))
    else:
        order = times[kept_liked]
    part = split_per_user(positives[:, 0], order, rules.valid, rules.test)
    interactions = make_interactions(
        name,
        train=positives[part == TRAIN],
        valid=positives[part == VALID],
        test=positives[part == TEST],
        exposed=pairs(shown[kept_shown]),
        user_ids=log.user_ids[keep_user],
        item_ids=log.item_ids[keep_item],
        source=source,
    )
    account = Account(
        rows=len(keys),
        repeated_positives=len(keys) - len(shown_rows) - len(liked),
        repeated_exposures=len(shown_rows) - len(shown),
        conflicts=int(kept_shown.sum()) - interactions.exposed.nnz,
        below_core=int((~kept_liked).sum() + (~kept_shown).sum()),
        train=interactions.train.nnz,
        valid=interactions.valid.nnz,
        test=interactions.test.nnz,
        exposed=interactions.exposed.nnz,
    )
    return interactions, account


def first_times(keys: NDArray[np.int64], times: NDArray[Any]) -> NDArray[Any]:
    """Return the earliest time of each distinct key, in ascending order of keys."""
    order = np.lexsort((times, keys))
    _, first = np.unique(keys[order], return_index=True)
    return times[order][first]


def core(
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    num_users: int,
    num_items: int,
    rules: Rules,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which users and items are in the k-core of the positive pairs.

    Args:
        users, items: [n] the distinct positive pairs.
        num_users, num_items: sizes before.
        rules: user_core and item_core.

    Returns:
        bool [num_users] and bool [num_items].
    """
    keep_user, keep_item = np.ones(num_users, dtype=bool), np.ones(num_items, dtype=bool)
    while True:
        inside = keep_user[users] & keep_item[items]
        next_user = np.bincount(users[inside], minlength=num_users) >= rules.user_core
        next_item = np.bincount(items[inside], minlength=num_items) >= rules.item_core
        next_user, next_item = next_user & keep_user, next_item & keep_item
        if np.array_equal(next_user, keep_user) and np.array_equal(next_item, keep_item):
            return keep_user, keep_item
        keep_user, keep_item = next_user, next_item
