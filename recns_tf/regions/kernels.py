"""Compiled loops over words of 64 bits: walks, lists of set bits, and draws of ranks.

They are in one file because numba caches compiled code until the file of the function changes, and
would miss a change to a helper or a constant in another file. They release Python's global
interpreter lock and process the rows from `first` to `last` (see utils/parallel.py). Rows of bits
have the layout of `Bits` in walks.py.
"""

from __future__ import annotations

import numpy as np

from recns_tf.utils.compiled import compiled
from recns_tf.utils.prefetch import AHEAD, LINE, prefetch

WORD = 64
BLOCK_ITEMS = 2048
BLOCK_WORDS = BLOCK_ITEMS // WORD
WORDS_OF_LINE = 8 * LINE // WORD


@compiled()
def propagate(  # type: ignore[no-untyped-def]
    starts, indices, source, source_lit, target, target_lit, first, last
):
    """Compute `NeighborBits.step` for the rows of `target` from `first` to `last`."""
    end = len(indices) - 1
    for row in range(first, last):
        target[row] = 0
        lit = False
        for place in range(starts[row], starts[row + 1]):
            ahead = indices[min(place + AHEAD, end)]
            if source_lit[ahead]:
                # This makes the loop 1.5 times as fast.
                for word in range(0, BLOCK_WORDS, WORDS_OF_LINE):
                    prefetch(source, np.int64(ahead), word)
            neighbor = indices[place]
            if source_lit[neighbor]:
                lit = True
                for word in range(source.shape[1]):
                    target[row, word] |= source[neighbor, word]
        target_lit[row] = lit


@compiled()
def set_pairs(starts, indices, first, last, value, bits):  # type: ignore[no-untyped-def]
    """Set bit i - first of each user of item i to `value`, for the items from `first` to `last`."""
    for item in range(first, last):
        word = (item - first) // WORD
        bit = np.uint64(1) << np.uint64((item - first) % WORD)
        for place in range(starts[item], starts[item + 1]):
            if value:
                bits[indices[place], word] |= bit
            else:
                bits[indices[place], word] &= ~bit


@compiled()
def count_bits(bits, counts, first, last):  # type: ignore[no-untyped-def]
    """Count the set bits of the rows from `first` to `last`."""
    for row in range(first, last):
        total = 0
        for word in range(bits.shape[1]):
            total += popcount(bits[row, word])
        counts[row] = total


@compiled()
def popcount(word):  # type: ignore[no-untyped-def]
    """Return the number of set bits of a uint64; compiles to one instruction where available."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    low = np.uint64(0x3333333333333333)
    word = (word & low) + ((word >> np.uint64(2)) & low)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled()
def lowest(word):  # type: ignore[no-untyped-def]
    """Return the position of the lowest set bit of a nonzero uint64."""
    return popcount(~word & (word - np.uint64(1)))


@compiled()
def list_bits(bits, inverse, width, starts, offsets, first, last):  # type: ignore[no-untyped-def]
    """List the set bits of each row, or if `inverse`, the clear ones of its first `width` bits."""
    for row in range(first, last):
        place = starts[row]
        end = starts[row + 1]
        for word in range(bits.shape[1]):
            value = bits[row, word]
            if inverse[row]:
                value = ~value
            while value and place < end:
                offsets[place] = word * WORD + lowest(value)
                place += 1
                value &= value - np.uint64(1)


@compiled()
def append_lists(  # type: ignore[no-untyped-def]
    starts, offsets, turned, skipped, first_item, width, places, items, first, last
):
    """Append each row's offsets to `items`, or if `turned`, the other offsets below `width`."""
    for row in range(first, last):
        if skipped[row]:
            continue
        place = places[row]
        if turned[row]:
            offset = 0
            for listed in range(starts[row], starts[row + 1]):
                while offset < offsets[listed]:
                    items[place] = first_item + offset
                    place += 1
                    offset += 1
                offset += 1
            for rest in range(offset, width):
                items[place] = first_item + rest
                place += 1
        else:
            for listed in range(starts[row], starts[row + 1]):
                items[place] = first_item + offsets[listed]
                place += 1
        places[row] = place


@compiled()
def floyd(rng, counts, sizes, drawn, pools, first, last):  # type: ignore[no-untyped-def]
    """Draw sizes[user] distinct ranks, ascending, for each user from `first` to `last`.

    R. W. Floyd's method, in J. Bentley, "Programming Pearls", CACM 1987. `drawn` is a bitmap with
    at least as many bits as the largest count, all zero before and after.
    """
    one = np.uint64(1)
    for user in range(first, last):
        count, size = counts[user], sizes[user]
        for largest in range(count - size, count):
            rank = rng.integers(0, largest + 1)
            if drawn[rank // WORD] >> np.uint64(rank % WORD) & one:
                rank = largest
            drawn[rank // WORD] |= one << np.uint64(rank % WORD)
        place = 0
        for word in range(-(-count // WORD)):
            while drawn[word]:
                pools[user, place] = word * WORD + lowest(drawn[word])
                place += 1
                drawn[word] &= drawn[word] - one


@compiled()
def select(rng, width, needed, left, bits, first, last):  # type: ignore[no-untyped-def]
    """Replace the bits of a block by a random selection of its clear bits, for some users.

    Algorithm S (selection sampling), D. E. Knuth, "The Art of Computer Programming", volume 2,
    3.4.2: over all blocks, every set of `needed` of the `left` clear bits is equally likely.

    Args:
        rng: generator.
        width: number of items of the block.
        needed: [num_users], items that each user still needs; updated.
        left: [num_users], clear bits of each user in this block and those after it; updated.
        bits: [num_users, words]; overwritten.
        first: first user.
        last: end of the users.
    """
    for user in range(first, last):
        for offset in range(width):
            word = offset // WORD
            bit = np.uint64(1) << np.uint64(offset % WORD)
            if bits[user, word] & bit:
                bits[user, word] &= ~bit
                continue
            if rng.random() * left[user] < needed[user]:
                bits[user, word] |= bit
                needed[user] -= 1
            left[user] -= 1


@compiled()
def replace_ranks(bits, first_item, sizes, passed, replaced, pools, first, last):  # type: ignore[no-untyped-def]
    """Replace the ranks that fall into a block by the items with those ranks.

    Args:
        bits: [num_users, words], the sets among the block's items.
        first_item: first item of the block.
        sizes: [num_users], sizes of the pools.
        passed: [num_users], elements of each set before the block; updated.
        replaced: [num_users], ranks replaced so far; updated.
        pools: [num_users, P], items for the ranks replaced so far, then ascending ranks; updated.
        first: first user.
        last: end of the users.
    """
    for user in range(first, last):
        place, before = replaced[user], passed[user]
        for word in range(bits.shape[1]):
            value = bits[user, word]
            after = before + popcount(value)
            rank = before
            while place < sizes[user] and pools[user, place] < after:
                while rank < pools[user, place]:
                    value &= value - np.uint64(1)
                    rank += 1
                pools[user, place] = first_item + word * WORD + lowest(value)
                place += 1
            before = after
        replaced[user], passed[user] = place, before
