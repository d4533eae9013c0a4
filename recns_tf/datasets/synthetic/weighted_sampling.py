"""Exact weighted sampling without replacement for many users at once.

Drawing items one by one from those left, in proportion to their rates, is equivalent to drawing
with replacement and skipping repeats. Items can therefore be proposed and accepted independently
for all users at once, without a users x items array.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from recns_tf.interactions import is_among

DRAWS_PER_BLOCK = 1 << 15
PROPOSALS_PER_DRAW = 6
ROUNDS = 40
"""Rounds of proposals; users who still lack items then draw them from all their rates."""


class Rates(NamedTuple):
    """The rate weights[i] * exp(strength * tastes[u] @ traits[i]) of user u and item i.

    Attributes:
        weights: float64 [I], positive.
        tastes: float64 [U, d], rows of length at most 1.
        traits: float64 [I, d].
        strength: strength of the preferences, at least 0.
    """

    weights: NDArray[np.float64]
    tastes: NDArray[np.float64]
    traits: NDArray[np.float64]
    strength: float

    def log_rates(self, user: int) -> NDArray[np.float64]:
        """Return the logarithms of one user's rates, float64 [I]."""
        return np.log(self.weights) + self.strength * (self.traits @ self.tastes[user])


class Proposer:
    """Rejection sampler with one proposal distribution for all users.

    Item i is proposed in proportion to weights[i] * exp(strength * |traits[i]|), an upper bound on
    every user's rate, and accepted with probability exp(strength * (tastes[u] @ traits[i] -
    |traits[i]|)). Accepted items follow the user's rates.
    """

    def __init__(self, rates: Rates):
        self.rates = rates
        lengths = np.linalg.norm(rates.traits, axis=1, keepdims=True)
        logs = np.log(rates.weights) + rates.strength * lengths[:, 0]
        self.share, self.other = alias_table(np.exp(logs - logs.max()))
        # The inner product of the rows is the logarithm of the acceptance probability.
        self.user_rows = rates.strength * np.pad(
            rates.tastes, ((0, 0), (0, 1)), constant_values=-1.0
        )
        self.item_rows = np.concatenate([rates.traits, lengths], axis=1)

    def propose(
        self, users: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return one item per entry of `users` [n], and whether it is accepted, bool [n]."""
        place = rng.random(len(users)) * len(self.share)
        items = place.astype(np.int64)
        items = np.where(place - items < self.share[items], items, self.other[items])
        log_probability = np.einsum(
            "nd,nd->n", self.user_rows.take(users, axis=0), self.item_rows.take(items, axis=0)
        )
        return items, rng.random(len(users)) < np.exp(log_probability)


def alias_table(
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return Walker's alias table of a distribution over n items, for sampling in constant time.

    To sample, draw a uniform number on [0, n) and split it into an integer i and a fraction. The
    sample is i if the fraction is below shares[i], and others[i] otherwise.

    Args:
        weights: float64 [n], probabilities up to a common factor.

    Returns:
        The shares, float64 [n], and the other items, int64 [n].
    """
    left = (weights * (len(weights) / weights.sum())).tolist()
    share, other = [1.0] * len(left), list(range(len(left)))
    small = [i for i, mass in enumerate(left) if mass < 1]
    large = [i for i, mass in enumerate(left) if mass >= 1]
    while small and large:
        receiver, giver = small.pop(), large[-1]
        share[receiver], other[receiver] = left[receiver], giver
        left[giver] -= 1 - left[receiver]
        if left[giver] < 1:
            small.append(large.pop())
    return np.array(share), np.array(other, dtype=np.int64)


def weighted_sampling_without_replacement(
    rates: Rates,
    counts: NDArray[np.int64],
    rng: np.random.Generator,
    excluded: NDArray[np.int64] | None = None,
    description: str = "",
) -> NDArray[np.int64]:
    """Draw counts[u] distinct items for each user u, one by one in proportion to their rates.

    Args:
        rates: the rates of all users and items.
        counts: int64 [U], at most the number of items that are not excluded.
        rng: random generator, advanced by the draws.
        excluded: int64, user * num_items + item of the pairs never to draw, ascending.
        description: label of the progress bar, which is shown only on a terminal.

    Returns:
        int64 [sum of counts], user * num_items + item, ascending.
    """
    num_items = len(rates.weights)
    if excluded is None:
        excluded = np.zeros(0, dtype=np.int64)
    proposer = Proposer(rates)
    ends = np.cumsum(counts)
    drawn = []
    with tqdm(total=int(counts.sum()), desc=description, leave=False, disable=None) as bar:
        first = 0
        while first < len(counts):
            before = ends[first] - counts[first]
            last = max(
                first + 1, int(np.searchsorted(ends, before + DRAWS_PER_BLOCK, side="right"))
            )
            low, high = np.searchsorted(excluded, [first * num_items, last * num_items])
            drawn.append(draw_block(proposer, first, counts[first:last], excluded[low:high], rng))
            bar.update(len(drawn[-1]))
            first = last
    return np.concatenate(drawn)


def draw_block(
    proposer: Proposer,
    first: int,
    counts: NDArray[np.int64],
    excluded: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw for a block of users, which starts at user `first`."""
    num_items = len(proposer.share)
    remaining = counts.copy()
    drawn = np.zeros(0, dtype=np.int64)
    taken = excluded
    for _ in range(ROUNDS):
        if not remaining.any():
            break
        users = np.repeat(np.arange(len(counts)), remaining * PROPOSALS_PER_DRAW) + first
        items, accepted = proposer.propose(users, rng)
        keys = new_keys(users[accepted] * num_items + items[accepted], taken)
        owners = keys // num_items - first
        place = np.arange(len(keys)) - np.searchsorted(owners, owners)
        keys = keys[place < remaining[owners]]
        remaining -= np.bincount(keys // num_items - first, minlength=len(counts))
        drawn = np.concatenate([drawn, keys])
        taken = np.sort(np.concatenate([taken, keys]), kind="stable")
    rest = [drawn]
    for local in np.flatnonzero(remaining):
        user = first + int(local)
        low, high = np.searchsorted(taken, [user * num_items, (user + 1) * num_items])
        own = taken[low:high] - user * num_items
        items = exponential_race(proposer.rates.log_rates(user), int(remaining[local]), own, rng)
        rest.append(user * num_items + items)
    return np.sort(np.concatenate(rest))


def new_keys(keys: NDArray[np.int64], taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the distinct `keys` not in the ascending `taken`, in order of first occurrence."""
    keys = keys[~is_among(keys, taken)]
    _, places = np.unique(keys, return_index=True)
    return keys[np.sort(places)]


def exponential_race(
    log_rates: NDArray[np.float64],
    count: int,
    taken: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw distinct items for one user from an array of all rates.

    Each item has a clock that rings after an exponential time with its rate. The items whose
    clocks ring first are distributed like items drawn one by one without replacement. This also
    holds after earlier draws, because exponential times are memoryless.

    Args:
        log_rates: float64 [I], logarithms of the rates.
        count: number of items to draw, at most the items not taken.
        taken: int64 [t], items never to draw.
        rng: random generator, advanced by the draws.

    Returns:
        The items, int64 [count], in arbitrary order.
    """
    clocks = np.log(rng.exponential(size=len(log_rates))) - log_rates
    clocks[taken] = np.inf
    return np.argpartition(clocks, count - 1)[:count]
