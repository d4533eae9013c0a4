"""Both implementations of an operation give the same."""

import dataclasses
import operator

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recns_tf import registry
from recns_tf.ops import compiled_gates, kernels
from recns_tf.ops.gates import gated_products
from recns_tf.ops.gather import mean_of_rows, products, row_sums
from recns_tf.training.build import build
from tests.graphs import operations_of
from tests.oracles import sigmoid


@pytest.fixture(autouse=True)
def restored():
    """Leaves the choice as it was."""
    before = kernels.chosen
    yield
    kernels.use(before)


def both(function, *arguments):
    """Return what a function gives with each implementation, in a graph."""
    found = []
    for name in ("numba", "tensorflow"):
        kernels.use(name)
        # A new function, since a traced one keeps its implementation.
        found.append(tf.function(lambda *given: function(*given), autograph=False)(*arguments))
    return [tf.nest.map_structure(np.array, each) for each in found]


def lists(rng, num_users, num_items):
    rows = [
        np.flatnonzero(rng.random(num_items) < rng.choice([0, 0.2, 1])) for _ in range(num_users)
    ]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    items = np.concatenate([*rows, [0]]).astype(np.int32)
    return tf.constant(starts, tf.int64), tf.constant(items)


@given(st.integers(0, 999), st.integers(1, 6), st.integers(1, 40), st.integers(0, 5))
@settings(max_examples=40)
@pytest.mark.slow
def test_searches_find_the_same(seed, num_users, num_items, width):
    rng = np.random.default_rng(seed)
    starts, items = lists(rng, num_users, num_items)
    users = tf.constant(rng.integers(0, num_users, 7), tf.int32)
    numbers = tf.constant(rng.integers(0, num_items, (7, width)), tf.int32)
    for search in (kernels.members, kernels.unlisted):
        one, other = both(search, starts, items, users, numbers)
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


@given(st.integers(0, 999), st.integers(1, 30), st.sampled_from([1, 15]))
@settings(max_examples=40)
@pytest.mark.slow
def test_draws_by_weight_are_the_same(seed, width, spread):
    rng = np.random.default_rng(seed)
    weights = np.exp(spread * rng.normal(size=(50, width))).astype(np.float32)
    weights[rng.random(weights.shape) < 0.3] = 0
    weights[:, 0] += 1e-3
    uniform = rng.random((50, 9)).astype(np.float32)
    uniform[:, 0], uniform[:, 1] = 0, np.nextafter(np.float32(1), np.float32(0))
    one, other = both(kernels.columns, tf.constant(weights), tf.constant(uniform))
    np.testing.assert_array_equal(one, other)
    assert (np.take_along_axis(weights, one, axis=1) > 0).all()


def test_draws_by_nan_weights_are_columns():
    weights = tf.constant([[1.0, np.nan, 2.0], [np.nan, 1.0, 1.0]])
    for found in both(kernels.columns, weights, tf.constant([[0.1, 0.9], [0.5, 0.99]])):
        assert ((found >= 0) & (found < 3)).all()


@given(st.integers(0, 999), st.integers(0, 20), st.integers(1, 12))
@settings(max_examples=30)
@pytest.mark.slow
def test_repeats_are_the_same(seed, width, num_items):
    items = np.random.default_rng(seed).integers(0, num_items, (6, width)).astype(np.int32)
    one, other = both(kernels.repeats, tf.constant(items))
    np.testing.assert_array_equal(one, other)


def test_products_and_their_gradients_agree():
    rng = np.random.default_rng(0)
    vectors, table = (tf.constant(rng.normal(size=(n, 8)), tf.float32) for n in (20, 30))
    columns = tf.constant(rng.integers(0, 30, (20, 5)), tf.int32)
    weights = tf.constant(rng.normal(size=(20, 5)), tf.float32)

    def run(vectors, table):
        with tf.GradientTape() as tape:
            tape.watch([vectors, table])
            found = products(vectors, table, columns)
            total = tf.reduce_sum(weights * found) + tf.reduce_sum(
                mean_of_rows(table, columns) ** 2
            )
        return found, [tf.convert_to_tensor(g) for g in tape.gradient(total, [vectors, table])]

    one, other = both(run, vectors, table)
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), one, other
    )


def gated(vectors, table, shifts, mapped, kept, columns, wrong=""):
    """Return gated products in double precision, one at a time: [B, n]."""
    found = np.zeros(columns.shape)
    for b, i in np.ndindex(columns.shape):
        c = columns[b, i]
        shift = shifts[b - 1 if wrong == "the shift of another row" else b]
        total = np.float64(mapped[c]) + (0 if wrong == "no shift" else shift)
        gate = sigmoid(np.clip(total, -700, 700))
        gate = 1 - gate if wrong == "the gate turned" else gate
        weight = {"nothing kept": -gate, "no gate": np.full_like(gate, kept)}.get(
            wrong, kept - gate
        )
        row = mapped[c] if wrong == "mapped rows" else table[c]
        found[b, i] = np.sum(np.float64(vectors[b]) * weight * row)
    return found


def gate_arguments(width=37, spread=2.0, seed=0):
    """Return the arguments of `gated_dots`: random numbers, and an odd number of them per row."""
    rng = np.random.default_rng(seed)
    vectors, shifts = (rng.normal(size=(2, 20, width)) * [[[1]], [[spread]]]).astype(np.float32)
    table, mapped = (rng.normal(size=(2, 30, width)) * [[[1]], [[spread]]]).astype(np.float32)
    columns = rng.integers(0, 30, (20, 5)).astype(np.int32)
    return vectors, table, shifts, mapped, np.float32(0.7), columns


@pytest.mark.parametrize("width", [1, 37, 64])
@pytest.mark.parametrize("spread", [0.1, 2.0, 20.0])
def test_gated_products_are_those_of_their_formula(width, spread):
    arguments = gate_arguments(width, spread)
    expected = gated(*arguments)
    for found in both(kernels.gated_dots, *map(tf.constant, arguments)):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    for wrong in (
        "the shift of another row", "no shift", "the gate turned", "nothing kept", "no gate",
        "mapped rows",
    ):  # fmt: skip
        assert not np.allclose(gated(*arguments, wrong), expected, rtol=0.01, atol=0.01), wrong


def test_gates_of_huge_numbers():
    """Sums that cancel, or whose exponentials are no float32."""
    numbers = np.float32([0, 60, 69, 71, 88, 89, 104, 1e3, 1e30])
    numbers = np.concatenate([numbers, -numbers])
    mapped = np.float32([numbers, numbers + 1, numbers - 3])
    shifts = np.repeat(numbers[:, None], len(numbers), axis=1)
    table, vectors = np.ones_like(mapped), np.eye(len(numbers), dtype=np.float32)
    # Row i·n + j has the j-th number of the mapped rows and the i-th one as its shift.
    shifts, vectors = shifts.repeat(len(numbers), axis=0), np.tile(vectors, (len(numbers), 1))
    columns = np.tile(np.int32([0, 1, 2]), (len(vectors), 1))
    arguments = vectors, table, shifts, mapped, np.float32(0), columns
    expected = gated(*arguments)
    assert ((expected < -1e-3) & (expected > -1 + 1e-3)).sum() > 20, "sums that cancel"
    for found in both(kernels.gated_dots, *map(tf.constant, arguments)):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("far", [False, True])
def test_gradients_of_gated_products_are_slopes(far):
    """Also those of rows that no product or several products of a vector have."""
    rng = np.random.default_rng(4)
    vectors, shifts = rng.normal(size=(2, 5, 3))
    table, mapped = rng.normal(size=(2, 7, 3))
    if far:
        # Rows 0 of both have large numbers, which cancel; so have other pairs, which do not.
        shifts[[0, 2]] += [[90], [-75]]
        mapped[[0, 1, 5]] += [[-90], [80], [-95]]
    columns = np.int32([[0, 0, 3, 5], [1, 1, 1, 0], [5, 1, 0, 3], [4, 4, 2, 0], [0, 1, 2, 3]])
    weights = rng.normal(size=columns.shape)
    inputs, kept = [vectors, table, shifts, mapped], np.float32(0.7)

    def run(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            found = gated_products(*inputs, tf.constant(kept), tf.constant(columns))
            total = tf.reduce_sum(tf.constant(weights, tf.float32) * found)
        return tape.gradient(total, inputs)

    def slopes(number):
        found = np.zeros_like(inputs[number])
        for place in np.ndindex(found.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [each.copy() for each in inputs]
                moved[number][place] += step
                ends.append(np.sum(weights * gated(*moved, kept, columns)))
            found[place] = (ends[0] - ends[1]) / 2e-6
        return found

    expected = [slopes(number) for number in range(4)]
    assert all(np.abs(each).max() > 0.1 for each in expected)
    assert not expected[1][6].any() and not expected[3][6].any()
    for found in both(run, *(tf.constant(each, tf.float32) for each in inputs)):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 if far else 1e-5)


def test_gates_keep_nan():
    for number in (0, 2, 3):
        arguments = list(gate_arguments(width=8))
        arguments[number] = arguments[number].copy()
        arguments[number][:, 3] = np.nan
        for found in both(kernels.gated_dots, *map(tf.constant, arguments)):
            assert np.isnan(found).all()


def test_gated_products_of_a_missing_row_are_an_error():
    arguments = list(gate_arguments())
    for column in (-1, 30, 2**31 - 1):
        arguments[-1] = np.full((20, 5), column, np.int32)
        with pytest.raises(IndexError, match="an id is not one of the table's rows"):
            compiled_gates.gated_dots(*arguments)


@pytest.mark.parametrize("length", [1, 2, 3, 8, 31, 32, 33])
@pytest.mark.parametrize("kind", ["ties", "infinite", "random"])
def test_values_up_to_a_number_are_counted(length, kind):
    rng = np.random.default_rng(length)
    values = rng.normal(size=(4, length)).astype(np.float32)
    if kind == "ties":
        values = values.round(0)
    elif kind == "infinite":
        values[rng.random(values.shape) < 0.4] = np.inf
    rows = np.int32([2, 0, 0, 3, 1, 2])
    far = np.full((4, 1), -100, np.float32)
    numbers = np.concatenate([far, values[:, :12], values[:, :9] + 1e-6, -far], axis=1)[rows]

    def counts(rows, compare):
        return [
            [sum(compare(value, number) for value in values[row]) for number in some]
            for row, some in zip(rows, numbers, strict=True)
        ]

    expected = counts(rows, operator.le)
    for found in both(kernels.counts_up_to, *map(tf.constant, (values, rows, numbers))):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.int32
    assert counts(rows, operator.lt) != expected
    assert counts([0, 1, 2, 3, 0, 1], operator.le) != expected


def test_searches_match_numpy_in_lists_of_every_length():
    """Lists of 0 to 40 items, sought from below the first to above the last."""
    rng = np.random.default_rng(3)
    rows = [np.sort(rng.choice(90, length, replace=False)) for length in range(41)]
    starts = tf.constant(np.cumsum([0, *map(len, rows)]), tf.int64)
    items = tf.constant(np.concatenate([*rows, [0]]), tf.int32)
    users = np.arange(41)
    sought = np.tile(np.arange(90), (41, 1))
    inside = np.array([np.isin(np.arange(90), row) for row in rows])
    # Ranks beyond the last missing item go on after it.
    outside = [np.setdiff1d(np.arange(200), row)[:90] for row in rows]
    arguments = starts, items, tf.constant(users, tf.int32), tf.constant(sought, tf.int32)
    for found in both(kernels.members, *arguments):
        np.testing.assert_array_equal(found, inside)
    for found in both(kernels.unlisted, *arguments):
        np.testing.assert_array_equal(found, outside)


def test_row_sums_and_their_adjoints_agree_between_engines():
    rng = np.random.default_rng(0)
    weights = tf.constant(rng.normal(size=(20, 5)), tf.float32)
    columns = tf.constant(rng.integers(0, 9, (20, 5)), tf.int32)
    table, vectors = (tf.constant(rng.normal(size=(n, 3)), tf.float32) for n in (9, 20))

    found = []
    for engine in registry.SPARSE_ENGINES:
        with kernels.using("tensorflow", engine):
            sums = row_sums(weights, columns, tf.constant(9))
            found.append((sums.of(table), sums.scatter_add(vectors)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", ["lightgcn", "pinsage"])
@pytest.mark.slow
def test_coo_takes_no_csr_kernel_in_the_whole_step(encoder, toy, toy_config):
    settings = {"encoder": encoder, "sampler": "dns", "sparse_engine": "coo"}
    model, pipeline, _ = build(dataclasses.replace(toy_config, **settings), toy)
    batch = next(iter(pipeline.batches()))
    found = operations_of(tf.function(model.train_step, autograph=False), batch)
    assert not [kind for kind in found if "SparseMatrix" in kind]


def test_auto_is_numba_without_a_gpu(monkeypatch):
    assert kernels.AUTO in registry.KERNELS and set(registry.KERNELS) > {
        kernels.NUMBA,
        kernels.TENSORFLOW,
    }
    assert kernels.resolve("auto") == "numba"
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    assert kernels.resolve("auto") == "tensorflow"
    assert kernels.resolve("numba") == "numba"


@pytest.mark.parametrize(("name", "holds"), [("numba", True), ("tensorflow", False)])
def test_only_compiled_loops_call_python(name, holds):
    kernels.use(name)

    @tf.function(autograph=False)
    def step(items):
        return kernels.repeats(items)

    graph = step.get_concrete_function(tf.TensorSpec([None, 4], tf.int32)).graph
    assert any("PyFunc" in operation.type for operation in graph.get_operations()) == holds
