"""Exact random draws inside the graph: stateless, unbiased, without rejection.

Every draw takes a seed, an int64 tensor [2], and one seed gives one result. Seeds form a tree
whose branches are what they are for, then a number if there are several (`stream`): the run's
seed, training, the epoch, its steps, the step, the candidates. No seed serves two purposes, and a
resumed run draws what an uninterrupted one would have drawn.
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
"""In each round of `accepted` after the first, for what was rejected so far."""


class Purpose(IntEnum):
    """What a stream of random numbers is for."""

    # children of a run's seed
    WEIGHTS = 0
    TRAINING = 1
    # of an epoch's
    PAIRS = 2
    STEPS = 3
    # of a step's
    CANDIDATES = 4
    EXPOSED = 5
    ENCODER = 6
    SAMPLER = 7
    # of a sampler's in a step
    CHOICE = 8
    ALPHA = 9
    POOL = 10
    COIN = 11
    STEP = 12
    # of a run's seed, for what a sampler starts from
    STATE = 13
    # of a run's seed, for a table of neighbours
    NEIGHBORS = 14


def stream(seed: tf.Tensor, *branches: tf.Tensor | int) -> tf.Tensor:
    """Return the seed [2] of a branch: one fold for each of `branches`, in order."""
    for branch in branches:
        seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(branch, seed.dtype))
    return seed


def root(seed: int) -> tf.Tensor:
    """Return the seed [2] that the run's `--seed` stands for."""
    return tf.constant([seed, 0], dtype=tf.int64)


def integers(seed: tf.Tensor, bound: tf.Tensor, shape: tf.Tensor | list[int]) -> tf.Tensor:
    """Draw integers uniform on {0, …, bound - 1}.

    32 random bits times `bound`, shifted right by 32: the bias is at most bound / 2^32, where
    a float32 between 0 and 1 would own uneven shares of a large catalogue.

    Args:
        seed: [2].
        bound: integers of at least 1, of a shape that broadcasts to `shape`.
        shape: shape of the result.

    Returns:
        int32 of `shape`.
    """
    bits = tf.random.stateless_uniform(shape, seed, minval=None, maxval=None, dtype=tf.uint32)
    scaled = tf.cast(bits, tf.int64) * tf.cast(bound, tf.int64)
    return tf.cast(tf.bitwise.right_shift(scaled, tf.constant(32, tf.int64)), tf.int32)


def integers_by_id(seed: tf.Tensor, ids: tf.Tensor, bound: tf.Tensor, n: int) -> tf.Tensor:
    """Draw n integers uniform on {0, …, bound - 1} for every id; one id has the same everywhere.

    Number j of id i is number n i + j of the SplitMix64 sequence that the seed starts, so that
    what is drawn for an id does not depend on the ids beside it. Bias as of `integers`. Source:
    G. L. Steele et al., "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.

    Args:
        seed: [2].
        ids: int32 [m], from 0.
        bound: int32 [m], 1 or more.
        n: integers an id.

    Returns:
        int32 [m, n].
    """
    start = tf.random.stateless_uniform([], seed, minval=None, maxval=None, dtype=tf.uint64)
    counter = tf.cast(ids, tf.uint64)[:, None] * np.uint64(n) + np.arange(1, n + 1, dtype=np.uint64)
    bits = start + counter * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ tf.bitwise.right_shift(bits, np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ tf.bitwise.right_shift(bits, np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits ^= tf.bitwise.right_shift(bits, np.uint64(31))
    high = tf.cast(tf.bitwise.right_shift(bits, np.uint64(32)), tf.int64)
    scaled = high * tf.cast(bound, tf.int64)[:, None]
    return tf.cast(tf.bitwise.right_shift(scaled, np.int64(32)), tf.int32)


def with_replacement(sets: ItemSets, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw n independent uniform items from each user's set: [B] -> int32 [B, n].

    An empty set gives an unspecified item.
    """
    bound = tf.maximum(sets.count(users), 1)[:, None]
    return sets.item(users, integers(seed, bound, [tf.size(users), n]))


def without_replacement(sets: ItemSets, users: tf.Tensor, n: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw n distinct items, every n-subset of the set equally likely: [B] -> int32 [B, n].

    A set of fewer than n items is drawn from with replacement instead, so that the shape and
    the uniform share of each item stay; an empty set gives an unspecified item. Method: R. W.
    Floyd's, in J. Bentley, "Programming Pearls", CACM 1987.
    """
    count = tf.maximum(sets.count(users), 1)
    last = count[:, None] - n + tf.range(n)
    distinct_bound = last + 1
    bound = tf.where(count[:, None] >= n, distinct_bound, count[:, None])
    drawn = integers(seed, bound, [tf.size(users), n])
    ranks = drawn[:, :1]
    for t in range(1, n):
        fresh = drawn[:, t]
        taken = tf.reduce_any(ranks == fresh[:, None], axis=1) & (count >= n)
        ranks = tf.concat([ranks, tf.where(taken, last[:, t], fresh)[:, None]], axis=1)
    return sets.item(users, ranks)


def accepted(
    propose: Callable[[tf.Tensor, int, tf.Tensor], tf.Tensor],
    accept: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    fallback: Callable[[tf.Tensor, int, tf.Tensor], tf.Tensor],
    users: tf.Tensor,
    n: int,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Draw n independent items a user from the law of `propose`, given that they are accepted.

    What is rejected takes the first acceptable of PROPOSALS new ones, REJECTION_ROUNDS times at
    most. Where not one of some 300 was acceptable, because next to nothing of the user's is, the
    item is drawn by `fallback`.

    Args:
        propose, fallback: draw items: users [p], n, seed -> int32 [p, n].
        accept: tells which items are accepted: [p], int32 [p, n] -> bool [p, n].
        users: [B].
        n: items a user.
        seed: [2].

    Returns:
        int32 [B, n].
    """
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

    Weights are scaled by the largest of their row, so that none is lost where all are tiny.

    Args:
        log_weights: [B, M] float32, each row with a finite maximum; -inf is never drawn.
        k: number of draws a row, with replacement.
        seed: [2].

    Returns:
        int32 [B, k] of columns 0 … M - 1.
    """
    largest = tf.reduce_max(log_weights, axis=1, keepdims=True)
    uniform = tf.random.stateless_uniform([tf.shape(log_weights)[0], k], seed)
    weights = tf.exp(log_weights - largest)
    return kernels.in_graph(kernels.columns, [weights, uniform], tf.int32, uniform.shape)


def gumbel(shape: tf.Tensor | list[int], seed: tf.Tensor) -> tf.Tensor:
    """Draw float32 of `shape` from the standard Gumbel law, all of them finite."""
    uniform = tf.random.stateless_uniform(shape, seed)
    return -tf.math.log(-tf.math.log(tf.maximum(uniform, 1e-20)))


def distinct_categorical(log_weights: tf.Tensor, k: int, seed: tf.Tensor) -> tf.Tensor:
    """Draw k distinct columns of each row, one after the other, in proportion to what is left.

    The k largest of log_weight + Gumbel noise: the law of sequential draws without replacement
    with renormalised weights. Source: W. Kool et al., "Stochastic Beams and Where to Find Them",
    ICML 2019.

    Args:
        log_weights: [..., n] float32 with at least k finite entries a row.
        k: number of columns, in the order of the draws.
        seed: [2].

    Returns:
        int32 [..., k].
    """
    return tf.math.top_k(log_weights + gumbel(tf.shape(log_weights), seed), k).indices


def sample_distribution(
    distribution: Distribution, shape: tf.Tensor | list[int], seed: tf.Tensor
) -> tf.Tensor:
    """Draw float32 of `shape` independently from a law."""
    return DISTRIBUTIONS[distribution.kind](distribution, shape, seed)


def _uniform(distribution: Distribution, shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed, distribution.first, distribution.second)


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
