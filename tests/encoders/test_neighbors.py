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


@pytest.mark.slow
def test_all_nodes_share_the_columns_of_a_step_and_layers_do_not():
    neighbors = SharedColumns(GRAPH, (3, 2), seed=0)
    table = neighbors.table.numpy()
    nodes = tf.constant([0, 1, 0])
    seen = {}
    for layer, number in ((1, 3), (2, 2)):
        drawn, found = neighbors.draw(layer, nodes, random.root(5))
        assert drawn.shape == (3, number) and found.numpy().all()
        columns = [
            {c for c in range(500) if table[0, c] == drawn[0, i] and table[1, c] == drawn[1, i]}
            for i in range(number)
        ]
        assert all(columns), "some column holds what both nodes drew"
        seen[layer] = drawn.numpy()
    again = neighbors.draw(1, nodes, random.root(5))[0]
    np.testing.assert_array_equal(again, seen[1])
    order = tf.random.experimental.stateless_shuffle(tf.range(500), random.root(5)).numpy()
    np.testing.assert_array_equal(seen[2], table[[0, 1, 0]][:, order[:2]])
    np.testing.assert_array_equal(seen[1], table[[0, 1, 0]][:, order[2:5]])


def test_more_neighbors_than_table_columns_is_an_error():
    with pytest.raises(ValueError, match="at most 500"):
        SharedColumns(GRAPH, (400, 101), seed=0)
