"""Test lists by user degree and by item popularity.

Users, held-out pairs and items are divided by their number of train interactions into quantile
groups of about equal size; equal numbers stay in one group. For users, the value of a group is mean
Recall; for held-out pairs, the share found in the list of their user; for items, their share of all
list entries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.evaluation.metrics import NO_ITEM, metrics_per_user
from recns_tf.interactions import Interactions, degrees_of_items, is_among, to_pairs, users_with


class Slice(NamedTuple):
    """One share per group.

    Attributes:
        names: the range of each group, such as "5–9".
        sizes: number of users, held-out pairs or items in each group.
        shares: the share of each group, in [0, 1].
    """

    names: list[str]
    sizes: list[int]
    shares: list[float]

    @property
    def mean(self) -> float:
        """The mean over all users or pairs."""
        return float(np.average(self.shares, weights=self.sizes)) if self.sizes else 0.0


def quantile_groups(values: NDArray[np.integer], count: int) -> tuple[list[str], NDArray[np.int64]]:
    """Divide integers into at most `count` groups of about equal size.

    Equal integers are in one group.

    Args:
        values: [n].
        count: number of groups.

    Returns:
        The range of each group as text, and the group of each value, int64 [n].
    """
    levels = np.arange(1, count) / count
    if not len(values):
        return [], np.zeros(0, dtype=np.int64)
    edges = np.unique(np.quantile(values, levels, method="inverted_cdf"))
    _, group = np.unique(np.searchsorted(edges, values), return_inverse=True)
    names = []
    for number in range(group.max() + 1):
        low, high = (int(end(values[group == number])) for end in (np.min, np.max))
        names.append(f"{low}" if low == high else f"{low}–{high}")
    return names, group.astype(np.int64)


def recall_by_user_degree(lists: NDArray[np.int64], data: Interactions, count: int) -> Slice:
    """Return mean Recall of the tested users, at K, by their train items.

    Args:
        lists: int64 [U, K].
        data: the dataset.
        count: maximum number of groups.
    """
    users = users_with(data.test)
    recall = metrics_per_user(lists[users], users, data.test)[f"recall@{lists.shape[1]}"]
    return mean_by_group(np.diff(data.train.indptr)[users], recall, count)


def recall_by_item_popularity(lists: NDArray[np.int64], data: Interactions, count: int) -> Slice:
    """Return the share of test pairs found in the lists, by the item's number of train users.

    Args:
        lists: int64 [U, K].
        data: the dataset.
        count: maximum number of groups.
    """
    users, items = to_pairs(data.test).T
    keys = np.repeat(np.arange(len(lists)), lists.shape[1]) * data.num_items + lists.ravel()
    listed = np.sort(keys[lists.ravel() != NO_ITEM])
    found = is_among(users * data.num_items + items, listed)
    return mean_by_group(degrees_of_items(data.train)[items], found.astype(np.float64), count)


def list_share_by_popularity(lists: NDArray[np.int64], data: Interactions, count: int) -> Slice:
    """Return the share of all list entries, by the item's number of train users.

    Items without a train user are a separate group.

    Args:
        lists: int64 [U, K].
        data: the dataset.
        count: maximum number of the other groups.
    """
    degrees = degrees_of_items(data.train)
    names, group = quantile_groups(degrees[degrees > 0], count)
    if (degrees == 0).any():
        names, group = ["0", *names], group + 1
    group_of_item = np.zeros(data.num_items, dtype=np.int64)
    group_of_item[degrees > 0] = group
    entries = np.bincount(group_of_item[lists[lists != NO_ITEM]], minlength=len(names))
    sizes = np.bincount(group_of_item, minlength=len(names))
    return Slice(names, sizes.tolist(), (entries / max(entries.sum(), 1)).tolist())


def mean_by_group(values: NDArray[np.integer], recall: NDArray[np.float64], count: int) -> Slice:
    """Return the mean of `recall` [n] in each quantile group of `values` [n]."""
    names, group = quantile_groups(values, count)
    sizes = np.bincount(group, minlength=len(names))
    sums = np.bincount(group, weights=recall, minlength=len(names))
    return Slice(names, sizes.tolist(), (sums / np.maximum(sizes, 1)).tolist())
