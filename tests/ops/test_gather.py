"""Weighted sums of rows, dot products of rows, and their gradients."""

import numpy as np
import pytest
import tensorflow as tf

from recns_tf.ops import compiled_kernels as kernels
from recns_tf.ops.gather import mean_of_rows, products, row_sums

RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.normal(size=(5, 3)), RNG.normal(size=(7, 3))
ROWS = np.array([4, 0, 4, 2], np.int32)
COLUMNS = np.array([[6, 6, 1], [0, 3, 6], [1, 1, 1], [5, 2, 0]], np.int32)
WEIGHTS = RNG.normal(size=COLUMNS.shape)


def products_and_gradients(left, right):
    with tf.GradientTape() as tape:
        tape.watch([left, right])
        result = products(tf.gather(left, ROWS), right, tf.constant(COLUMNS))
        loss = tf.reduce_sum(result * tf.constant(WEIGHTS, tf.float32))
    gradients = tape.gradient(loss, [left, right])
    return result, [tf.convert_to_tensor(gradient) for gradient in gradients]


@pytest.mark.parametrize("graph", [False, True])
def test_products_and_gradients_match_a_loop_over_pairs(graph):
    run = tf.function(products_and_gradients) if graph else products_and_gradients
    result, (to_left, to_right) = run(*(tf.constant(t, tf.float32) for t in (LEFT, RIGHT)))
    expected_left, expected_right = np.zeros_like(LEFT), np.zeros_like(RIGHT)
    for b, row in enumerate(ROWS):
        for i, column in enumerate(COLUMNS[b]):
            assert float(result[b, i]) == pytest.approx(LEFT[row] @ RIGHT[column], rel=1e-5)
            expected_left[row] += WEIGHTS[b, i] * RIGHT[column]
            expected_right[column] += WEIGHTS[b, i] * LEFT[row]
    np.testing.assert_allclose(to_left, expected_left, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(to_right, expected_right, rtol=1e-5, atol=1e-6)


def test_products_of_no_pairs():
    result = products(tf.zeros([0, 3]), tf.constant(RIGHT, tf.float32), tf.zeros([0, 3], tf.int32))
    assert result.shape == (0, 3)


@pytest.mark.parametrize("wrong", [-1, 7])
@pytest.mark.parametrize("graph", [False, True])
def test_products_with_missing_rows_are_errors(wrong, graph):
    columns = COLUMNS.copy()
    columns[2, 1] = wrong
    run = tf.function(products) if graph else products
    vectors, table = (tf.constant(t, tf.float32) for t in (LEFT[ROWS], RIGHT))
    with pytest.raises((IndexError, tf.errors.OpError), match="not one of the table's rows"):
        run(vectors, table, tf.constant(columns))


def test_products_propagate_nan():
    table = np.array([[1, np.nan], [np.inf, 1], [1, 1]], np.float32)
    found = products(tf.constant([[0.0, 1.0]]), tf.constant(table), tf.constant([[0, 1, 2]]))
    np.testing.assert_array_equal(found, [[np.nan, np.nan, 1]])


def test_products_do_not_depend_on_the_chunks_of_rows(monkeypatch):
    rng = np.random.default_rng(1)
    vectors, table = rng.normal(size=(2, 50, 33)).astype(np.float32)
    columns = rng.integers(0, 50, (50, 9)).astype(np.int32)
    whole = kernels.dots(vectors, table, columns)
    monkeypatch.setattr(kernels, "LITTLE", 0)
    monkeypatch.setattr(kernels, "row_cuts", lambda rows: np.arange(rows + 1))
    np.testing.assert_array_equal(kernels.dots(vectors, table, columns), whole)
    expected = np.einsum("bd,bnd->bn", vectors, table[columns])
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("items", [[[3, 1, 3, 3, 0], [1, 1, 0, 3, 1]], np.zeros((0, 4)), [[], []]])
def test_repeats_marks_entries_seen_before(items):
    items = np.array(items, np.int32)
    expected = [[item in row[:place] for place, item in enumerate(row)] for row in items.tolist()]
    np.testing.assert_array_equal(
        kernels.repeats(items), np.array(expected, bool).reshape(items.shape)
    )


def test_mean_of_rows_and_its_gradient():
    table = tf.constant(RIGHT, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(table)
        result = mean_of_rows(table, tf.constant(COLUMNS))
        loss = tf.reduce_sum(result * tf.constant(WEIGHTS, tf.float32))
    np.testing.assert_allclose(result, RIGHT[COLUMNS].mean(axis=1), rtol=1e-5)
    expected = np.zeros_like(RIGHT)
    for b, columns in enumerate(COLUMNS):
        for column in columns:
            expected[column] += WEIGHTS[b] / 3
    np.testing.assert_allclose(tape.gradient(loss, table), expected, rtol=1e-5, atol=1e-6)


def test_row_sums_and_their_adjoint():
    matrix = np.zeros((4, 7))
    for b, columns in enumerate(COLUMNS):
        np.add.at(matrix[b], columns, WEIGHTS[b])
    sums = row_sums(tf.constant(WEIGHTS, tf.float32), tf.constant(COLUMNS), tf.constant(7))
    vectors = RNG.normal(size=(4, 3))
    np.testing.assert_allclose(sums.of(tf.constant(RIGHT, tf.float32)), matrix @ RIGHT, atol=1e-5)
    scatter_add = sums.scatter_add(tf.constant(vectors, tf.float32))
    np.testing.assert_allclose(scatter_add, matrix.T @ vectors, atol=1e-5)
