"""--strategy=batch: the shares of all workers make up a batch, and their gradients its gradient."""

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.encoders.rows import Rows, RowTables
from recns_tf.encoders.tables import FullTables
from recns_tf.ops.shares import shared_gradient
from recns_tf.ops.workers import Workers


class Alone(Workers):
    """A worker that hears nothing of the others: a sum is its own part."""

    def __init__(self, number, count):
        self.number, self.count = number, count

    def sum(self, values):
        return tf.identity(values)


def of_all(count, function):
    """Return the sums over workers of what a function of Rows returns, a list of tensors."""
    found = [function(Rows(Alone(number, count))) for number in range(count)]
    return [np.sum(parts, axis=0) for parts in zip(*found, strict=True)]


@pytest.fixture(scope="module")
def tables():
    user, item = (tf.random.stateless_normal([9, 4], [0, seed]) for seed in (1, 2))
    return tf.Variable(user), tf.Variable(item)


@pytest.mark.parametrize("size", [1, 2, 5, 12])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_rows_of_all_workers_are_those_of_one(tables, count, size):
    users, items = tf.range(size) % 9, tf.reshape(tf.range(3 * size), [size, 3]) % 9

    def scores(tables):
        vectors = tables.users(users)
        return [
            vectors,
            tables.items(items),
            tables.scores(users, items),
            tables.products(vectors, items),
        ]

    full = FullTables(*tables)
    every = of_all(count, lambda rows: scores(RowTables(full, rows)))
    for found, expected in zip(every, scores(full), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 5, 12])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_gradients_of_all_workers_add_up_to_the_gradient(tables, count, size):
    users, items = tf.range(size) % 9, tf.reshape(tf.range(3 * size), [size, 3]) % 9
    weights = tf.reshape(tf.range(3.0 * size), [size, 3])
    full = FullTables(*tables)

    def gradients(loss):
        with tf.GradientTape() as tape:
            value = loss()
        return [tf.convert_to_tensor(each) for each in tape.gradient(value, tables)]

    def squares(users, items):
        return tf.nn.l2_loss(full.users(users)) + tf.nn.l2_loss(full.items(items))

    def of_scores(tables):
        return tf.reduce_sum(weights * tables.scores(users, items))

    def of_rows(rows):
        return lambda: (
            of_scores(RowTables(full, rows))
            + rows.total(squares, users, items)
            + shared_gradient(tf.reduce_sum(full.user**2), rows.group.count)
        )

    def of_one():
        return of_scores(full) + squares(users, items) + tf.reduce_sum(full.user**2)

    every = of_all(count, lambda rows: gradients(of_rows(rows)))
    for found, expected in zip(every, gradients(of_one), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
