"""Random layers of a few users and items, and sums over them, for samplers that use layers."""

import numpy as np
import tensorflow as tf

from recns_tf.encoders.layers import LayeredTables
from recns_tf.encoders.tables import FullTables
from recns_tf.ops import random
from recns_tf.ops.random import Purpose
from recns_tf.samplers.batch import Batch
from tests.samplers import worlds

NUM_USERS, NUM_ITEMS, WIDTH, LAYERS = 3, 9, 2, 3
POSITIVES = [[0, 8], [3], [1, 2]]
POOL = worlds.unobserved(POSITIVES, NUM_ITEMS)
RNG = np.random.default_rng(5)
USER = RNG.normal(size=(LAYERS, NUM_USERS, WIDTH))
ITEM = RNG.normal(size=(LAYERS, NUM_ITEMS, WIDTH))
WEIGHTS = {"mean": [1 / 3] * 3, "weighted": [0.5, 0.1, 0.4], "concatenated": None}
"""How the layers are pooled; the encoders have these three ways."""
USERS = np.array([0, 1, 2, 0, 1])
ITEMS = np.array([0, 3, 2, 8, 3])


def tables(user=USER, item=ITEM, weights=None):
    layers = [
        FullTables(tf.constant(one, tf.float32), tf.constant(other, tf.float32))
        for one, other in zip(user, item, strict=True)
    ]
    return LayeredTables(layers, weights)


def batch(seed=1):
    empty = tf.zeros([len(USERS), 0], tf.int32)
    users, items = (tf.constant(ids, tf.int32) for ids in (USERS, ITEMS))
    return Batch(users, items, empty, empty, tf.constant([seed, 5]))


def pooled(layers, weights):
    """Pool the rows of one node: [L + 1, d] -> [d] or [(L + 1) d]."""
    layers = np.asarray(layers)
    return layers.ravel() if weights is None else np.asarray(weights) @ layers


def factor(user, layer, weights, user_table=USER):
    """The part of the user that is multiplied with rows of a layer."""
    if weights is None:
        return user_table[layer, user]
    return weights[layer] * pooled(user_table[:, user], weights)


def drawn(k, n, one_batch):
    """The candidates of a choice: int [B, k, N]."""
    items = random.with_replacement(POOL, one_batch.users, k * n, one_batch.seed)
    return items.numpy().reshape(-1, k, n)


def shares(k, one_batch):
    """The draws that mix the positive in: float [B, k, L + 1]."""
    shape = [len(USERS), k, LAYERS]
    return np.float64(random.uniform(shape, random.stream(one_batch.seed, Purpose.ALPHA)))


def assert_gradients(value, tensors, oracle, step=1e-5):
    """Check gradients of a scalar by the slopes of an oracle in double precision.

    Args:
        value: returns the scalar from a list of tensors.
        tensors: arrays at which the gradients are taken.
        oracle: returns the scalar from a list of arrays.
    """
    constants = [tf.constant(each, tf.float32) for each in tensors]
    with tf.GradientTape() as tape:
        tape.watch(constants)
        result = value(constants)
    for number, gradient in enumerate(tape.gradient(result, constants)):
        ours = tf.convert_to_tensor(gradient).numpy()
        assert np.abs(ours).max() > 0.01, "the gradient must say something"
        for place in np.ndindex(ours.shape):
            ends = []
            for sign in (1, -1):
                moved = [np.array(each, np.float64) for each in tensors]
                moved[number][place] += sign * step
                ends.append(oracle(moved))
            slope = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(ours[place], slope, rtol=2e-3, atol=2e-4)
