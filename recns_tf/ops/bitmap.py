"""Per-user item sets stored as bitmaps, with lookup by rank inside a TensorFlow graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

BLOCK_WORDS = 4
COUNT_BITS = 9
INSIDE_BITS = COUNT_BITS * (BLOCK_WORDS - 1)


class Bitmap:
    """Item sets stored as a bitmap, whose memory does not depend on their content.

    A row is divided into blocks of 256 bits. A directory holds the number of set bits of the row
    before each block. To find the set bit of a rank, a binary search finds its block, counts per
    word its word, counts per byte its byte, and a table its position in the byte; there is no
    rejection. Method: S. Vigna, "Broadword implementation of rank/select queries", WEA 2008.

    A lookup copies the directory rows of the batch's users, 8 bytes per user and block, which
    avoids most cache misses of the search.

    Args:
        words: uint64 [num_users, W] with W >= num_items / 64. Bit j, from the lowest, of word w
            of row u is set if item 64 w + j is in u's set; bits beyond num_items are zero. W is
            padded to a multiple of 4; padding copies the array.
        num_items: number of items.

    Example:
        >>> sets = Bitmap(np.array([[0b1011]], np.uint64), num_items=5)
        >>> sets.item(tf.constant([0]), tf.constant([[0, 1, 2]])).numpy()
        array([[0, 1, 3]], dtype=int32)
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
        self.places = tf.constant(_select_in_byte().reshape(-1), tf.int64)

    def count(self, users: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.counts, users)

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        row = tf.cast(users, tf.int64)[:, None] * (self.user_blocks * BLOCK_WORDS)
        words = tf.gather(self.words, row + tf.cast(items // 64, tf.int64))
        return tf.cast(_right(words, items % 64) & np.uint64(1), tf.bool)

    def membership(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return self.contains(users, items[None])

    def item(self, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
        rank = tf.cast(ranks, tf.uint64)
        # The key is at least the entry of every block with at most `rank` set bits before it. A
        # rank outside the set leads to the user's last block, so all indices stay in range.
        key = tf.bitwise.left_shift(rank, np.uint64(INSIDE_BITS)) | np.uint64(2**INSIDE_BITS - 1)
        found = tf.searchsorted(tf.gather(self.directory, users), key, "right", tf.int64) - 1
        block = tf.cast(users, tf.int64)[:, None] * self.user_blocks + found
        entry = tf.gather(tf.reshape(self.directory, [-1]), block)
        word, rank = _lane(entry, rank - _right(entry, INSIDE_BITS), COUNT_BITS, BLOCK_WORDS)
        bits = tf.gather(self.words, block * BLOCK_WORDS + word)
        byte, rank = _lane(_cumulative_byte_counts(bits), rank, 8, 8)
        value = _right(bits, 8 * byte) & 0xFF
        place = tf.gather(self.places, tf.bitcast(8 * value + (rank & 7), tf.int64))
        item = (found * BLOCK_WORDS + word) * 64 + 8 * byte + place
        return tf.cast(tf.minimum(item, self.num_items - 1), tf.int32)


def _directory(words: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Count the set bits of a bitmap, uint64 [num_users, W] with W a multiple of 4.

    Returns:
        The number of set bits of each row, int64 [num_users], and an entry for each block, uint64
        [num_users, W / 4]. The high bits of an entry are the number of set bits of the row before
        the block. The low 27 bits are three counts of 9 bits each: the set bits in the block's
        first word, its first two and its first three words. An empty block's low bits are 0, so
        the entries of a row ascend.
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


def _select_in_byte() -> NDArray[np.int64]:
    """Return the position of the set bit of rank r in each byte, int64 [256, 8]; 0 if none."""
    places = np.zeros((256, 8), dtype=np.int64)
    for value in range(256):
        found = [bit for bit in range(8) if value >> bit & 1]
        places[value, : len(found)] = found
    return places


def _cumulative_byte_counts(words: tf.Tensor) -> tf.Tensor:
    """Return uint64 words whose bytes hold the number of set bits up to and in that byte."""
    counts = tf.raw_ops.PopulationCount(x=tf.bitcast(words, tf.uint8))
    return tf.bitcast(counts, tf.uint64) * np.uint64(0x0101010101010101)


def _lane(up_to: tf.Tensor, rank: tf.Tensor, width: int, lanes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Find the lane that holds the element of a rank by comparing with all lanes at once.

    Args:
        up_to: uint64; the cumulative counts of the first `lanes` - 1 lanes, each in `width` bits
            from the lowest and below 2^(width - 1). Higher bits are ignored.
        rank: uint64 of the same shape, below 2^(width - 1).
        width: bits per count.
        lanes: number of lanes.

    Returns:
        The number of the lane, int64, in range for every rank, and the rank within the lane,
        uint64.
    """
    ones = sum(1 << width * lane for lane in range(lanes - 1))
    # The subtraction leaves the highest bit of a count set if up_to <= rank.
    highest = np.uint64(ones << (width - 1))
    passed = (((rank * np.uint64(ones)) | highest) - up_to) & highest
    lane = tf.cast(tf.raw_ops.PopulationCount(x=passed), tf.int64)
    below = _right(tf.bitwise.left_shift(up_to, np.uint64(width)), width * lane)
    return lane, rank - (below & np.uint64(2**width - 1))


def _right(words: tf.Tensor, places: tf.Tensor | int) -> tf.Tensor:
    return tf.bitwise.right_shift(words, tf.cast(places, tf.uint64))
