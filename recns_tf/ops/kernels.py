"""Operations of a training step that have two implementations, chosen per model.

`numba` compiles loops, which run on CPUs alone; `tensorflow` uses TensorFlow's own operations,
which run on every device and in exported models. Both give the same integers for the same seed, and
the same products up to rounding. Nothing else in the package depends on the choice.

The sparse products of a step have two engines, too: TensorFlow's CSR kernels, which are fast on
CPUs but not public, and public operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from recns_tf.ops import compiled_gates, compiled_kernels, tensorflow_kernels
from recns_tf.utils.devices import has_gpu

NUMBA, TENSORFLOW, AUTO = "numba", "tensorflow", "auto"
CSR, COO = "csr", "coo"

chosen = NUMBA
"""The implementation of graphs that are built from now on."""

engine = CSR
"""The engine of the sparse products of graphs that are built from now on."""


def resolve(name: str) -> str:
    """Return NUMBA or TENSORFLOW for a value of --kernels.

    AUTO is TENSORFLOW where TensorFlow sees a GPU, and NUMBA elsewhere.
    """
    if name != AUTO:
        return name
    return TENSORFLOW if has_gpu() else NUMBA


def use(name: str, sparse: str = CSR) -> None:
    """Choose the implementations of the graphs that are built from now on.

    Args:
        name: a value of --kernels, one of registry.KERNELS.
        sparse: a value of --sparse_engine, one of registry.SPARSE_ENGINES.
    """
    global chosen, engine
    chosen, engine = resolve(name), sparse


@contextmanager
def using(name: str, sparse: str = CSR) -> Iterator[None]:
    """Choose the implementations of the graphs that are built in the block; see `use`."""
    before = chosen, engine
    use(name, sparse)
    try:
        yield
    finally:
        use(*before)


def is_compiled() -> bool:
    """Return whether graphs use compiled loops, and so run on a CPU alone."""
    return chosen == NUMBA


def apply(
    compiled: Callable[..., Any],
    pure: Callable[..., Any],
    arguments: Sequence[Any],
    kinds: Any,
    shapes: Any,
) -> Any:
    """Apply an operation in the chosen implementation, inside a graph or eagerly.

    Args:
        compiled, pure: its implementations, on arrays and on tensors.
        arguments: its arguments.
        kinds: dtype of the result, or a list of those of several results.
        shapes: static shapes, likewise.
    """
    if is_compiled():
        found = tf.numpy_function(compiled, arguments, kinds, stateful=False)
    else:
        found = pure(*arguments)
    if isinstance(kinds, list):
        return [tf.ensure_shape(*each) for each in zip(found, shapes, strict=True)]
    return tf.ensure_shape(found, shapes)


def dots(vectors: tf.Tensor, table: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Return the dot products vectors[b] · table[columns[b, i]].

    Args:
        vectors: float32 [B, d].
        table: float32 [m, d].
        columns: int32 [B, n], rows of the table.

    Returns:
        float32 [B, n].
    """
    return apply(
        compiled_kernels.dots,
        tensorflow_kernels.dots,
        [vectors, table, columns],
        tf.float32,
        columns.shape,
    )


def gated_dots(
    vectors: tf.Tensor,
    table: tf.Tensor,
    shifts: tf.Tensor,
    mapped: tf.Tensor,
    kept: tf.Tensor,
    columns: tf.Tensor,
) -> tf.Tensor:
    """Return the dot products of vectors with what gates leave of the rows of a table.

    With c = columns[b, i], ⊙ the product by columns and σ the sigmoid, they are

        vectors[b] · (kept - σ(shifts[b] + mapped[c])) ⊙ table[c].

    Args:
        vectors: float32 [B, d].
        table: float32 [m, d].
        shifts: float32 [B, d].
        mapped: float32 [m, d].
        kept: float32, a scalar.
        columns: int32 [B, n], rows of the table; n must be known when the graph is built.

    Returns:
        float32 [B, n].
    """
    arguments = [vectors, table, shifts, mapped, kept, columns]
    return apply(
        compiled_gates.gated_dots,
        tensorflow_kernels.gated_dots,
        arguments,
        tf.float32,
        columns.shape,
    )


def gated_gradients(
    vectors: tf.Tensor,
    table: tf.Tensor,
    shifts: tf.Tensor,
    mapped: tf.Tensor,
    kept: tf.Tensor,
    columns: tf.Tensor,
    upstream: tf.Tensor,
) -> list[tf.Tensor]:
    """Return the gradients of `gated_dots` with respect to its first four arguments.

    Args:
        vectors, table, shifts, mapped, kept, columns: as for `gated_dots`.
        upstream: float32 [B, n], the gradient with respect to the products.

    Returns:
        float32 [B, d], [m, d], [B, d] and [m, d].
    """
    inputs = [vectors, table, shifts, mapped]
    return apply(
        compiled_gates.gated_gradients,
        tensorflow_kernels.gated_gradients,
        [*inputs, kept, columns, upstream],
        [each.dtype for each in inputs],
        [each.shape for each in inputs],
    )


def columns(weights: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Draw columns in proportion to weights by inverting the cumulative sums.

    Args:
        weights: float32 [B, n], nonnegative, with a positive one in each row.
        uniform: float32 [B, k], in [0, 1).

    Returns:
        int32 [B, k]: the first column at which the cumulative weight exceeds the uniform number
        times the row's total. It is a column even if weights are nan.
    """
    return apply(
        compiled_kernels.columns,
        tensorflow_kernels.columns,
        [weights, uniform],
        tf.int32,
        uniform.shape,
    )


def members(starts: tf.Tensor, items: tf.Tensor, users: tf.Tensor, sought: tf.Tensor) -> tf.Tensor:
    """Return whether items are in their users' lists.

    Args:
        starts: int64 [U + 1], where each user's list begins.
        items: int32 [t], t >= 1, all lists one after the other, each ascending.
        users: int32 [B].
        sought: int32 [B, n], items to search for.

    Returns:
        bool [B, n].
    """
    return apply(
        compiled_kernels.members,
        tensorflow_kernels.members,
        [starts, items, users, sought],
        tf.bool,
        sought.shape,
    )


def unlisted(starts: tf.Tensor, items: tf.Tensor, users: tf.Tensor, ranks: tf.Tensor) -> tf.Tensor:
    """Return the integers of the given ranks among those not in each user's list.

    Args:
        starts, items, users: as for `members`.
        ranks: int32 [B, n], from 0.

    Returns:
        int32 [B, n].
    """
    return apply(
        compiled_kernels.unlisted,
        tensorflow_kernels.unlisted,
        [starts, items, users, ranks],
        tf.int32,
        ranks.shape,
    )


def repeats(items: tf.Tensor) -> tf.Tensor:
    """Return which entries repeat an earlier one of their row: int32 [B, n] -> bool [B, n].

    Example:
        >>> repeats(tf.constant([[3, 1, 3]])).numpy()
        array([[False, False,  True]])
    """
    return apply(
        compiled_kernels.repeats, tensorflow_kernels.repeats, [items], tf.bool, items.shape
    )


def counts_up_to(values: tf.Tensor, rows: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Return how many values of a row are at most each number.

    Args:
        values: float32 [m, n], n >= 1.
        rows: int32 [B], a row of `values` for each row of numbers.
        numbers: float32 [B, w].

    Returns:
        int32 [B, w].

    Example:
        >>> values = tf.constant([[5.0, 1.0, 3.0]])
        >>> counts_up_to(values, tf.constant([0]), tf.constant([[3.0, 0.0]])).numpy()
        array([[2, 0]], dtype=int32)
    """
    return apply(
        compiled_kernels.counts_up_to,
        tensorflow_kernels.counts_up_to,
        [values, rows, numbers],
        tf.int32,
        numbers.shape,
    )


def marks(
    owner: tf.Tensor, entries: tf.Tensor, items: tf.Tensor, num_rows: tf.Tensor, num_items: int
) -> tf.Tensor:
    """Return which of `items` are among the entries of each row.

    Args:
        owner: int32 [t], the row of each entry, ascending.
        entries: int32 [t], items.
        items: int32 [C], repeats allowed.
        num_rows: B, number of rows, an int32 scalar.
        num_items: I, number of items.

    Returns:
        bool [B, C].

    Example:
        >>> owner, entries = tf.constant([0, 0, 1]), tf.constant([4, 2, 3])
        >>> marks(owner, entries, tf.constant([2, 3, 2]), tf.constant(2), 5).numpy()
        array([[ True, False,  True],
               [False,  True, False]])
    """
    shape = tf.TensorShape([None, *items.shape])
    return apply(
        compiled_kernels.marks,
        tensorflow_kernels.marks,
        [owner, entries, items, num_rows, num_items],
        tf.bool,
        shape,
    )
