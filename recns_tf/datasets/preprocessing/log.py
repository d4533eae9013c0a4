"""Convert a raw log of clicks and impressions to Interactions.

Readers of all formats return a Log with one row per event: the user, the item, whether it is
positive, and optionally the time. `to_interactions` removes repeats and conflicts, computes the
k-core, splits the positives of each user, and counts what happened to every row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.datasets.preprocessing.k_core import k_core
from recns_tf.datasets.preprocessing.rules import Rules
from recns_tf.datasets.preprocessing.split import (
    TEST,
    TRAIN,
    VALID,
    assign_parts,
    exposure_limits,
    split_order,
    split_per_user,
)
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, distinct, is_among, make_interactions
from recns_tf.utils.text import count


class Log(NamedTuple):
    """Events of a log, in any order and possibly repeated.

    Attributes:
        users, items: integers [n], indices into `user_ids` and `item_ids`.
        positive: bool [n]; False for an item shown but not chosen.
        times: numbers [n], larger is later, or None if the log has no times.
        user_ids, item_ids: the distinct original ids.
        parts: int8 [n], TRAIN, VALID or TEST, or None if the log does not define a split.
        ignored: number of rows left out because they are neither positive nor exposed.
        missing: number of rows left out because an id, a label or a time is missing.
        notes: sentences on what looks wrong in the log.
        train_only: bool [n], True for positives that are never held out; None if there are none.
    """

    users: NDArray[np.integer]
    items: NDArray[np.integer]
    positive: NDArray[np.bool_]
    times: NDArray[Any] | None
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    parts: NDArray[np.int8] | None = None
    ignored: int = 0
    missing: int = 0
    notes: tuple[str, ...] = ()
    train_only: NDArray[np.bool_] | None = None


class RowCounts(NamedTuple):
    """What happened to the rows of a log; `rows` is the sum of all other counts.

    Attributes:
        rows: rows of the log.
        missing: rows in which an id, a label or a time is missing.
        ignored: rows that are neither positive nor exposed.
        repeated_positives: further rows of a positive pair.
        repeated_exposures: further rows of an exposed pair.
        below_core: positive or exposed pairs with a user or item outside the k-core.
        conflicts: exposed pairs dropped because they are also positives (Rules.conflicts).
        late_exposures: exposed pairs dropped because they belong to the held-out time (splits by
            time) or parts (given split).
        train, valid, test, exposed: pairs kept.
    """

    rows: int
    missing: int
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
    """Convert a log to a dataset, and count what happened to its rows.

    Args:
        log: the events.
        name: name of the dataset.
        rules: how to filter and split.
        source: description of the log, for Interactions.source.

    Raises:
        UserError: the rules require times or parts that the log lacks, a seed is set for a split
            by time, or no positives are left to train on.
    """
    order = split_order(log.times, log.parts, name, rules)
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
        raise UserError(f"{name}: no positive is left to train on: no row matches --positive.")
    if not len(liked):
        raise UserError(
            f"{name}: no positive is left to train on: --user_core={rules.user_core} and "
            f"--item_core={rules.item_core} leave none of {count(len(kept_liked), 'pair')}."
        )

    users = liked // num_items
    fixed = never_held_out(log, liked)
    free = ~fixed
    pair_order = None if order is None else liked_order
    part = np.full(len(liked), TRAIN, dtype=np.int8)
    free_order = None if order is None else liked_order[free]
    part[free] = assign_parts(users[free], free_order, name, rules, users[fixed])
    if not (part == TRAIN).any():
        raise UserError(f"{name}: no positive is left to train on: none belongs to the part train.")
    conflict = is_among(shown, liked if rules.conflicts == "any" else liked[part == TRAIN])
    limits = exposure_limits(users, pair_order, part, len(log.user_ids), rules)
    late = ~conflict & (shown_order >= limits[shown // num_items])

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
    counts = RowCounts(
        rows=len(log.positive) + log.ignored + log.missing,
        missing=log.missing,
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
    return interactions, counts


def hold_out_validation(log: Log, share: float) -> Log:
    """Return a log with a split in which a share of each user's train positives goes to valid.

    They are drawn with a fixed seed.

    Args:
        log: the events; `parts` is not None.
        share: as `valid` of `split_per_user`.
    """
    assert log.parts is not None
    keys = log.users.astype(np.int64) * len(log.item_ids) + log.items
    train = log.positive & (log.parts == TRAIN)
    liked = distinct(keys[train])
    order = np.random.default_rng(0).random(len(liked))
    part = split_per_user(liked // len(log.item_ids), order, valid=share, test=0)
    chosen = train & is_among(keys, liked[part == VALID])
    return log._replace(parts=np.where(chosen, np.int8(VALID), log.parts))


def never_held_out(log: Log, liked: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which positive pairs are never held out, bool [p].

    Args:
        log: the events; a pair with any event in `train_only` is never held out.
        liked: int64 [p], user * num_items + item, the distinct positive pairs.
    """
    if log.train_only is None:
        return np.zeros(len(liked), dtype=bool)
    rows = log.positive & log.train_only
    fixed = log.users[rows].astype(np.int64) * len(log.item_ids) + log.items[rows]
    return is_among(liked, distinct(fixed))


def distinct_pairs(
    log: Log, rows: NDArray[np.bool_], order: NDArray[Any] | None
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the distinct pairs in some rows of a log, and the smallest `order` of each pair.

    Args:
        log: the events.
        rows: bool [n], the rows to use.
        order: numbers [n], such as times, or None.

    Returns:
        int64 [p], user * num_items + item, ascending; and [p], the smallest order among the rows
        of each pair, 0 if `order` is None.
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
