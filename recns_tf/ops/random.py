"""Stateless random draws inside the graph.

Every draw takes a seed, an int64 tensor [2], that determines its result. Seeds form a tree: each
branch (`stream`) is a purpose, followed by a number if there are several of the kind. An example is
the run's seed, training, the epoch, its steps, the step, the candidates. No seed serves two
purposes, and a resumed run draws the same numbers as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
import tensorflow as tf

from recns_tf.config.distributions import Distribution
from recns_tf.ops import kernels
from recns_tf.ops.item_sets import ItemSets

REJECTION_ROUNDS = 20
PROPOSALS = 16
"""Proposals for each rejected item in every round of `accepted` after the first."""


class Purpose(IntEnum):
    """The purpose of a stream of random numbers."""

    # Branches of a run's seed.
    WEIGHTS = 0
    TRAINING = 1
    # Branches of an epoch's seed.
    PAIRS = 2
    STEPS = 3
    # Branches of a step's seed.
    CANDIDATES = 4
    EXPOSED = 5
    ENCODER = 6
    SAMPLER = 7
    # Branches of a sampler's seed in a step.
    CHOICE = 8
    ALPHA = 9
    POOL = 10
    COIN = 11
    STEP = 12
    # Branch of a run's seed: initial state of a sampler.
    STATE = 13
    # Branch of a run's seed: table of neighbors.
    NEIGHBORS = 14
    # Branch of a run's seed: negatives of one pair, drawn to be shown.
    SHOWN = 15


def stream(seed: tf.Tensor, *branches: tf.Tensor | int) -> tf.Tensor:
    """Return the seed, int64 [2], of a branch, folding in each of `branches` in order.

    Example:
        >>> fourth_epoch = stream(root(0), Purpose.TRAINING, 3)
    """
    for branch in branches:
        data = tf.cast(branch, seed.dtype)
        seed = tf.random.experimental.stateless_fold_in(seed, data, alg=generator())
    return seed


def generator() -> str:
    """Return the name of the generator of random bits.

    It is Philox on CPUs and GPUs in any case. XLA takes another one unless it is named; but a name
    makes a seed slower to fold, so only TensorFlow's own operations use it.
    """
    return "auto_select" if kernels.is_compiled() else "philox"


def bits(shape: tf.Tensor | list[int], seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Draw random bits, of `shape` and of `dtype`, tf.uint32 or tf.uint64."""
    return tf.random.stateless_uniform(
        shape, seed, minval=None, maxval=None, dtype=dtype, alg=generator()
    )


def uniform(shape: tf.Tensor | list[int], seed: tf.Tensor) -> tf.Tensor:
    """Draw float32 of `shape` uniformly from [0, 1), the same numbers with and without XLA.

    Args:
        shape: shape of the result.
        seed: int64 [2].
    """
    if kernels.is_compiled():
        return tf.random.stateless_uniform(shape, seed)
    # TensorFlow's kernels take the low bits of a word, those of XLA the high ones.
    low = bits(shape, seed, tf.uint32) & np.uint32(2**23 - 1)
    return tf.bitcast(low | np.float32(1).view(np.uint32), tf.float32) - 1


def root(seed: int) -> tf.Tensor:
    """Return the seed of a run, int64 [2], for a value of `--seed`."""
    return tf.constant([seed, 0], dtype=tf.int64)


def integers(seed: tf.Tensor, bound: tf.Tensor, shape: tf.Tensor | list[int]) -> tf.Tensor:
    """Draw integers uniformly from {0, …, bound - 1}.

    The result is 32 random bits times `bound`, shifted right by 32. Its bias is at most
    bound / 2^32; scaling a float32 from [0, 1) would be less even for a large bound.

    Args:
        seed: int64 [2].
        bound: integers of at least 1, of a shape that broadcasts to `shape`.
        shape: shape of the result.

    Returns:
        int32 of `shape`.

    Example:
        >>> integers(root(0), tf.constant([[3], [1000]]), [2, 4]).shape  # one bound per row
        TensorShape([2, 4])
    """
    drawn = bits(shape, seed, tf.uint32)
    scaled = tf.cast(drawn, tf.int64) * tf.cast(bound, tf.int64)
    return tf.cast(tf.bitwise.right_shift(scaled, tf.constant(32, tf.int64)), tf.int32)


def integers_by_id(seed: tf.Tensor, ids: tf.Tensor, bound: tf.Tensor, n: int) -> tf.Tensor:
    """Draw n integers uniformly from {0, …, bound - 1} for every id, independent of other ids.

    Integer j of id i comes from element n i + j of the SplitMix64 sequence that the seed starts.
    The bias is that of `integers`. Source: G. L. Steele et al., "Fast Splittable Pseudorandom
    Number Generators", OOPSLA 2014.

    Args:
        seed: int64 [2].
        ids: int32 [m], from 0.
        bound: int32 [m], at least 1.
        n: integers per id.

    Returns:
        int32 [m, n].
    """
    start = bits([], seed, tf.uint64)
    counter = tf.cast(ids, tf.uint64)[:, None] * np.uint64(n) + np.arange(1, n + 1, dtype=np.uint64)
    word = start + counter * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ tf.bitwise.right_shift(word, np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ tf.bitwise.right_shift(word, np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    word ^= tf.bitwise.right_shift(word, np.uint64(31))
    high = tf.cast(tf.bitwise.right_shift(word, np.uint64(32)), tf.int64)
    scaled = high * tf.cast(bound, tf.int64)[:, None]
    return tf.cast(tf.bitwise.right_shift(scaled, np.int64(32)), tf.int32)


def with_replacement(sets: ItemSets, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw n independent uniform items from each user's set.

    An empty set gives unspecified items.

    Args:
        sets: sets to draw from.
        users: int32 [B].
        n: items per user.
        seed: int64 [2].

    Returns:
        int32 [B, n].

    Example:
        >>> sets = ComplementItems(train)  # all unobserved items
        >>> with_replacement(sets, tf.constant([0, 1]), 5, root(0)).shape
        TensorShape([2, 5])
    """
    bound = tf.maximum(sets.count(users), 1)[:, None]
    return sets.item(users, integers(seed, bound, [tf.size(users), n]))


def without_replacement(sets: ItemSets, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw n distinct items from each user's set; every subset of size n is equally likely.

    Sets of fewer than n items are drawn from with replacement, so that the shape is kept and all
    items stay equally likely. An empty set gives unspecified items. Method: R. W. Floyd's, in
    J. Bentley, "Programming Pearls", CACM 1987.

    Args:
        sets: sets to draw from.
        users: int32 [B].
        n: items per user.
        seed: int64 [2].

    Returns:
        int32 [B, n].

    Example:
        >>> sets = ComplementItems(train)  # all unobserved items
        >>> without_replacement(sets, tf.constant([0, 1]), 20, root(0)).shape
        TensorShape([2, 20])
    """
    count = tf.maximum(sets.count(users), 1)
    last = count[:, None] - n + tf.range(n)
    distinct_bound = last + 1
    bound = tf.where(count[:, None] >= n, distinct_bound, count[:, None])
    drawn = integers(seed, bound, [tf.size(users), n])
    full = (count >= n)[:, None]
    # Columns [B, 1] need a third of the operations that slices of rank 1 need.
    ranks, *columns = tf.split(drawn, n, axis=1)
    for fresh, replacement in zip(columns, tf.split(last, n, axis=1)[1:], strict=True):
        taken = tf.reduce_any(ranks == fresh, axis=1, keepdims=True) & full
        ranks = tf.concat([ranks, tf.where(taken, replacement, fresh)], axis=1)
    return sets.item(users, ranks)


def accepted(
    propose: Callable[[tf.Tensor, int, tf.Tensor], tf.Tensor],
    accept: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    fallback: Callable[[tf.Tensor, int, tf.Tensor], tf.Tensor],
    users: tf.Tensor,
    n: int,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Draw n independent items per user by rejection sampling.

    A rejected item is replaced by the first acceptable one of PROPOSALS new proposals, in up to
    REJECTION_ROUNDS rounds. Items still rejected then, after some 300 proposals, are drawn by
    `fallback`. XLA cannot compile it, since the number of rejected items is known too late.

    Args:
        propose: draws proposals: users int32 [p], n, seed -> int32 [p, n].
        accept: returns which items to accept: int32 [p], int32 [p, n] -> bool [p, n].
        fallback: draws items with the signature of `propose`.
        users: int32 [B].
        n: items per user.
        seed: int64 [2].

    Returns:
        int32 [B, n].
    """
    if not kernels.is_compiled():
        # XLA would compile a loop that keeps what is rejected. It refuses this operation instead.
        tf.timestamp()
    items = propose(users, n, stream(seed, 0))
    pending = tf.where(~accept(users, items))

    def again(number: tf.Tensor, items: tf.Tensor, pending: tf.Tensor) -> list[tf.Tensor]:
        who = tf.gather(users, pending[:, 0])
        fresh = propose(who, PROPOSALS, stream(seed, number))
        good = accept(who, fresh)
        first = tf.argmax(tf.cast(good, tf.int32), axis=1, output_type=tf.int32)
        items = tf.tensor_scatter_nd_update(items, pending, tf.gather(fresh, first, batch_dims=1))
        return [number + 1, items, tf.boolean_mask(pending, ~tf.reduce_any(good, axis=1))]

    number, items, pending = tf.while_loop(
        lambda number, items, pending: (number <= REJECTION_ROUNDS) & (tf.shape(pending)[0] > 0),
        again,
        [tf.constant(1), items, pending],
        [tf.TensorShape([]), items.shape, tf.TensorShape([None, 2])],
    )
    last = fallback(tf.gather(users, pending[:, 0]), 1, stream(seed, number))
    return tf.tensor_scatter_nd_update(items, pending, last[:, 0])


def categorical(log_weights: tf.Tensor, k: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw k independent columns of each row with probability proportional to exp(log_weight).

    Weights are divided by the largest of their row, so that tiny weights do not underflow.

    Args:
        log_weights: float32 [B, M], each row with a finite maximum; -inf is never drawn.
        k: number of draws per row, with replacement.
        seed: int64 [2].

    Returns:
        int32 [B, k], columns from 0 to M - 1.

    Example:
        >>> categorical(tf.math.log([[0.2, 0.8]]), 3, root(0)).shape
        TensorShape([1, 3])
    """
    largest = tf.reduce_max(log_weights, axis=1, keepdims=True)
    weights = tf.exp(log_weights - largest)
    return kernels.columns(weights, uniform([tf.shape(log_weights)[0], k], seed))


def gumbel(shape: tf.Tensor | list[int], seed: tf.Tensor) -> tf.Tensor:
    """Draw float32 of `shape` from the standard Gumbel distribution, all finite."""
    return -tf.math.log(-tf.math.log(tf.maximum(uniform(shape, seed), 1e-20)))


def distinct_categorical(log_weights: tf.Tensor, k: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw k distinct columns of each row, one by one, in proportion to exp(log_weight).

    The columns with the k largest values of log_weight + Gumbel noise have the distribution of
    sequential draws without replacement with renormalized weights. Source: W. Kool et al.,
    "Stochastic Beams and Where to Find Them", ICML 2019.

    Args:
        log_weights: float32 [..., n], at least k finite entries per row.
        k: number of columns per row.
        seed: int64 [2].

    Returns:
        int32 [..., k], columns in the order of the draws.
    """
    return tf.math.top_k(log_weights + gumbel(tf.shape(log_weights), seed), k).indices


def sample_distribution(
    distribution: Distribution, shape: tf.Tensor | list[int], seed: tf.Tensor
) -> tf.Tensor:
    """Draw independent float32 numbers of `shape` from a distribution."""
    return DISTRIBUTIONS[distribution.kind](distribution, shape, seed)


def _uniform(distribution: Distribution, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    first, second = np.float32(distribution.first), np.float32(distribution.second)
    return uniform(shape, seed) * (second - first) + first


def _normal(distribution: Distribution, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_normal(shape, seed, distribution.first, distribution.second**0.5)


def _constant(distribution: Distribution, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    del seed
    return tf.fill(shape, tf.constant(distribution.first, tf.float32))


DISTRIBUTIONS: dict[str, Callable[[Distribution, tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "uniform": _uniform,
    "normal": _normal,
    "constant": _constant,
}
