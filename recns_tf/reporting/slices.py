"""Test lists by how many items a user has and by how popular an item is.

Users, held-out pairs and items are divided by what they have in train into groups that hold about
as many each; equal numbers stay together. Among users Recall@20 is averaged as ever; among held-out
pairs it is the share that stand in their user's list; of items it is their share of all lists.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.evaluation.metrics import NO_ITEM, metrics_per_user
from recns_tf.interactions import Interactions, degrees_of_items, is_among, to_pairs, users_with
from recns_tf.runs.recommendations import K


class Slice(NamedTuple):
    """A share by group.

    Attributes:
        names: the range of each group, such as "5–9".
        sizes: users, held-out pairs or items in each.
        shares: of each, in [0, 1].
    """

    names: list[str]
    sizes: list[int]
    shares: list[float]

    @property
    def mean(self) -> float:
        """The mean over all users, or pairs."""
        return float(np.average(self.shares, weights=self.sizes)) if self.sizes else 0.0


def quantile_groups(values: NDArray[np.integer], count: int) -> tuple[list[str], NDArray[np.int64]]:
    """Divide whole numbers into at most `count` groups of like sizes, equal numbers together.

    Args:
        values: [n].
        count: how many groups.

    Returns:
        The range of each group in words, and the group of each value, int64 [n].
    """
    shares = np.arange(1, count) / count
    if not len(values):
        return [], np.zeros(0, dtype=np.int64)
    edges = np.unique(np.quantile(values, shares, method="inverted_cdf"))
    _, group = np.unique(np.searchsorted(edges, values), return_inverse=True)
    names = []
    for number in range(group.max() + 1):
        low, high = (int(end(values[group == number])) for end in (np.min, np.max))
        names.append(f"{low}" if low == high else f"{low}–{high}")
    return names, group.astype(np.int64)


def by_user_degree(lists: NDArray[np.int64], data: Interactions, count: int) -> Slice:
    """Return mean Recall@20 of the tested users by their number of train items.

    Args:
        lists: int64 [U, 20].
        data: the dataset.
        count: of groups, at most.
    """
    users = users_with(data.test)
    recall = metrics_per_user(lists[users], users, data.test)[f"recall@{K}"]
    return averages(np.diff(data.train.indptr)[users], recall, count)


def by_item_popularity(lists: NDArray[np.int64], data: Interactions, count: int) -> Slice:
    """Return the share of test pairs that are found by the item's number of train users.

    Args:
        lists: int64 [U, 20].
        data: the dataset.
        count: of groups, at most.
    """
    users, items = to_pairs(data.test).T
    keys = np.repeat(np.arange(len(lists)), K) * data.num_items + lists.ravel()
    listed = np.sort(keys[lists.ravel() != NO_ITEM])
    found = is_among(users * data.num_items + items, listed)
    return averages(degrees_of_items(data.train)[items], found.astype(np.float64), count)


def lists_by_popularity(lists: NDArray[np.int64], data: Interactions, count: int) -> Slice:
    """Return the share of all lists' places that items have, by their number of train users.

    Items without a train user are a group of their own.

    Args:
        lists: int64 [U, 20].
        data: the dataset.
        count: of groups besides, at most.
    """
    degrees = degrees_of_items(data.train)
    names, group = quantile_groups(degrees[degrees > 0], count)
    if (degrees == 0).any():
        names, group = ["0", *names], group + 1
    of_item = np.zeros(data.num_items, dtype=np.int64)
    of_item[degrees > 0] = group
    places = np.bincount(of_item[lists[lists != NO_ITEM]], minlength=len(names))
    sizes = np.bincount(of_item, minlength=len(names))
    return Slice(names, sizes.tolist(), (places / max(places.sum(), 1)).tolist())


def averages(values: NDArray[np.integer], recall: NDArray[np.float64], count: int) -> Slice:
    """Return the means of `recall` [n] by groups of `values` [n]."""
    names, group = quantile_groups(values, count)
    sizes = np.bincount(group, minlength=len(names))
    sums = np.bincount(group, weights=recall, minlength=len(names))
    return Slice(names, sizes.tolist(), (sums / np.maximum(sizes, 1)).tolist())
