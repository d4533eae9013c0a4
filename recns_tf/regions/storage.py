"""Storage of regions: the smaller of two exact forms, or only sizes if both are too large.

- lists: for each user, the items in the region, or the items missing from it if they are fewer;
- bitmap: one bit per user and item;
- sizes: neither form fits into memory; candidates are then drawn from pools (`pools.py`).

A user whose region is empty is stored with all unobserved items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.regions.kernels import WORD, append_lists, list_bits
from recns_tf.regions.walks import Bits, Block, Graph, count, ones
from recns_tf.utils.parallel import over_rows, row_cuts

LIST_BYTES = 8
"""Bytes per listed item: 4 in the stored list and 4 in the graph."""
DIRECTORY = 5 / 4
"""Size of a bitmap with its search directory, relative to the bitmap alone."""


def bitmap_bytes(num_users: int, num_items: int) -> int:
    """Return the size of a bitmap with its search directory."""
    num_words = -(-num_items // WORD)
    return int(num_users * num_words * WORD / 8 * DIRECTORY)


@dataclass(frozen=True, eq=False)
class StoredRegion:
    """The regions of all users in one of the storage forms.

    Attributes:
        name: "lists", "bitmap" or "sizes".
        counts: int64 [num_users], size of each region, 0 if it is empty.
        arrays: for "lists": `starts` int64 [num_users + 1]; `items` int32, ascending for each user;
            and `missing` bool [num_users], whether a user's list holds the items missing from the
            region. For "bitmap": `words` uint64 [num_users, ceil(num_items / 64)]. For "sizes":
            none.
    """

    name: str
    counts: NDArray[np.int64]
    arrays: dict[str, NDArray[Any]]

    def rows(self, missing: bool, num_items: int) -> csr_array:
        """Return the lists of missing items, or those of present items.

        Args:
            missing: which of the two kinds of lists; rows of users with the other kind are empty.
            num_items: number of items.

        Returns:
            Boolean CSR array [num_users, num_items].
        """
        mine = self.arrays["missing"] == missing
        lengths = np.diff(self.arrays["starts"])
        starts = np.zeros(len(mine) + 1, np.int64)
        np.cumsum(np.where(mine, lengths, 0), out=starts[1:])
        items = self.arrays["items"]
        if not mine.all():
            items = items[np.repeat(mine, lengths)]
        return csr_array((np.ones(len(items), bool), items, starts), shape=(len(mine), num_items))


class RegionBuilder:
    """Collects regions block by block and stores them in the smallest form.

    Args:
        graph: the graph of train positives.
        budget: bytes that the stored regions may take in training.
    """

    def __init__(self, graph: Graph, budget: int):
        self.graph = graph
        self.counts = np.zeros(graph.num_users, np.int64)
        num_words = -(-graph.num_items // WORD)
        size = bitmap_bytes(graph.num_users, graph.num_items)
        self.words: Bits | None = None
        if size <= budget:
            self.words = np.zeros((graph.num_users, num_words), np.uint64)
        self.limit = min(budget, size)
        self.kept: list[ShortLists] | None = []

    def add(self, block: Block, bits: Bits) -> None:
        """Add a block of items with the regions' bits, uint64 [num_users, BLOCK_WORDS]."""
        counts = count(bits)
        self.counts += counts
        if self.words is not None:
            first = block.items.start // WORD
            kept = self.words[:, first : first + bits.shape[1]]
            kept[:] = bits[:, : kept.shape[1]]
        if self.kept is not None:
            # A user's list over all items is at least as long as the sum of its blocks' lists.
            entries = sum(len(lists.offsets) for lists in self.kept)
            entries += int(np.minimum(counts, block.width - counts).sum())
            if entries * LIST_BYTES > self.limit:
                self.kept = None
            else:
                self.kept.append(ShortLists.of(block, bits, counts))

    def close(self, train: csr_array) -> StoredRegion:
        """Return the stored regions.

        Args:
            train: boolean CSR array [num_users, num_items] of train positives; users with an empty
                region get its complement.
        """
        num_items = train.shape[1]
        empty = self.counts == 0
        missing = empty | (2 * self.counts > num_items)
        lengths = np.where(missing, num_items - self.counts, self.counts)
        lengths[empty] = np.diff(train.indptr)[empty]
        if self.kept is not None and int(lengths.sum()) * LIST_BYTES <= self.limit:
            starts = np.concatenate([[0], np.cumsum(lengths)])
            items = np.empty(starts[-1], np.int32)
            of_train = np.repeat(empty, np.diff(train.indptr))
            items[np.repeat(empty, lengths)] = train.indices[of_train]
            places = starts[:-1].copy()
            for lists in self.kept:
                lists.append(missing, empty, places, items)
            arrays = {"starts": starts, "items": items, "missing": missing}
            return StoredRegion("lists", self.counts, arrays)
        if self.words is not None:
            self.words[empty] = ones(num_items, self.words.shape[1])
            self.graph.set_train(slice(0, num_items), self.words, False)
            return StoredRegion("bitmap", self.counts, {"words": self.words})
        return StoredRegion("sizes", self.counts, {})


@dataclass(frozen=True, eq=False)
class ShortLists:
    """For each user, the items of a block in the region, or the others if they are fewer.

    Attributes:
        first: first item of the block.
        width: number of items of the block.
        counts: uint16 [num_users], number of items of the block in each user's region.
        offsets: uint16, offsets of the listed items from `first`, user by user.
    """

    first: int
    width: int
    counts: NDArray[np.uint16]
    offsets: NDArray[np.uint16]

    @classmethod
    def of(cls, block: Block, bits: Bits, counts: NDArray[np.uint16]) -> ShortLists:
        """Make the lists from a block's bits [num_users, BLOCK_WORDS] and their counts."""
        lists = cls(block.items.start, block.width, counts, np.empty(0, np.uint16))
        starts = lists.starts()
        offsets = np.empty(starts[-1], np.uint16)
        inverse = lists.inverse()
        over_rows(list_bits, row_cuts(len(bits)), bits, inverse, block.width, starts, offsets)
        return cls(block.items.start, block.width, counts, offsets)

    def inverse(self) -> NDArray[np.bool_]:
        """Return bool [num_users]: whether a user's list holds the items not in the region."""
        return self.counts > self.width // 2

    def starts(self) -> NDArray[np.int64]:
        """Return int64 [num_users + 1]: where each user's list begins."""
        lengths = np.where(self.inverse(), self.width - self.counts, self.counts)
        return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])

    def append(
        self,
        missing: NDArray[np.bool_],
        skipped: NDArray[np.bool_],
        places: NDArray[np.int64],
        items: NDArray[np.int32],
    ) -> None:
        """Append the block's present or missing items to each user's final list.

        Args:
            missing: [num_users], whether the final list holds the missing items.
            skipped: [num_users], users to leave out.
            places: [num_users], positions in `items` to write at; updated.
            items: the final lists; updated.
        """
        turned = self.inverse() != missing
        over_rows(
            append_lists,
            row_cuts(len(places)),
            *(self.starts(), self.offsets, turned, skipped, self.first, self.width),
            *(places, items),
        )
