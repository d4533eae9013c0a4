"""Draws without replacement at planted rates, exact, for many users at once.

A user who draws items one after another, each time among those left and in proportion to their
rates, draws just what independent draws with replacement give once repeats are skipped. So items
are proposed and accepted independently for all users at once, and no users x items array is made.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from recns_tf.interactions import is_among

BLOCK_PLACES = 1 << 15
PROPOSALS_A_PLACE = 6
ROUNDS = 40
"""Of proposals, before a user who still lacks items gets them from all rates at once."""


class Rates(NamedTuple):
    """The rate weights[i] * exp(strength * tastes[u] @ traits[i]) of user u and item i.

    Attributes:
        weights: float64 [I], above 0.
        tastes: float64 [U, d], none longer than 1.
        traits: float64 [I, d].
        strength: of the preference, at least 0.
    """

    weights: NDArray[np.float64]
    tastes: NDArray[np.float64]
    traits: NDArray[np.float64]
    strength: float

    def log_rates(self, user: int) -> NDArray[np.float64]:
        """Return the logarithm of one user's rates, float64 [I]."""
        return np.log(self.weights) + self.strength * (self.traits @ self.tastes[user])


class Proposer:
    """Proposes items from one law for all users and accepts them by each user's own.

    Item i is proposed in proportion to weights[i] * exp(strength * |traits[i]|), which no user's
    rate exceeds, and accepted with probability exp(strength * (tastes[u] @ traits[i] -
    |traits[i]|)), so that accepted items follow the user's rates.
    """

    def __init__(self, rates: Rates):
        self.rates = rates
        lengths = np.linalg.norm(rates.traits, axis=1, keepdims=True)
        logs = np.log(rates.weights) + rates.strength * lengths[:, 0]
        self.share, self.other = alias_table(np.exp(logs - logs.max()))
        # One product of rows gives the logarithm of the chance to accept.
        self.user_rows = rates.strength * np.pad(
            rates.tastes, ((0, 0), (0, 1)), constant_values=-1.0
        )
        self.item_rows = np.concatenate([rates.traits, lengths], axis=1)

    def propose(
        self, users: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return one item for each of `users` [n], and whether that user accepts it, bool [n]."""
        place = rng.random(len(users)) * len(self.share)
        items = place.astype(np.int64)
        items = np.where(place - items < self.share[items], items, self.other[items])
        log_chance = np.einsum(
            "nd,nd->n", self.user_rows.take(users, axis=0), self.item_rows.take(items, axis=0)
        )
        return items, rng.random(len(users)) < np.exp(log_chance)


def alias_table(
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return Walker's alias table of a law over n items, for draws in constant time.

    A number uniform on [0, n) has a whole part i, uniform, and a fraction; i is drawn if the
    fraction is below its share, else the other item of its row.

    Args:
        weights: float64 [n], the law times any factor.

    Returns:
        float64 [n] shares and int64 [n] other items.
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
    """Draw counts[u] distinct items for every user u, one after another at their rates.

    Args:
        rates: of all users and items.
        counts: int64 [U], for no user more than the items that are not excluded.
        rng: consumed; the same state draws the same items.
        excluded: user * num_items + item of pairs not to be drawn, ascending.
        description: of the progress bar, which shows on a terminal only.

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
            last = max(first + 1, int(np.searchsorted(ends, before + BLOCK_PLACES, side="right")))
            low, high = np.searchsorted(excluded, [first * num_items, last * num_items])
            drawn.append(fill(proposer, first, counts[first:last], excluded[low:high], rng))
            bar.update(len(drawn[-1]))
            first = last
    return np.concatenate(drawn)


def fill(
    proposer: Proposer,
    first: int,
    counts: NDArray[np.int64],
    excluded: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw for the users first, first + 1, …, as `draw` does for all."""
    num_items = len(proposer.share)
    lacking = counts.copy()
    drawn = np.zeros(0, dtype=np.int64)
    taken = excluded
    for _ in range(ROUNDS):
        if not lacking.any():
            break
        users = np.repeat(np.arange(len(counts)), lacking * PROPOSALS_A_PLACE) + first
        items, accepted = proposer.propose(users, rng)
        keys = first_of_each(users[accepted] * num_items + items[accepted], taken)
        owners = keys // num_items - first
        place = np.arange(len(keys)) - np.searchsorted(owners, owners)
        keys = keys[place < lacking[owners]]
        lacking -= np.bincount(keys // num_items - first, minlength=len(counts))
        drawn = np.concatenate([drawn, keys])
        taken = np.sort(np.concatenate([taken, keys]), kind="stable")
    rest = [drawn]
    for local in np.flatnonzero(lacking):
        user = first + int(local)
        low, high = np.searchsorted(taken, [user * num_items, (user + 1) * num_items])
        own = taken[low:high] - user * num_items
        items = exponential_race(proposer.rates.log_rates(user), int(lacking[local]), own, rng)
        rest.append(user * num_items + items)
    return np.sort(np.concatenate(rest))


def first_of_each(keys: NDArray[np.int64], taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the distinct `keys` that are not among the ascending `taken`, in the order given."""
    keys = keys[~is_among(keys, taken)]
    _, places = np.unique(keys, return_index=True)
    return keys[np.sort(places)]


def exponential_race(
    log_rates: NDArray[np.float64],
    count: int,
    taken: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw distinct items one after another at their rates, with every rate at hand.

    Each item has a clock that rings after an exponential time of its rate; the order of ringing
    is that of the draws, and stays so after any draws before.

    Args:
        log_rates: float64 [I].
        count: how many, at most the items not taken.
        taken: int64 [t], items not to be drawn.
        rng: consumed.

    Returns:
        int64 [count] items.
    """
    clocks = np.log(rng.exponential(size=len(log_rates))) - log_rates
    clocks[taken] = np.inf
    return np.argpartition(clocks, count - 1)[:count]
