"""The three regions of one user (§3.3), without building those of all users.

A walk of two more steps visits every train pair twice, so this takes time in proportion to
khop times the pairs, and memory for one number per user and item.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

ADJACENT, INTERMEDIATE, DISTANT, BETWEEN = "adjacent", "intermediate", "distant", "between"
NAMES = (ADJACENT, INTERMEDIATE, DISTANT, BETWEEN)
"""Regions by their codes. `BETWEEN` are unobserved items that walks shorter than khop reach, which
the definition "shell" leaves out of the intermediate region."""


def regions_of_user(
    train: csr_array, user: int, khop: int = 3, definition: str = "walk"
) -> NDArray[np.int8]:
    """Return the region of every item relative to one user, as places in NAMES: int8 [I].

    The sets are those of `build_region`.

    Args:
        train: boolean CSR array [num_users, num_items] of train positives.
        user: the user.
        khop: length of the walks, an odd number of at least 3.
        definition: "walk" or "shell".

    Example:
        >>> train = csr_array(np.array([[True, False, False], [True, True, False]]))
        >>> [NAMES[code] for code in regions_of_user(train, user=0)]
        ['adjacent', 'intermediate', 'distant']
    """
    observed = np.zeros(train.shape[1], dtype=bool)
    observed[train.indices[train.indptr[user] : train.indptr[user + 1]]] = True
    reached = before = observed
    for _ in range(khop // 2):
        before = reached
        reached = train.T @ (train @ reached)
    codes = np.full(train.shape[1], NAMES.index(DISTANT), dtype=np.int8)
    codes[reached] = NAMES.index(INTERMEDIATE)
    if definition == "shell":
        codes[before] = NAMES.index(BETWEEN)
    codes[observed] = NAMES.index(ADJACENT)
    return codes
