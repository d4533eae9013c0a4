"""How regions are stored: the smaller of two exact forms, or neither if both are too large.

- lists: one list a user, of the items in the region, or, where that is shorter, of those missing;
- bitmap: one bit an item and user;
- sizes: neither fits the memory given. Draws are then from pools (`pools.py`).

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
"""An item of a list takes 4 bytes as it is kept, and 4 in the graph."""
DIRECTORY = 5 / 4
"""A bitmap and the directory it is searched with, as a multiple of the bitmap."""


@dataclass(frozen=True, eq=False)
class StoredRegion:
    """The regions of all users, stored.

    Attributes:
        name: "lists", "bitmap" or "sizes".
        counts: [num_users] int64, size of each region, 0 where it is empty.
        arrays: of "lists": `starts` int64 [num_users + 1] and `items` int32, ascending for each
            user, and `missing` bool [num_users], whether a user's list is of what the region
            lacks. Of "bitmap": `words` uint64 [num_users, ceil(num_items / 64)].
    """

    name: str
    counts: NDArray[np.int64]
    arrays: dict[str, NDArray[Any]]

    def rows(self, missing: bool, num_items: int) -> csr_array:
        """Return the lists of what is missing, or of what is not; other users' rows are empty."""
        mine = self.arrays["missing"] == missing
        lengths = np.diff(self.arrays["starts"])
        starts = np.zeros(len(mine) + 1, np.int64)
        np.cumsum(np.where(mine, lengths, 0), out=starts[1:])
        items = self.arrays["items"]
        if not mine.all():
            items = items[np.repeat(mine, lengths)]
        return csr_array((np.ones(len(items), bool), items, starts), shape=(len(mine), num_items))


class RegionBuilder:
    """Takes regions block by block, and keeps them in the form that is best in the end.

    Args:
        graph: of train positives.
        budget: bytes that the result may take in training.
    """

    def __init__(self, graph: Graph, budget: int):
        self.graph = graph
        self.counts = np.zeros(graph.num_users, np.int64)
        num_words = -(-graph.num_items // WORD)
        bitmap_bytes = int(graph.num_users * num_words * WORD / 8 * DIRECTORY)
        self.words: Bits | None = None
        if bitmap_bytes <= budget:
            self.words = np.zeros((graph.num_users, num_words), np.uint64)
        self.limit = min(budget, bitmap_bytes)
        self.kept: list[ShortLists] | None = []

    def add(self, block: Block, bits: Bits) -> None:
        """Take the region's bits [num_users, BLOCK_WORDS] among the block's items."""
        counts = count(bits)
        self.counts += counts
        if self.words is not None:
            first = block.items.start // WORD
            kept = self.words[:, first : first + bits.shape[1]]
            kept[:] = bits[:, : kept.shape[1]]
        if self.kept is not None:
            # No user's list over the whole catalogue is shorter than its parts' shorter lists.
            entries = sum(len(lists.offsets) for lists in self.kept)
            entries += int(np.minimum(counts, block.width - counts).sum())
            if entries * LIST_BYTES > self.limit:
                self.kept = None
            else:
                self.kept.append(ShortLists.of(block, bits, counts))

    def close(self, train: csr_array) -> StoredRegion:
        """Return the regions; `train` is what users with an empty one have in place of it."""
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
    """Of a block of items, for each user, those in the region or, if they are fewer, the others.

    Attributes:
        first, width: the first of the items, and their number.
        counts: [num_users] uint16, how many of them are in the region.
        offsets: uint16, of the listed items from the first, user by user.
    """

    first: int
    width: int
    counts: NDArray[np.uint16]
    offsets: NDArray[np.uint16]

    @classmethod
    def of(cls, block: Block, bits: Bits, counts: NDArray[np.uint16]) -> ShortLists:
        """List the bits [num_users, BLOCK_WORDS] of a block, of which `counts` are set."""
        lists = cls(block.items.start, block.width, counts, np.empty(0, np.uint16))
        starts = lists.starts()
        offsets = np.empty(starts[-1], np.uint16)
        inverse = lists.inverse()
        over_rows(list_bits, row_cuts(len(bits)), bits, inverse, block.width, starts, offsets)
        return cls(block.items.start, block.width, counts, offsets)

    def inverse(self) -> NDArray[np.bool_]:
        """Return [num_users], whether a list is of the items that are not in the region."""
        return self.counts > self.width // 2

    def starts(self) -> NDArray[np.int64]:
        """Return [num_users + 1], where each user's list begins."""
        lengths = np.where(self.inverse(), self.width - self.counts, self.counts)
        return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])

    def append(
        self,
        missing: NDArray[np.bool_],
        skipped: NDArray[np.bool_],
        places: NDArray[np.int64],
        items: NDArray[np.int32],
    ) -> None:
        """Write the block's items, or those missing, into each user's final list.

        Args:
            missing: [num_users], whether the final list is of what is missing.
            skipped: [num_users], users who get nothing.
            places: [num_users], where in `items` to go on; moved on.
            items: the final lists.
        """
        turned = self.inverse() != missing
        over_rows(
            append_lists,
            row_cuts(len(places)),
            *(self.starts(), self.offsets, turned, skipped, self.first, self.width),
            *(places, items),
        )
