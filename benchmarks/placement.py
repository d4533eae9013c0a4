"""The operations of a training step whose data a GPU leaves in the memory of the host.

Run: .venv/bin/python -m benchmarks.placement

It needs no GPU: TensorFlow lists its kernels for GPUs on every machine. The rows are those of a
step of LightGCN with each sampler and --kernels=tensorflow, as it is built, before TensorFlow
optimizes it. docs/devices.md shows them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.graphs import Shape, random_interactions
from benchmarks.quiet import tf
from recns_tf.config.config import Config
from recns_tf.interactions import Interactions
from recns_tf.ops.kernels import TENSORFLOW
from recns_tf.registry import SAMPLERS
from recns_tf.training import profiling
from recns_tf.utils import markdown

# isort: split
# None is public; nothing else says which kernels exist, or opens the body of a loop.
from tensorflow.core.framework.kernel_def_pb2 import KernelDef
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph
from tensorflow.python.framework.kernels import get_registered_kernels_for_op

SHAPE = Shape(200, 300, 3_000)
FEW = 16
"""Numbers in the largest tensor that counts as a seed or a shape instead of data."""

NO_KERNEL, ON_HOST = "no kernel for a GPU", "kernel for a GPU, data on the host"


class Placement(NamedTuple):
    """Where an operation of a step runs, or takes its data from.

    Attributes:
        operation: its type.
        kinds: dtypes of its inputs and outputs that are data, sorted.
        why: NO_KERNEL or ON_HOST.
    """

    operation: str
    kinds: tuple[str, ...]
    why: str


def gpu_kernel(operation: tf.Operation) -> KernelDef | None:
    """Return the kernel that runs an operation on a GPU, None if there is none.

    As in TensorFlow, one for all devices counts if none is for GPUs.
    """
    fitting = {
        kernel.device_type: kernel
        for kernel in kernels_of(operation.type)
        if not kernel.label and all(allows(each, operation) for each in kernel.constraint)
    }
    return fitting.get("GPU") or fitting.get("DEFAULT")


@functools.cache
def kernels_of(kind: str) -> tuple[KernelDef, ...]:
    """Return all kernels of a type of operation, on any device."""
    return tuple(get_registered_kernels_for_op(kind).kernel)


def allows(constraint: Any, operation: tf.Operation) -> bool:
    """Return whether an operation's attribute has one of the values that a kernel accepts."""
    value = operation.node_def.attr[constraint.name]
    allowed = constraint.allowed_values.list
    if allowed.type:
        return set(value.list.type or [value.type]) <= set(allowed.type)
    return value.s in allowed.s


def tensors(operation: tf.Operation) -> Iterator[tuple[str, tf.Tensor]]:
    """Yield every input and output of an operation, with the name of its argument."""
    definition = operation.op_def
    sides = (definition.input_arg, operation.inputs), (definition.output_arg, operation.outputs)
    for arguments, values in sides:
        place = 0
        for argument in arguments:
            attributes = operation.node_def.attr
            length = 1
            if argument.number_attr:
                length = attributes[argument.number_attr].i
            elif argument.type_list_attr:
                length = len(attributes[argument.type_list_attr].list.type)
            for value in values[place : place + length]:
                yield argument.name, value
            place += length


def is_data(tensor: tf.Tensor) -> bool:
    """Return whether a tensor holds numbers of the batch or of a table."""
    if tensor.dtype in (tf.resource, tf.variant):
        return False
    size = tensor.shape.num_elements()
    return size is None or size > FEW


def operations(graph: tf.Graph) -> Iterator[tf.Operation]:
    """Yield the operations of a graph and of the functions that it calls."""
    yield from graph.get_operations()
    for definition in graph.as_graph_def().library.function:
        with graph.as_default():
            yield from function_def_to_graph(definition).get_operations()


def placements(graph: tf.Graph) -> set[Placement]:
    """Return the operations of a graph whose data a GPU leaves on the host."""
    found = set()
    for operation in operations(graph):
        data = [(name, tensor) for name, tensor in tensors(operation) if is_data(tensor)]
        kernel = gpu_kernel(operation)
        why = NO_KERNEL
        if kernel is not None:
            why = ON_HOST
            data = [(name, tensor) for name, tensor in data if name in kernel.host_memory_arg]
        if data:
            kinds = tuple(sorted({tensor.dtype.base_dtype.name for _, tensor in data}))
            found.add(Placement(operation.type, kinds, why))
    return found


def step_graph(interactions: Interactions, sampler: str) -> tf.Graph:
    """Return the graph of a training step of LightGCN with a sampler."""
    config = dataclasses.replace(
        Config.for_run("random", "lightgcn"), sampler=sampler, kernels=TENSORFLOW, batch_size=512
    )
    model, pipeline = profiling.past_warmup(config, interactions, None)
    step = tf.function(model.train_step, jit_compile=False, autograph=False)
    return step.get_concrete_function(next(iter(pipeline.batches()))).graph


def rows(samplers: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Return the rows of the table: operation, dtypes, reason, and samplers that use it."""
    interactions = random_interactions(SHAPE)
    users: dict[Placement, list[str]] = defaultdict(list)
    for sampler in samplers:
        for each in placements(step_graph(interactions, sampler)):
            users[each].append(sampler)
    return [
        (
            f"`{each.operation}`",
            ", ".join(each.kinds),
            each.why,
            "all" if len(names) == len(samplers) else ", ".join(names),
        )
        for each, names in sorted(users.items(), key=lambda item: (item[0].why, item[0]))
    ]


def table(samplers: Sequence[str] = tuple(SAMPLERS)) -> list[str]:
    """Return the lines of the table of docs/devices.md."""
    return markdown.table(("operation", "data", "why", "samplers"), rows(samplers))


if __name__ == "__main__":
    print("\n".join(table()))
