import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array

from recns_tf.encoders.propagation import Adjacency, symmetric_adjacency
from recns_tf.ops import kernels
from recns_tf.registry import SPARSE_ENGINES
from tests import oracles
from tests.conftest import PRODUCTS

RNG = np.random.default_rng(0)
TRAIN = RNG.random((9, 13)) < 0.25
TRAIN[3] = False
TRAIN[:, 5] = False
NODES = RNG.normal(size=(22, 4)).astype(np.float32)
COEFFICIENTS = [0.25, 0.25, 0.25, 0.25]


@pytest.fixture(params=PRODUCTS, ids="-".join)
def adjacency(request):
    engine, implementation = request.param
    with kernels.using(implementation, engine):
        yield Adjacency(symmetric_adjacency(csr_array(TRAIN)), engine)


def test_adjacency_is_symmetric_and_bipartite_without_self_loops():
    matrix = symmetric_adjacency(csr_array(TRAIN)).toarray()
    np.testing.assert_array_equal(matrix, matrix.T)
    assert not matrix[:9, :9].any() and not matrix[9:, 9:].any()
    degree = TRAIN.sum(axis=1)[:, None] * TRAIN.sum(axis=0)[None]
    expected = np.divide(TRAIN, np.sqrt(degree), out=np.zeros(TRAIN.shape), where=TRAIN)
    np.testing.assert_allclose(matrix[:9, 9:], expected, rtol=1e-6)


def test_polynomial_is_the_mean_of_layers(adjacency):
    result = adjacency.polynomial(tf.constant(NODES), COEFFICIENTS)
    np.testing.assert_allclose(result, oracles.lightgcn(TRAIN, NODES, 3), rtol=1e-5, atol=1e-6)


def test_coefficients_belong_to_their_powers(adjacency):
    dense = symmetric_adjacency(csr_array(TRAIN)).toarray()
    result = adjacency.polynomial(tf.constant(NODES), [0.5, 0.0, 2.0])
    np.testing.assert_allclose(result, 0.5 * NODES + 2 * dense @ dense @ NODES, atol=1e-5)


def test_both_engines_agree():
    matrix = symmetric_adjacency(csr_array(TRAIN))
    results = [
        Adjacency(matrix, e).polynomial(tf.constant(NODES), COEFFICIENTS) for e in SPARSE_ENGINES
    ]
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


def test_gradient_agrees_with_finite_differences(adjacency):
    weights = RNG.normal(size=NODES.shape).astype(np.float32)

    @tf.function
    def loss(x):
        return tf.reduce_sum(weights * tf.square(adjacency.polynomial(x, [0.4, 0.3, 0.2])))

    x = tf.constant(NODES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(x)
    gradient = tape.gradient(value, x).numpy()
    step = 1e-2
    for node in range(len(NODES)):
        for column in range(NODES.shape[1]):
            shift = np.zeros_like(NODES)
            shift[node, column] = step
            slope = (loss(x + shift) - loss(x - shift)) / (2 * step)
            assert gradient[node, column] == pytest.approx(float(slope), abs=2e-3)


def test_product_is_the_same_inside_a_tf_function(adjacency):
    eager = adjacency.polynomial(tf.constant(NODES), COEFFICIENTS)
    graph = tf.function(lambda x: adjacency.polynomial(x, COEFFICIENTS))(tf.constant(NODES))
    # A graph may fuse a product and a sum, which rounds once instead of twice.
    np.testing.assert_allclose(eager, graph, rtol=1e-6, atol=1e-7)


def test_unknown_engine_is_an_error():
    with pytest.raises(ValueError, match="choose one of csr, coo"):
        Adjacency(symmetric_adjacency(csr_array(TRAIN)), "gpu")
