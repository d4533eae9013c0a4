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
    by_user = np.lexsort((order, users))
    counts = np.bincount(users) if len(users) else np.zeros(0, dtype=np.int64)
    size = counts[users[by_user]]
    ends = np.cumsum(counts)[users[by_user]]
    from_last = ends - 1 - np.arange(len(users))
    in_test = np.minimum(np.floor(size * test + 0.5), size - 1)
    in_valid = np.minimum(np.floor(size * valid + 0.5), size - 1 - in_test)
    labels = np.empty(len(users), dtype=np.int8)
    labels[by_user] = np.select(
        [from_last < in_test, from_last < in_test + in_valid], [TEST, VALID], TRAIN
    )
    return labels


def assign_parts(users: NDArray[np.int64], order: NDArray[Any], rules: Rules) -> NDArray[np.int8]:
    """Return the part of each positive pair: TRAIN, VALID or TEST, int8 [n].

    Args:
        users: int64 [n], ascending.
        order: [n], times for a temporal split, parts for a given one; unused for a random one.
        rules: specify the split.
    """
    if rules.split == "given":
        return order
    if rules.split == "temporal":
        order = random_tie_ranks(order)
    else:
        order = np.random.default_rng(rules.split_seed).random(len(users))
    return split_per_user(users, order, rules.valid, rules.test)


def exposure_limits(
    users: NDArray[np.int64],
    order: NDArray[Any],
    part: NDArray[np.int8],
    num_users: int,
    rules: Rules,
) -> NDArray[np.float64]:
    """Return the `order` from which each user's exposures are dropped, float64 [num_users].

    This is the time of the user's first held-out positive for a temporal split, the first part
    after train for a given one, and infinity for a random one.
    """
    if rules.split == "given":
        return np.full(num_users, TRAIN + 1.0)
    ends = np.full(num_users, np.inf)
    if rules.split == "temporal":
        held_out = part != TRAIN
        np.minimum.at(ends, users[held_out], order[held_out])
    return ends


def split_order(
    times: NDArray[Any] | None, parts: NDArray[np.int8] | None, name: str, rules: Rules
) -> NDArray[Any] | None:
    """Return the values that define the split: times, parts, or None for a random split.

    Args:
        times, parts: those of the log.
        name: name of the dataset, for messages.
        rules: specify the split.

    Raises:
        UserError: the log lacks the values, or a rule is unknown.
    """
    if rules.split not in SPLITS:
        raise UserError(f"--split={rules.split}: choose one of {', '.join(SPLITS)}.")
    if rules.conflicts not in CONFLICTS:
        raise UserError(f"--conflicts={rules.conflicts}: choose one of {', '.join(CONFLICTS)}.")
    if rules.split == "temporal" and times is None:
        raise UserError(f"--split=temporal: {name} has no timestamps; choose --split=random.")
    if rules.split == "given" and parts is None:
        raise UserError(f"--split=given: {name} does not define a split; choose --split=random.")
    return {"random": None, "temporal": times, "given": parts}[rules.split]


def random_tie_ranks(times: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rank of each time, from 0; ties are broken at random with a fixed seed.

    Otherwise, of two items with equal times, the one with the larger id would be the later.
    """
    tie_breaker = np.random.default_rng(0).random(len(times))
    rank = np.empty(len(times), dtype=np.int64)
    rank[np.lexsort((tie_breaker, times))] = np.arange(len(times))
    return rank
