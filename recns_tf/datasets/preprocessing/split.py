"""Split positives into train, valid and test; by default 80/10/10 of each user's (§5.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recns_tf.datasets.preprocessing.rules import CONFLICTS, SPLITS, Rules
from recns_tf.errors import UserError

TRAIN, VALID, TEST = 0, 1, 2


def split_per_user(
    users: NDArray[np.integer],
    order: NDArray[np.generic],
    valid: float = 0.1,
    test: float = 0.1,
) -> NDArray[np.int8]:
    """Assign each positive pair to train, valid or test, user by user.

    Of a user's n positives, round(n * test) go to test and round(n * valid) to valid, with halves
    rounded up; the rest, at least one, go to train. With the paper's shares of 0.1, users with
    fewer than 5 positives have only train items.

    Args:
        users: integers [n], user of each pair.
        order: [n], sort key of each user's pairs: random numbers for a random split, timestamps
            for a temporal one. The last pairs go to test, those before them to valid.
        valid, test: shares, in [0, 1).

    Returns:
        int8 [n], TRAIN, VALID or TEST for each pair.

    Example:
        >>> split_per_user(np.zeros(10, int), np.arange(10))
        array([0, 0, 0, 0, 0, 0, 0, 0, 1, 2], dtype=int8)
    """
    counts = np.bincount(users)
    in_test = np.minimum(np.floor(counts * test + 0.5), counts - 1)
    in_valid = np.minimum(np.floor(counts * valid + 0.5), counts - 1 - in_test)
    return hold_out_last(users, order, in_valid, in_test)


def leave_one_out(
    users: NDArray[np.integer],
    order: NDArray[np.generic],
    others: NDArray[np.integer] | int = 0,
) -> NDArray[np.int8]:
    """Assign each user's last positive to test and the one before it to valid.

    Each user keeps a train positive: of two positives, the last goes to test and the first to
    train; a single one goes to train.

    Source: leave-one-out by time as in He et al., "Neural Collaborative Filtering", WWW 2017.

    Args:
        users: integers [n], user of each pair.
        order: [n], sort key of each user's pairs.
        others: number of further train positives of each user, [max(users) + 1], or of every user.

    Returns:
        int8 [n], TRAIN, VALID or TEST for each pair.

    Example:
        >>> leave_one_out(np.array([0, 0, 0, 0, 1, 1, 2]), np.arange(7))
        array([0, 0, 1, 2, 0, 2, 0], dtype=int8)
    """
    counts = np.bincount(users)
    in_test = (counts > 0) & (counts + others > 1)
    in_valid = (counts > 1) & (counts + others > 2)
    return hold_out_last(users, order, in_valid, in_test)


def hold_out_last(
    users: NDArray[np.integer],
    order: NDArray[np.generic],
    num_valid: NDArray[Any],
    num_test: NDArray[Any],
) -> NDArray[np.int8]:
    """Assign each user's last pairs to test and those before them to valid.

    Args:
        users: integers [n], user of each pair.
        order: [n], sort key of each user's pairs.
        num_valid, num_test: how many pairs of each user go to a part, [max(users) + 1].

    Returns:
        int8 [n], TRAIN, VALID or TEST for each pair.
    """
    by_user = np.lexsort((order, users))
    sorted_users = users[by_user]
    ends = np.cumsum(np.bincount(users))[sorted_users]
    from_last = ends - 1 - np.arange(len(users))
    in_test = num_test[sorted_users]
    held_out = in_test + num_valid[sorted_users].astype(np.int64)
    labels = np.empty(len(users), dtype=np.int8)
    labels[by_user] = np.select([from_last < in_test, from_last < held_out], [TEST, VALID], TRAIN)
    return labels


def split_by_time(
    times: NDArray[Any], name: str, valid: float = 0.1, test: float = 0.1
) -> NDArray[np.int8]:
    """Assign each positive pair to train, valid or test by two cuts in time for all users.

    Pairs from the test cut on go to test, earlier ones from the valid cut on to valid, and the
    rest to train, so every train pair is earlier than every held-out one. Each cut is the time of
    a pair. The test cut is the one that makes the share of test closest to `test`; the valid cut
    is then the one that makes the share of valid closest to `valid`. Of two equally close cuts,
    the earlier one is used. Only cuts that leave a pair in train, and in each part with a share
    above 0, are considered; a part with a share of 0 is empty.

    Source: the temporal global split of Meng et al., "Exploring Data Splitting Strategies for the
    Evaluation of Recommendation Models", RecSys 2020.

    Args:
        times: numbers [n], n > 0, time of each pair.
        name: name of the dataset, for messages.
        valid, test: shares of the n pairs, in [0, 1).

    Returns:
        int8 [n], TRAIN, VALID or TEST for each pair.

    Raises:
        UserError: there are fewer distinct times than parts to fill.

    Example:
        >>> split_by_time(np.array([1, 2, 3, 4, 5, 5, 6, 6]), "shop", valid=0.25, test=0.2)
        array([0, 0, 0, 0, 1, 1, 2, 2], dtype=int8)
    """
    distinct_times, counts = np.unique(times, return_counts=True)
    filled = ["train", *(["valid"] if valid else []), *(["test"] if test else [])]
    if len(distinct_times) < len(filled):
        raise UserError(
            f"--split=global-temporal: the positives of {name} have {len(distinct_times)} distinct "
            f"time{'s' * (len(distinct_times) > 1)}, and {', '.join(filled)} need one each; choose "
            "another --split."
        )
    before = np.concatenate([[0], np.cumsum(counts)])
    test_from = closest_cut(before, len(filled) - 1, len(distinct_times), test * len(times))
    valid_from = closest_cut(before, 1, test_from, valid * len(times))
    part = np.full(len(times), TRAIN, dtype=np.int8)
    for label, start in ((VALID, valid_from), (TEST, test_from)):
        if start < len(distinct_times):
            part[times >= distinct_times[start]] = label
    return part


def closest_cut(before: NDArray[np.int64], first: int, end: int, wanted: float) -> int:
    """Return the cut from `first` to `end` - 1 for which closest to `wanted` pairs lie from it on.

    Args:
        before: int64 [t + 1], number of pairs before each of t times, and the number of all pairs.
        first: index of the earliest time at which to cut.
        end: index of the first time that no longer counts.
        wanted: number of pairs; `end` is returned if it is 0.
    """
    if not wanted:
        return end
    inside = before[end] - before[first:end]
    return first + int(np.argmin(np.abs(inside - wanted)))


def assign_parts(
    users: NDArray[np.int64],
    order: NDArray[Any] | None,
    name: str,
    rules: Rules,
    fixed: NDArray[np.int64],
) -> NDArray[np.int8]:
    """Return the part of each positive pair: TRAIN, VALID or TEST, int8 [n].

    Args:
        users: int64 [n], ascending.
        order: [n], times, or parts for a given split; None for a random order.
        name: name of the dataset, for messages.
        rules: specify the split.
        fixed: int64 [m], the user of each further train positive, which is never held out.

    Raises:
        UserError: there are too few distinct times.
    """
    if order is None:
        order = np.random.default_rng(rules.split_seed).random(len(users))
    elif rules.split == "given":
        return order
    elif rules.split == "global-temporal":
        return split_by_time(order, name, rules.valid, rules.test)
    else:
        order = random_tie_ranks(order)
    if rules.split == "leave-one-out":
        size = users.max(initial=-1) + 1
        others = np.bincount(fixed, minlength=size)[:size]
        return leave_one_out(users, order, others)
    return split_per_user(users, order, rules.valid, rules.test)


def exposure_limits(
    users: NDArray[np.int64],
    order: NDArray[Any] | None,
    part: NDArray[np.int8],
    num_users: int,
    rules: Rules,
) -> NDArray[np.float64]:
    """Return the `order` from which each user's exposures are dropped, float64 [num_users].

    This is the time of the first held-out positive: the user's own, or that of all users for a
    global split. It is the first part after train for a given split, and infinity without times.
    """
    if rules.split == "given":
        return np.full(num_users, TRAIN + 1.0)
    ends = np.full(num_users, np.inf)
    held_out = part != TRAIN
    if order is None or not held_out.any():
        return ends
    if rules.split == "global-temporal":
        ends[:] = order[held_out].min()
    else:
        np.minimum.at(ends, users[held_out], order[held_out])
    return ends


def split_order(
    times: NDArray[Any] | None, parts: NDArray[np.int8] | None, name: str, rules: Rules
) -> NDArray[Any] | None:
    """Return the values that define the split: times, parts, or None for a random order.

    Args:
        times, parts: those of the log.
        name: name of the dataset, for messages.
        rules: specify the split.

    Raises:
        UserError: the log lacks the values, a rule is unknown, or a seed is set for a split by
            time.
    """
    if rules.split not in SPLITS:
        raise UserError(f"--split={rules.split}: choose one of {', '.join(SPLITS)}.")
    if rules.conflicts not in CONFLICTS:
        raise UserError(f"--conflicts={rules.conflicts}: choose one of {', '.join(CONFLICTS)}.")
    if rules.split in ("temporal", "global-temporal") and times is None:
        raise UserError(f"--split={rules.split}: {name} has no timestamps; choose --split=random.")
    if rules.split == "given" and parts is None:
        raise UserError(f"--split=given: {name} does not define a split; choose --split=random.")
    if rules.split == "leave-one-out" and times is not None and rules.split_seed:
        raise UserError(
            f"--split_seed={rules.split_seed}: {name} has a leave-one-out split by time, which no "
            "seed changes; leave the flag out."
        )
    if rules.split == "random":
        return None
    return parts if rules.split == "given" else times


def random_tie_ranks(times: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rank of each time, from 0; ties are broken at random with a fixed seed.

    Otherwise, of two items with equal times, the one with the larger id would be the later.
    """
    tie_breaker = np.random.default_rng(0).random(len(times))
    rank = np.empty(len(times), dtype=np.int64)
    rank[np.lexsort((tie_breaker, times))] = np.arange(len(times))
    return rank
