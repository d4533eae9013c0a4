"""A set of items a user as a bitmap, whose elements are told by their rank inside the graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

BLOCK_WORDS = 4
COUNT_BITS = 9
INSIDE_BITS = COUNT_BITS * (BLOCK_WORDS - 1)


class Bitmap:
    """Sets given by a bitmap, which takes the same memory whatever is in them.

    A row is cut into blocks of 256 bits, with a directory of how many set bits of the row stand
    before each block. One binary search finds the block that holds the set bit of a rank, the
    counts of the block's words its word, those of the word's bytes its byte, and a table its
    place in the byte: no rejection. Method: S. Vigna, "Broadword implementation of rank/select
    queries", WEA 2008. The directory rows of a batch's users are copied, which costs 8 bytes a
    user and block, and spares the search most of its cache misses.

    Args:
        words: uint64 [num_users, W] with W >= num_items / 64. Bit j, from the lowest, of word w
            of row u tells whether item 64 w + j is in u's set; bits beyond num_items are zero.
            W is padded to a multiple of 4, which costs a copy unless it is one.
        num_items: size of the catalogue.
    """

    def __init__(self, words: NDArray[np.uint64], num_items: int):
        padding = -words.shape[1] % BLOCK_WORDS
        if padding:
            words = np.pad(words, ((0, 0), (0, padding)))
        counts, directory = _directory(words)
        self.num_items = num_items
        self.user_blocks = directory.shape[1]
        self.counts = tf.constant(counts, tf.int32)
        self.directory = tf.constant(directory, tf.uint64)
        self.words = tf.constant(words.reshape(-1), tf.uint64)
        self.places = tf.constant(_places_in_a_byte().reshape(-1), tf.int64)

    def count(self, users: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return tf.gather(self.counts, users)

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        row = tf.cast(users, tf.int64)[:, None] * (self.user_blocks * BLOCK_WORDS)
        words = tf.gather(self.words, row + tf.cast(items // 64, tf.int64))
        return tf.cast(_right(words, items % 64) & np.uint64(1), tf.bool)

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        return self.contains(users, items[None])

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        """See ItemSets."""
        rank = tf.cast(ranks, tf.uint64)
        # No block with as many set bits before it, or fewer, has a larger entry. A rank outside
        # the set leads to the user's last block, so that no index leaves its table.
        key = tf.bitwise.left_shift(rank, np.uint64(INSIDE_BITS)) | np.uint64(2**INSIDE_BITS - 1)
        found = tf.searchsorted(tf.gather(self.directory, users), key, "right", tf.int64) - 1
        block = tf.cast(users, tf.int64)[:, None] * self.user_blocks + found
        entry = tf.gather(tf.reshape(self.directory, [-1]), block)
        word, rank = _lane(entry, rank - _right(entry, INSIDE_BITS), COUNT_BITS, BLOCK_WORDS)
        bits = tf.gather(self.words, block * BLOCK_WORDS + word)
        byte, rank = _lane(_bits_up_to_each_byte(bits), rank, 8, 8)
        value = _right(bits, 8 * byte) & 0xFF
        place = tf.gather(self.places, tf.bitcast(8 * value + (rank & 7), tf.int64))
        item = (found * BLOCK_WORDS + word) * 64 + 8 * byte + place
        return tf.cast(tf.minimum(item, self.num_items - 1), tf.int32)


def _directory(words: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Count the set bits of a bitmap, W a multiple of 4: uint64 [num_users, W].

    Returns:
        The set bits of each row, [num_users], and an entry for each block, uint64
        [num_users, W / 4]. Its high bits are the number of set bits of the row before the
        block, its low 27 three numbers of 9 bits: those in the block's first word, its first
        two and its first three. An empty block's low bits are 0, so the entries of a row ascend.
    """
    counts = np.bitwise_count(words).reshape(len(words), -1, BLOCK_WORDS)
    in_block = counts.sum(axis=2, dtype=np.uint64)
    directory = np.cumsum(in_block, axis=1)
    totals = directory[:, -1].astype(np.int64)
    directory -= in_block
    directory <<= np.uint64(INSIDE_BITS)
    inside = np.zeros_like(in_block)
    for word in range(BLOCK_WORDS - 1):
        inside += counts[:, :, word]
        directory |= inside << np.uint64(COUNT_BITS * word)
    return totals, directory


def _places_in_a_byte() -> NDArray[np.int64]:
    """Return [256, 8]: where the set bit of rank r of a byte stands; 0 if it has none."""
    places = np.zeros((256, 8), dtype=np.int64)
    for value in range(256):
        found = [bit for bit in range(8) if value >> bit & 1]
        places[value, : len(found)] = found
    return places


def _bits_up_to_each_byte(words: tf.Tensor) -> tf.Tensor:
    """Return, in the place of each byte, the number of set bits in it and below: uint64."""
    counts = tf.raw_ops.PopulationCount(x=tf.bitcast(words, tf.uint8))
    return tf.bitcast(counts, tf.uint64) * np.uint64(0x0101010101010101)


def _lane(up_to: tf.Tensor, rank: tf.Tensor, width: int, lanes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Find which lane holds the element of a rank, comparing with all lanes at once.

    Args:
        up_to: uint64; the numbers of elements in the first lane, the first two, … `lanes` - 1,
            each in `width` bits from the lowest on, and below 2^(width - 1). What stands in
            the bits above them does not matter.
        rank: uint64 of the same shape, below 2^(width - 1).
        width: bits of a number.
        lanes: number of lanes.

    Returns:
        The lane's number, int64, legal whatever the rank, and the rank within it, uint64.
    """
    ones = sum(1 << width * lane for lane in range(lanes - 1))
    # The highest bit of a number stays set by the subtraction if up_to <= rank.
    highest = np.uint64(ones << (width - 1))
    passed = (((rank * np.uint64(ones)) | highest) - up_to) & highest
    lane = tf.cast(tf.raw_ops.PopulationCount(x=passed), tf.int64)
    below = _right(tf.bitwise.left_shift(up_to, np.uint64(width)), width * lane)
    return lane, rank - (below & np.uint64(2**width - 1))


def _right(words: tf.Tensor, places: tf.Tensor | int) -> tf.Tensor:
    return tf.bitwise.right_shift(words, tf.cast(places, tf.uint64))
