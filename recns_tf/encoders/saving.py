"""Keras serialization of encoders, samplers and models that hold graphs and item sets.

A class that inherits `Serializable` keeps every constructor argument as an attribute of the same
name. `get_config` returns these arguments as JSON values. An argument that holds data (a graph, a
table, item sets) is only described there, by its kind and shape; its arrays go into `arrays.npz`
among the assets of the `.keras` archive.

`from_config` therefore returns an object without data. `load_assets`, which
`keras.saving.load_model` calls, supplies them. What is computed from data is a `derived` property.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, Self, TypeVar

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.encoders.propagation import Adjacency
from recns_tf.ops.bitmap import BLOCK_WORDS, Bitmap
from recns_tf.ops.item_sets import ComplementItems, Fallback, ListedItems, Pool

ARRAYS = "arrays.npz"
"""The asset that holds the arrays of an object."""

T = TypeVar("T")

serializable = keras.saving.register_keras_serializable(package="recns_tf")
"""Registers a class or function with Keras, as recns_tf>NAME."""


class DataKind(NamedTuple):
    """How values of one class are split into arrays and put together again.

    Attributes:
        type: the class.
        parts: returns the arguments of `make` by name: arrays, numbers, or other data.
        make: builds a value from these parts.
    """

    type: type
    parts: Callable[[Any], dict[str, Any]]
    make: Callable[..., Any]


def _csr_parts(rows: csr_array) -> dict[str, Any]:
    return {
        "shape": np.array(rows.shape),
        "starts": rows.indptr,
        "columns": rows.indices,
        "values": rows.data,
    }


def _make_csr(
    shape: NDArray[Any], starts: NDArray[Any], columns: NDArray[Any], values: NDArray[Any]
) -> csr_array:
    return csr_array((values, columns, starts), shape=tuple(shape.tolist()))


def _listed_parts(sets: ListedItems) -> dict[str, Any]:
    starts, columns = sets.starts.numpy(), sets.items.numpy()[:-1]
    shape = (len(starts) - 1, sets.num_items)
    return {"rows": csr_array((np.ones(len(columns), bool), columns, starts), shape=shape)}


def _bitmap_parts(sets: Bitmap) -> dict[str, Any]:
    words = sets.words.numpy().reshape(-1, sets.user_blocks * BLOCK_WORDS)
    return {"words": words, "num_items": sets.num_items}


def _pool_parts(sets: Pool) -> dict[str, Any]:
    parts = {"items": sets.items.numpy(), "counts": sets.counts.numpy()}
    return parts | {"num_items": sets.num_items}


def _make_pool(items: NDArray[Any], counts: NDArray[Any], num_items: NDArray[Any]) -> Pool:
    pool = Pool(len(items), int(num_items), items.shape[1])
    pool.assign(items, counts)
    return pool


def _adjacency_parts(adjacency: Adjacency) -> dict[str, Any]:
    return {
        "matrix": adjacency.to_scipy(),
        "engine": adjacency.engine,
        "symmetric": adjacency.symmetric,
    }


def _make_adjacency(matrix: csr_array, engine: NDArray[Any], symmetric: NDArray[Any]) -> Adjacency:
    return Adjacency(matrix, str(engine), bool(symmetric))


DATA_KINDS = {
    "csr": DataKind(csr_array, _csr_parts, _make_csr),
    "tensor": DataKind(
        tf.Tensor, lambda tensor: {"values": tensor.numpy()}, lambda values: tf.constant(values)
    ),
    "adjacency": DataKind(Adjacency, _adjacency_parts, _make_adjacency),
    "listed": DataKind(ListedItems, _listed_parts, ListedItems),
    "complement": DataKind(ComplementItems, lambda sets: {"rows": sets.rows}, ComplementItems),
    "fallback": DataKind(
        Fallback, lambda sets: {"first": sets.first, "second": sets.second}, Fallback
    ),
    "bitmap": DataKind(
        Bitmap, _bitmap_parts, lambda words, num_items: Bitmap(words, int(num_items))
    ),
    "pool": DataKind(Pool, _pool_parts, _make_pool),
}
"""The data that arguments may hold, by the names that archives use."""


def kind_of(value: Any) -> str | None:
    """Return the name in DATA_KINDS of a value's class, or None if it holds no data."""
    names = (name for name, kind in DATA_KINDS.items() if isinstance(value, kind.type))
    return next(names, None)


def flatten(value: Any, path: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a value, by paths that start with `path`."""
    kind = kind_of(value)
    if kind is None:
        return {path: np.asarray(value)}
    arrays = {f"{path}/kind": np.array(kind)}
    for name, part in DATA_KINDS[kind].parts(value).items():
        arrays |= flatten(part, f"{path}/{name}")
    return arrays


def restore(arrays: dict[str, NDArray[Any]], path: str) -> Any:
    """Return the value that `flatten` split into arrays."""
    if path in arrays:
        return arrays[path]
    kind = DATA_KINDS[str(arrays[f"{path}/kind"])]
    below = f"{path}/"
    names = {name.removeprefix(below).split("/")[0] for name in arrays if name.startswith(below)}
    return kind.make(**{name: restore(arrays, below + name) for name in names - {"kind"}})


class Unloaded:
    """Takes the place of data until `load_assets` reads them.

    Args:
        description: of the data in a config: `data`, a name in DATA_KINDS, and `shape` if known.
    """

    def __init__(self, description: dict[str, Any]):
        self.description = description

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return tuple(self.description["shape"])

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"'{name}' needs data that are not loaded: from_config reads settings alone, "
            "keras.saving.load_model reads settings and data"
        )


def to_tensor(values: NDArray[Any] | tf.Tensor | Unloaded) -> tf.Tensor | Unloaded:
    """Return an array as a tensor; data that are not loaded stay as they are."""
    return values if isinstance(values, Unloaded) else tf.constant(values)


class derived(cached_property[T]):
    """A property computed once from data, outside any graph that is being traced."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the value, computed at the first access."""
        if instance is None:
            return self
        with tf.init_scope():
            return super().__get__(instance, owner)


class Serializable:
    """Makes a Keras layer or model serializable, given attributes named as its arguments."""

    @classmethod
    def _argument_names(cls) -> list[str]:
        _, *parameters = inspect.signature(cls.__init__).parameters.values()
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return [each.name for each in parameters if each.kind not in variadic]

    def _data(self) -> dict[str, Any]:
        kept = {name: getattr(self, name, None) for name in self._argument_names()}
        return {
            name: value
            for name, value in kept.items()
            if isinstance(value, Unloaded) or kind_of(value)
        }

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values; data are described by their shape.

        Raises:
            NotImplementedError: an argument is not kept, or is neither a JSON value, nor data, nor
                an object that Keras can serialize.
        """
        config = {}
        for name in self._argument_names():
            if not hasattr(self, name):
                raise NotImplementedError(
                    f"{type(self).__name__} cannot be saved: keep its argument '{name}' as an "
                    "attribute of that name, or define get_config and from_config"
                )
            config[name] = self._to_json(name, getattr(self, name))
        return config

    def _to_json(self, name: str, value: Any) -> Any:
        if isinstance(value, Unloaded):
            return value.description
        if kind := kind_of(value):
            shape = getattr(value, "shape", None)
            return {"data": kind} | ({} if shape is None else {"shape": list(shape)})
        if isinstance(value, np.generic):
            return value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, tuple | list):
            return [self._to_json(name, each) for each in value]
        if isinstance(value, FunctionType) or hasattr(value, "get_config"):
            return keras.saving.serialize_keras_object(value)
        raise NotImplementedError(
            f"{type(self).__name__} cannot be saved: its argument '{name}' is a "
            f"{type(value).__name__}; define get_config and from_config"
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the object from what `get_config` returned, without its data."""
        return cls(**{name: _from_json(value) for name, value in config.items()})

    def save_assets(self, dir_path: str) -> None:
        """Write the arrays of the arguments that hold data."""
        arrays: dict[str, Any] = {}
        for name, value in self._data().items():
            if isinstance(value, Unloaded):
                raise ValueError(f"{type(self).__name__} cannot be saved: '{name}' is not loaded")
            arrays |= flatten(value, name)
        if arrays:
            np.savez(Path(dir_path) / ARRAYS, **arrays)

    def load_assets(self, dir_path: str) -> None:
        """Read what `save_assets` wrote."""
        names = list(self._data())
        if not names:
            return
        with np.load(Path(dir_path) / ARRAYS, allow_pickle=False) as file:
            arrays = dict(file)
        for name in names:
            setattr(self, name, restore(arrays, name))
        for parent in type(self).__mro__:
            for name, member in vars(parent).items():
                if isinstance(member, derived):
                    vars(self).pop(name, None)


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return Unloaded(value) if "data" in value else keras.saving.deserialize_keras_object(value)
    return value
