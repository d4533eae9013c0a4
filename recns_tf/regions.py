"""The three-region principle (§3.3): which items a user's negatives come from.

With A the adjacency matrix of the user-item graph, the items that a walk of `khop` steps can
reach from user u are the nonzeros of row u of A^khop; khop is odd, as u's odd neighbours are
items. Without u's own train items (the adjacent region) they are the *intermediate* region,
and what the walk cannot reach is the *distant* region. Both together are all unobserved items.

Walks may turn back, so a longer walk reaches all that a shorter one does. The reading "shell"
keeps only what is first reached at exactly khop steps, as Algorithm 1 would with a visited
set; "walk", the paper's formula, is the default. The distant region is what no walk reaches
under either reading.

A user whose region is smaller than the M candidates asked for has them drawn with replacement;
a user whose region is empty (one without train items, say) draws from all unobserved items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from tqdm import tqdm

from recns_tf.catalog import REGION_READINGS, REGIONS
from recns_tf.draws import Complement, Fallback, ItemSets, Listed
from recns_tf.errors import UserError

BLOCK_USERS = 1024
SAMPLE_BLOCK_USERS = 128


@dataclass(frozen=True, eq=False)
class Region:
    """One item set a user, to draw candidates from.

    Attributes:
        kind: "intermediate", "distant" or "all".
        khop: length of the walk; it has no meaning for "all".
        reading: "walk" or "shell".
        num_items: size of the catalogue, I.
        counts: [num_users] int64, size of each user's region, before any fallback.
        sets: the region for drawing, in-graph; users with an empty one fall back to all
            unobserved items.
    """

    kind: str
    khop: int
    reading: str
    num_items: int
    counts: NDArray[np.int64]
    sets: ItemSets

    def coverage(self) -> dict[str, float]:
        """Return how much of the catalogue a user's region holds: mean and quantiles, in [0, 1]."""
        share = self.counts / self.num_items
        low, middle, high = np.quantile(share, [0.05, 0.5, 0.95])
        return {
            "mean": float(share.mean()),
            "p5": float(low),
            "median": float(middle),
            "p95": float(high),
        }

    def describe(self, num_candidates: int) -> dict[str, Any]:
        """Return what a result says of its region; coverage is a share of the catalogue."""
        return {
            "kind": self.kind,
            "khop": self.khop,
            "reading": self.reading,
            "coverage": self.coverage(),
            "users_under_num_candidates": int((self.counts < num_candidates).sum()),
        }

    def summary(self, num_candidates: int) -> str:
        """Return one line for the screen."""
        coverage = self.coverage()
        name = "all unobserved items"
        if self.kind != "all":
            name = f"{self.kind} region, khop {self.khop}, {self.reading} reading"
        return (
            f"{name}: {coverage['mean']:.1%} of the items a user on average "
            f"(5%–95% of users: {coverage['p5']:.1%}–{coverage['p95']:.1%}); "
            f"users with under {num_candidates} items: {(self.counts < num_candidates).sum()}"
        )


def build_region(
    train: csr_array, kind: str = "intermediate", khop: int = 3, reading: str = "walk"
) -> Region:
    """Build the exact region of every user.

    Args:
        train: boolean CSR array [num_users, num_items] of train positives.
        kind: "intermediate", "distant" or "all" (§5.4.1).
        khop: odd number of steps, 3 or more.
        reading: "walk" or "shell".

    Raises:
        UserError: an argument is none of these.
    """
    if kind not in REGIONS:
        raise UserError(f"--region={kind}: choose one of {', '.join(REGIONS)}.")
    if reading not in REGION_READINGS:
        raise UserError(f"--region_reading={reading}: choose one of {', '.join(REGION_READINGS)}.")
    if khop < 3 or khop % 2 == 0:
        raise UserError(f"--khop={khop}: choose an odd number of steps, 3, 5, 7, …")
    num_items = train.shape[1]
    unobserved = Complement(train)
    if kind == "all":
        counts = num_items - np.diff(train.indptr).astype(np.int64)
        return Region(kind, khop, reading, num_items, counts, unobserved)
    bits = region_bits(train, kind, khop, reading)
    counts = np.bitwise_count(bits).sum(axis=1, dtype=np.int64)
    sets = stored(bits, counts, num_items)
    if (counts == 0).any():
        sets = Fallback(sets, unobserved)
    return Region(kind, khop, reading, num_items, counts, sets)


def region_bits(train: csr_array, kind: str, khop: int, reading: str) -> NDArray[np.uint8]:
    """Return the regions of all users as a bitmap [num_users, ceil(num_items / 8)].

    Bit j of a row, counted from the highest bit of its first byte (NumPy's packbits), tells
    whether item j is in the region. Work: (khop - 1) sparse products a block of users.
    """
    num_users, num_items = train.shape
    edges = train.astype(np.float32)
    back = edges.T.tocsr()
    bits = np.empty((num_users, (num_items + 7) // 8), dtype=np.uint8)
    blocks = range(0, num_users, BLOCK_USERS)
    for start in tqdm(blocks, desc="regions", unit="block", leave=False, disable=None):
        block = slice(start, start + BLOCK_USERS)
        adjacent = train[block].toarray()
        reached = previous = adjacent
        for longer in islice(walks(edges, back, adjacent), (khop - 1) // 2):
            previous, reached = reached, longer
        if kind == "distant":
            inside = ~reached
        else:
            inside = reached & ~previous if reading == "shell" else reached
        bits[block] = np.packbits(inside & ~adjacent, axis=1)
    return bits


def walks(
    edges: csr_array, back: csr_array, adjacent: NDArray[np.bool_]
) -> Iterator[NDArray[np.bool_]]:
    """Yield the items that walks of 3, 5, 7, … steps reach, without end, bool [users, num_items].

    Args:
        edges, back: float32 CSR arrays [num_users, num_items] of train positives, and transposed.
        adjacent: the items of some users, what a walk of one step reaches.
    """
    reached = adjacent
    while True:
        users = (edges @ reached.T.astype(np.float32)) > 0
        longer = ((back @ users.astype(np.float32)) > 0).T
        while np.array_equal(longer, reached):
            yield longer  # no walk, however long, reaches more
        reached = longer
        yield reached


def coverage_by_khop(
    train: csr_array, khops: Sequence[int], max_users: int = 512, seed: int = 0
) -> tuple[int, dict[int, NDArray[np.float64]]]:
    """Return how much of the catalogue the intermediate region holds, for users drawn at random.

    Args:
        train: boolean CSR array [num_users, num_items] of train positives.
        khops: lengths of the walk, odd, 3 or more.
        max_users: how many users to draw, at most; exact for each of them.
        seed: of the draw.

    Returns:
        The number of users drawn, and for each khop their shares [users], in [0, 1].
    """
    rng = np.random.default_rng(seed)
    num_users = min(max_users, train.shape[0])
    drawn = np.sort(rng.choice(train.shape[0], num_users, replace=False))
    edges = train.astype(np.float32)
    back = edges.T.tocsr()
    shares: dict[int, list[NDArray[np.float64]]] = {khop: [] for khop in khops}
    blocks = range(0, num_users, SAMPLE_BLOCK_USERS)
    for start in tqdm(blocks, desc="coverage", unit="block", leave=False, disable=None):
        adjacent = train[drawn[start : start + SAMPLE_BLOCK_USERS]].toarray()
        for khop, reached in zip(
            range(3, max(khops) + 1, 2), walks(edges, back, adjacent), strict=False
        ):
            if khop in shares:
                shares[khop].append((reached & ~adjacent).mean(axis=1))
    return num_users, {khop: np.concatenate(parts) for khop, parts in shares.items()}


def stored(bits: NDArray[np.uint8], counts: NDArray[np.int64], num_items: int) -> ItemSets:
    """Return a bitmap's sets for drawing: as lists, or as lists of what is missing if shorter."""
    num_users = len(bits)
    dense = 2 * int(counts.sum()) > num_users * num_items
    columns = []
    for start in range(0, num_users, BLOCK_USERS):
        inside = np.unpackbits(bits[start : start + BLOCK_USERS], axis=1, count=num_items)
        columns.append(np.nonzero(inside != dense)[1].astype(np.int32))
    indices = np.concatenate(columns)
    starts = np.zeros(num_users + 1, dtype=np.int64)
    np.cumsum(num_items - counts if dense else counts, out=starts[1:])
    rows = csr_array((np.ones(len(indices), bool), indices, starts), shape=(num_users, num_items))
    return Complement(rows) if dense else Listed(rows)
