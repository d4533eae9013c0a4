"""A raw log of clicks and impressions, and how it becomes Interactions.

Whatever the format, a reader returns a Log: one row an event, a user, an item, whether it was
positive, and perhaps when. `to_interactions` then settles repeats and conflicts, keeps the
k-core, and splits per user, and counts what became of every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.datasets.preprocessing.k_core import k_core
from recns_tf.datasets.preprocessing.split import TEST, TRAIN, VALID, split_per_user
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, distinct, is_among, make_interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

SPLITS = ("random", "temporal", "given")
CONFLICTS = ("train", "any")


class Log(NamedTuple):
    """Events of a log, in any order, repeats allowed.

    Attributes:
        users, items: [n] integers, positions in `user_ids` and `item_ids`.
        positive: bool [n]; False is an item shown and not chosen.
        times: [n] numbers, later is larger, or None where the log has none.
        user_ids, item_ids: the log's own ids, each once.
        parts: int8 [n] of TRAIN, VALID, TEST where the log comes split, or None.
        ignored: rows of the log that are no event and stand in none of the arrays.
    """

    users: NDArray[np.integer]
    items: NDArray[np.integer]
    positive: NDArray[np.bool_]
    times: NDArray[Any] | None
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    parts: NDArray[np.int8] | None = None
    ignored: int = 0


@dataclass(frozen=True)
class Rules:
    """How a log becomes train, valid, test and exposed.

    Attributes:
        split: "random"; "temporal": each user's last positives go to test, those before them to
            valid, and exposures that are not earlier than the first of either are dropped, as
            they were not known then (which of equally late positives is last is settled by lot,
            always the same); "given": as the log says, exposures of valid and test dropped.
        split_seed: of the random split.
        valid, test: shares of each user's positives.
        user_core, item_core: positives that a user, an item must keep; 0 keeps all, even those
            that were only shown.
        conflicts: which positives take a pair that was shown, too, out of the exposures. With
            "train" a shown pair whose positive is held out stays exposed: taking it out would
            tell a sampler which items are positives of valid and test. With "any" it goes.
    """

    split: str = "random"
    split_seed: int = 0
    valid: float = 0.1
    test: float = 0.1
    user_core: int = 0
    item_core: int = 0
    conflicts: str = "train"


def split_rules(config: Config, split: str = "random", **others: Any) -> Rules:
    """Return the rules that the flags of a run make.

    Args:
        config: of which `split` and `split_seed` count.
        split: what --split=auto stands for.
        others: of the rules.

    Raises:
        UserError: a seed is given to a split that has none.
    """
    chosen = split if config.split == "auto" else config.split
    if chosen != "random" and config.split_seed:
        raise UserError(
            f"--split_seed={config.split_seed}: {config.dataset} has a {chosen} split, which no "
            "seed changes; leave the flag out."
        )
    return Rules(split=chosen, split_seed=config.split_seed, **others)


class RowCounts(NamedTuple):
    """What became of every row of a log; `rows` is the sum of all the others.

    Attributes:
        rows: rows of the log.
        ignored: rows that are neither positive nor exposed.
        repeated_positives: rows of a positive pair beyond its first.
        repeated_exposures: rows of an exposed pair beyond its first.
        below_core: pairs, positive or exposed, of users and items outside the k-core.
        conflicts: exposed pairs that are positives too: positive wins (Rules.conflicts).
        late_exposures: exposed pairs of the held-out time (temporal) or parts (given).
        train, valid, test, exposed: pairs kept.
    """

    rows: int
    ignored: int
    repeated_positives: int
    repeated_exposures: int
    below_core: int
    conflicts: int
    late_exposures: int
    train: int
    valid: int
    test: int
    exposed: int


def to_interactions(
    log: Log, name: str, rules: Rules, source: dict[str, Any]
) -> tuple[Interactions, RowCounts]:
    """Return the dataset that a log makes, and an account of its rows.

    Args:
        log: the events.
        name: of the dataset.
        rules: how to split and filter.
        source: what the log is, for Interactions.source.

    Raises:
        UserError: the rules ask for times or parts that the log has not, or leave nothing to
            train on.
    """
    order = row_order(log, name, rules)
    num_items = len(log.item_ids)
    liked, liked_order = distinct_pairs(log, log.positive, order)
    shown, shown_order = distinct_pairs(log, ~log.positive, order)
    num_positive = int(log.positive.sum())

    keep_user, keep_item = k_core(
        *np.divmod(liked, num_items),
        (len(log.user_ids), num_items),
        (rules.user_core, rules.item_core),
    )
    kept_liked = keep_user[liked // num_items] & keep_item[liked % num_items]
    kept_shown = keep_user[shown // num_items] & keep_item[shown % num_items]
    below_core = int((~kept_liked).sum() + (~kept_shown).sum())
    liked, liked_order = liked[kept_liked], liked_order[kept_liked]
    shown, shown_order = shown[kept_shown], shown_order[kept_shown]
    if not num_positive:
        raise UserError(f"{name}: no positive is left to train on: no row is one (--positive).")
    if not len(liked):
        raise UserError(
            f"{name}: no positive is left to train on: --user_core={rules.user_core} and "
            f"--item_core={rules.item_core} leave none of {len(kept_liked):,} pairs."
        )

    users = liked // num_items
    part = parts_of(users, liked_order, rules)
    if not (part == TRAIN).any():
        raise UserError(f"{name}: no positive is left to train on: none is of the part train.")
    conflict = is_among(shown, liked if rules.conflicts == "any" else liked[part == TRAIN])
    known_until = ends_of_train(users, liked_order, part, len(log.user_ids), rules)
    late = ~conflict & (shown_order >= known_until[shown // num_items])

    new_user, new_item = np.cumsum(keep_user) - 1, np.cumsum(keep_item) - 1

    def pairs(keys: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.stack([new_user[keys // num_items], new_item[keys % num_items]], axis=1)

    interactions = make_interactions(
        name,
        train=pairs(liked[part == TRAIN]),
        valid=pairs(liked[part == VALID]),
        test=pairs(liked[part == TEST]),
        exposed=pairs(shown[~conflict & ~late]),
        user_ids=log.user_ids[keep_user],
        item_ids=log.item_ids[keep_item],
        source=source,
    )
    account = RowCounts(
        rows=len(log.positive) + log.ignored,
        ignored=log.ignored,
        repeated_positives=num_positive - len(kept_liked),
        repeated_exposures=len(log.positive) - num_positive - len(kept_shown),
        below_core=below_core,
        conflicts=int(conflict.sum()),
        late_exposures=int(late.sum()),
        train=interactions.train.nnz,
        valid=interactions.valid.nnz,
        test=interactions.test.nnz,
        exposed=interactions.exposed.nnz,
    )
    return interactions, account


def parts_of(users: NDArray[np.int64], order: NDArray[Any], rules: Rules) -> NDArray[np.int8]:
    """Return the split of each positive pair, int8 [n] of TRAIN, VALID, TEST.

    Args:
        users: [n], ascending.
        order: [n] times for a temporal split, parts for a given one.
        rules: which split it is.
    """
    if rules.split == "given":
        return order
    if rules.split == "temporal":
        order = ranks(order)
    else:
        order = np.random.default_rng(rules.split_seed).random(len(users))
    return split_per_user(users, order, rules.valid, rules.test)


def ends_of_train(
    users: NDArray[np.int64],
    order: NDArray[Any],
    part: NDArray[np.int8],
    num_users: int,
    rules: Rules,
) -> NDArray[np.float64]:
    """Return the order from which on exposures were not known in training, float64 [num_users].

    That is the time of the user's first held-out positive for a temporal split, the first part
    after train for a given one, and never for a random one.
    """
    if rules.split == "given":
        return np.full(num_users, TRAIN + 1.0)
    ends = np.full(num_users, np.inf)
    if rules.split == "temporal":
        held_out = part != TRAIN
        np.minimum.at(ends, users[held_out], order[held_out])
    return ends


def row_order(log: Log, name: str, rules: Rules) -> NDArray[Any] | None:
    """Return what the split goes by: times, given parts, or None for a random one.

    Raises:
        UserError: the log has not what the rules ask for.
    """
    if rules.split not in SPLITS:
        raise UserError(f"--split={rules.split}: choose one of {', '.join(SPLITS)}.")
    if rules.conflicts not in CONFLICTS:
        raise UserError(f"--conflicts={rules.conflicts}: choose one of {', '.join(CONFLICTS)}.")
    if rules.split == "temporal" and log.times is None:
        raise UserError(f"--split=temporal: {name} has no timestamps; choose --split=random.")
    if rules.split == "given" and log.parts is None:
        raise UserError(f"--split=given: {name} does not come split; choose --split=random.")
    return {"random": None, "temporal": log.times, "given": log.parts}[rules.split]


def distinct_pairs(
    log: Log, rows: NDArray[np.bool_], order: NDArray[Any] | None
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the distinct pairs among some rows of a log, and the first of each by `order`.

    Args:
        log: the events.
        rows: bool [n], which rows.
        order: [n] numbers, such as times, or None.

    Returns:
        [p] int64, user * num_items + item, ascending; and [p], the least order of its rows,
        0 where there is none.
    """
    keys = log.users[rows].astype(np.int64) * len(log.item_ids) + log.items[rows]
    if order is None:
        keys = distinct(keys)
        return keys, np.zeros(len(keys), dtype=np.int8)
    by_key = np.argsort(keys)
    keys = keys[by_key]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    if not len(starts):
        return keys, order[:0]
    return keys[starts], np.minimum.reduceat(order[rows][by_key], starts)


def ranks(times: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rank of each time, from 0; equal times are ranked by lot, always the same.

    Without the lot, the item with the larger id would be the later one.
    """
    lot = np.random.default_rng(0).random(len(times))
    rank = np.empty(len(times), dtype=np.int64)
    rank[np.lexsort((lot, times))] = np.arange(len(times))
    return rank
