"""The authors' table of neighbors. test_pinsage.py tests independent draws."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.encoders.neighbors import SharedColumns, neighbor_table
from recns_tf.ops import random
from tests.goodness_of_fit import chi_square

DENSE = np.zeros((40, 40), bool)
DENSE[0, 10:40] = True
DENSE[1, [3, 5]] = True
DENSE[3:, 2] = True
GRAPH = csr_array(DENSE)


def test_table_has_distinct_neighbors_if_there_are_enough():
    table = neighbor_table(GRAPH, 20, seed=0)
    assert table.shape == (41, 20)
    assert len(set(table[0])) == 20 and set(table[0]) <= set(range(10, 40))
    assert set(table[1]) == {3, 5}
    assert set(table[2]) == {40}, "a node without neighbors has the spare one"
    assert set(table[40]) == {40}
    assert (table[3:40] == 2).all()


def test_table_is_uniform():
    counts = np.zeros(40)
    repeats = np.zeros(2)
    for seed in range(400):
        table = neighbor_table(GRAPH, 20, seed)
        counts += np.bincount(table[0], minlength=40)
        repeats += np.bincount(table[1], minlength=6)[[3, 5]]
    assert chi_square(counts[10:], np.ones(30)) > 1e-3
    assert chi_square(repeats, np.ones(2)) > 1e-3
    np.testing.assert_array_equal(neighbor_table(GRAPH, 20, 7), neighbor_table(GRAPH, 20, 7))


def columns_of(neighbors, layer, seed):
    """Return the columns of the table that are drawn for three nodes, [3, S]."""
    neighbors.table = tf.broadcast_to(tf.range(500), [41, 500])
    drawn, found = neighbors.draw(layer, tf.constant([0, 1, 0]), seed)
    assert found.numpy().all()
    return drawn.numpy()


def test_all_nodes_share_the_columns_of_a_layer_in_a_step():
    neighbors = SharedColumns(GRAPH, (3, 2), seed=0)
    for layer, number in ((1, 3), (2, 2)):
        drawn = columns_of(neighbors, layer, random.root(5))
        assert drawn.shape == (3, number) and len(set(drawn[0])) == number
        np.testing.assert_array_equal(drawn[1:], drawn[:2])
        np.testing.assert_array_equal(columns_of(neighbors, layer, random.root(5)), drawn)
        assert not np.array_equal(columns_of(neighbors, layer, random.root(6)), drawn)


def test_layers_shuffle_the_columns_independently():
    """One shuffle cut into parts, as an earlier version had, would repeat no column."""
    neighbors = SharedColumns(GRAPH, (250, 250), seed=0)
    first, second = (set(columns_of(neighbors, layer, random.root(5))[0]) for layer in (1, 2))
    # Hypergeometric: 125 in the mean, with a standard deviation of 5.6.
    assert abs(len(first & second) - 125) < 28


def test_drawn_neighbors_are_those_in_the_table():
    neighbors = SharedColumns(GRAPH, (3, 2), seed=0)
    table = neighbors.table.numpy()
    drawn = neighbors.draw(1, tf.constant([0, 1]), random.root(5))[0].numpy()
    columns = columns_of(neighbors, 1, random.root(5))[0]
    np.testing.assert_array_equal(drawn, table[:2][:, columns])


def test_more_neighbors_than_table_columns_is_an_error():
    SharedColumns(GRAPH, (400, 500), seed=0)
    with pytest.raises(ValueError, match="each must be at most 500"):
        SharedColumns(GRAPH, (400, 501), seed=0)
