"""Tiny datasets with given embeddings, and functions that sample through the public call."""

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.encoders.tables import FullTables
from recns_tf.ops.item_sets import ComplementItems
from recns_tf.samplers.batch import Batch


def tables(user, item):
    return FullTables(tf.constant(user, tf.float32), tf.constant(item, tf.float32))


def batch(rows, user=0, positive=0, candidates=(), exposed=(), seed=1):
    """Return `rows` copies of one pair with its candidates and exposures."""

    def tiled(ids):
        return tf.tile(tf.reshape(tf.constant(ids, tf.int32), [1, -1]), [rows, 1])

    return Batch(
        tf.fill([rows], user),
        tf.fill([rows], positive),
        tiled(list(candidates)),
        tiled(list(exposed)),
        tf.constant([seed, 5]),
    )


def sample(sampler, one_batch, one_tables):
    """Sample inside a tf.function and return the negatives as arrays."""
    function = tf.function(
        lambda: sampler.sample(one_batch, one_tables, one_batch.seed), autograph=False
    )
    return tf.nest.map_structure(
        lambda tensor: None if tensor is None else tensor.numpy(), function()
    )


def unobserved(positives, num_items):
    """Return the pool of all items except each user's positives."""
    rows = np.zeros((len(positives), num_items), dtype=bool)
    for user, items in enumerate(positives):
        rows[user, list(items)] = True
    return ComplementItems(csr_array(rows))


def law_of_best(utility, num_candidates):
    """Return the probability that each item is the best of uniform draws with replacement.

    By enumeration of all draws: item i is chosen if it is the one of largest utility among them.
    Items whose utility is nan are outside the pool.
    """
    pool = np.flatnonzero(~np.isnan(utility))
    draws = np.stack(np.meshgrid(*[pool] * num_candidates, indexing="ij"), axis=-1)
    draws = draws.reshape(-1, num_candidates)
    chosen = draws[np.arange(len(draws)), np.argmax(np.asarray(utility)[draws], axis=1)]
    return np.bincount(chosen, minlength=len(utility)) / len(draws)


def counts(sampler, one_batch, one_tables, num_items):
    """Return how often each item is a negative, and the ids."""
    ids = sample(sampler, one_batch, one_tables).ids
    return np.bincount(ids.ravel(), minlength=num_items), ids
