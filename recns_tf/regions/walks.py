"""The items that walks of odd length reach from each user: the nonzeros of A^khop (§3.3).

The computation is bit-parallel, one bit per item, in blocks of BLOCK_ITEMS items: one step of the
walk ORs, for every node, the bits of its neighbors. A block takes khop - 1 steps over
edges * BLOCK_ITEMS / 64 words, and (users + items) * BLOCK_ITEMS / 8 bytes of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from tqdm import tqdm

from recns_tf.regions.kernels import (
    BLOCK_ITEMS,
    BLOCK_WORDS,
    WORD,
    count_bits,
    propagate,
    set_pairs,
)
from recns_tf.utils.parallel import even_cuts, over_rows, row_cuts

Bits = NDArray[np.uint64]
"""[rows, words]: bit j, from the lowest, of word w of a row represents element 64 * w + j."""

Lit = NDArray[np.bool_]
"""[rows]: whether any bit of a row is set."""


Reached = dict[int, Bits]
"""By walk length, the items of a block that walks reach: bits [num_users, BLOCK_WORDS]."""

Result = TypeVar("Result")


class Block(NamedTuple):
    """A block of items.

    Attributes:
        items: range of items: BLOCK_ITEMS of them, or fewer in the last block.
    """

    items: slice

    @property
    def width(self) -> int:
        """Number of items."""
        return self.items.stop - self.items.start


class NeighborBits:
    """The neighbors of each node on one side of the graph.

    Args:
        rows: boolean CSR array [nodes, neighbors].
    """

    def __init__(self, rows: csr_array):
        self.starts = rows.indptr.astype(np.int64)
        self.indices = rows.indices.astype(np.int32)
        self.cuts = even_cuts(self.starts)

    def step(self, source: Bits, source_lit: Lit, target: Bits, target_lit: Lit) -> None:
        """Set each node's row of `target` to the OR of its neighbors' rows of `source`.

        Args:
            source: bits [neighbors, BLOCK_WORDS].
            source_lit: [neighbors], whether any bit of a row of `source` is set.
            target: bits [nodes, BLOCK_WORDS]; overwritten.
            target_lit: [nodes], the same for `target`; overwritten.
        """
        arguments = (self.starts, self.indices, source, source_lit, target, target_lit)
        over_rows(propagate, self.cuts, *arguments)


class Graph:
    """The user-item graph, and the walks in it.

    Args:
        train: boolean CSR array [num_users, num_items] of train positives.
    """

    def __init__(self, train: csr_array):
        self.num_users, self.num_items = train.shape
        self.items_of = NeighborBits(train)
        self.users_of = NeighborBits(train.T.tocsr())

    def blocks(self) -> list[Block]:
        """Return the blocks of all items, in order."""
        firsts = range(0, self.num_items, BLOCK_ITEMS)
        return [Block(slice(first, min(first + BLOCK_ITEMS, self.num_items))) for first in firsts]

    def over_blocks(
        self,
        function: Callable[[Graph, Block, Reached], Result],
        khops: Sequence[int],
        description: str,
    ) -> Iterator[tuple[Block, Result]]:
        """Yield each block with what a function makes of the items that walks reach in it.

        Args:
            function: takes the graph, a block, and the items reached, which it may overwrite. The
                next block reuses their memory.
            khops: odd walk lengths of at least 1, ascending.
            description: label of the progress bar.
        """
        blocks = tqdm(self.blocks(), desc=description, unit="block", leave=False, disable=None)
        for block, reached in self.walks(blocks, khops):
            yield block, function(self, block, reached)

    def walks(
        self, blocks: Iterable[Block], khops: Sequence[int]
    ) -> Iterator[tuple[Block, Reached]]:
        """Yield the items that walks of each length in `khops` reach; see `over_blocks`."""
        reached = {khop: np.empty((self.num_users, BLOCK_WORDS), np.uint64) for khop in khops}
        users = reached[khops[-1]]
        items = np.empty((self.num_items, BLOCK_WORDS), np.uint64)
        items_lit = np.empty(self.num_items, np.bool_)
        for block in blocks:
            users[:] = 0
            self.set_train(block.items, users, True)
            users_lit = np.asarray(users.any(axis=1))
            for khop in range(1, khops[-1] + 1, 2):
                if khop > 1:
                    self.users_of.step(users, users_lit, items, items_lit)
                    self.items_of.step(items, items_lit, users, users_lit)
                if khop in khops[:-1]:
                    np.copyto(reached[khop], users)
            yield block, reached

    def set_train(self, items: slice, bits: Bits, value: bool) -> None:
        """Set or clear each user's train items in the bits [num_users, words] of `items`."""
        users_of = self.users_of
        set_pairs(users_of.starts, users_of.indices, items.start, items.stop, value, bits)


def ones(width: int, words: int) -> Bits:
    """Return a row, uint64 [words], whose first `width` bits are set."""
    row = np.arange(words * WORD) < width
    return np.packbits(row, bitorder="little").view(np.uint64)


def count(bits: Bits) -> NDArray[np.uint16]:
    """Return the number of set bits of each row, uint16 [rows]; rows have under 65,536 bits."""
    counts = np.empty(len(bits), np.uint16)
    over_rows(count_bits, row_cuts(len(bits)), bits, counts)
    return counts
