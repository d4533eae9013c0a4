"""A hint to the processor to fetch a cache line, for compiled loops that read random rows.

A change of this file does not reach functions that numba has cached: change theirs, too. Each of
these functions has its own loop over the lines of a row: called from a function for it, even one
that numba inlines, propagation took 1.3 times as long.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64
"""Bytes of a cache line."""

AHEAD = 8
"""How many rows ahead to fetch."""


@intrinsic
def prefetch(_: Any, table: types.Array, row: types.Integer, column: types.Integer) -> Any:
    """Fetch the cache line of table[row, column], an element that need not exist."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        offset = builder.add(
            *(
                builder.mul(place, builder.extract_value(array.strides, axis))
                for axis, place in enumerate(arguments[1:])
            )
        )
        place = builder.gep(builder.bitcast(array.data, byte), [offset])
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # Read access, keep in all cache levels, data cache.
        builder.call(function, [place, *(number(flag) for flag in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(table, types.int64, types.int64), codegen
