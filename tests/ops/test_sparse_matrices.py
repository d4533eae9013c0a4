"""Products of constant sparse matrices, with every engine and both kinds of kernels."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import random_array

from recns_tf.ops import kernels
from recns_tf.ops.sparse_matrices import ENGINES
from recns_tf.utils.parallel import CHUNKS
from tests.conftest import PRODUCTS


@pytest.fixture(params=PRODUCTS, ids="-".join)
def engine(request):
    name, implementation = request.param
    with kernels.using(implementation, name):
        yield ENGINES[name]


def world(shape, width, density=0.2):
    rng = np.random.default_rng(0)
    matrix = random_array(shape, density=density, format="csr", random_state=rng, dtype=np.float32)
    x, other = (rng.normal(size=(rows, width)).astype(np.float32) for rows in reversed(shape))
    return matrix, x, other


@pytest.mark.parametrize("in_a_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("width", [1, 16, 19])
def test_products_are_those_of_scipy(engine, width, in_a_graph):
    matrix, x, other = world((30, 20), width)
    matrix = matrix.multiply(np.arange(30)[:, None] % 4 > 0).tocsr()  # Every fourth row is empty.
    sparse = engine(matrix)

    def both(x, other):
        return sparse.product(x), sparse.product_plus(x, -0.5, other)

    found = (tf.function(both) if in_a_graph else both)(tf.constant(x), tf.constant(other))
    assert all(each.shape == (30, width) and each.dtype == tf.float32 for each in found)
    product = matrix.astype(float) @ x
    np.testing.assert_allclose(found[0], product, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[1], product - 0.5 * other, rtol=1e-5, atol=1e-5)


def test_a_product_on_all_cores_has_the_bits_of_one_on_one(engine):
    """Every chunk of rows has entries; their number is above that of a small product."""
    matrix, x, other = world((40 * CHUNKS, 500), 64, density=0.1)
    assert matrix.nnz * 64 > 1_000_000
    found = engine(matrix).product_plus(tf.constant(x), 2.0, tf.constant(other))
    rows = [
        engine(matrix[row : row + 1]).product_plus(tf.constant(x), 2.0, tf.constant(own[None]))
        for row, own in enumerate(other[:3])
    ]
    np.testing.assert_allclose(found, matrix.astype(float) @ x + 2 * other, rtol=1e-4, atol=1e-4)
    if engine is ENGINES["csr"] and kernels.is_compiled():
        np.testing.assert_array_equal(found[:3], np.concatenate(rows))


def test_the_other_matrix_is_left_alone(engine):
    matrix, x, other = world((8, 5), 4)
    before = tf.constant(other)
    engine(matrix).product_plus(tf.constant(x), 1.0, before)
    np.testing.assert_array_equal(before, other)


def test_a_matrix_without_entries(engine):
    matrix, x, other = world((8, 5), 4, density=0)
    np.testing.assert_array_equal(engine(matrix).product(tf.constant(x)), 0 * other)


def test_to_scipy(engine):
    matrix, _, _ = world((8, 5), 4)
    np.testing.assert_array_equal(engine(matrix).to_scipy().toarray(), matrix.toarray())
