"""The inner loops of a scan of millions of tiles, compiled by Numba.

NumPy widens float16 in a tenth of the memory's speed and cannot multiply int8 by float32 without a
copy, so that a pass over 1.44 million rows takes four times a pass over float32. Here a stored row
is widened in registers, multiplied by up to `QUERIES` queries while it is there, and the next rows
are already on their way from memory: without that prefetch int8 is three times slower, because the
processor's own stops at the end of each page of 4 KB. Sums are float32, exact on what is stored.

Importing this module takes half a second and needs Numba; `mars_map.search.scan` does so only for
indexes that are large enough to gain by it.
"""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

QUERIES = 4
"""Queries whose sums are held in registers at once."""
AHEAD = 4
"""Rows between the one that is multiplied and the one that is called from memory."""
LINE = 64
"""Bytes of a cache line."""


@intrinsic
def _widen_half(_context: Any, _bits: Any) -> Any:
    """Read 16 bits as a float16 and widen it: Numba has no such type on a CPU, LLVM has."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.int16), generate


@intrinsic
def _prefetch(_context: Any, array: Any, _row: Any, _column: Any) -> Any:
    """Ask for the cache line of array[row, column] without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        struct = context.make_array(kind)(context, builder, arguments[0])
        item = cgutils.get_item_pointer(context, builder, kind, struct, list(arguments[1:]))
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, number, number, number]),
            "llvm.prefetch.p0",
        )
        to_read, keep_near, data = number(0), number(3), number(1)
        builder.call(function, [builder.bitcast(item, pointer), to_read, keep_near, data])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


def _compiled(function: Any) -> Any:
    """Compile at the first call and keep the machine code on disk where a folder can be written."""
    try:
        return numba.njit(nogil=True, fastmath=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True, fastmath=True)(function)


@_compiled
def scan_int8(rows, queries, out):  # type: ignore[no-untyped-def]
    """Multiply rows (n, dim) int8 by queries (q, dim) float32 into out (q, n) float32."""
    n, dim = rows.shape
    count = queries.shape[0]
    wide = np.empty(dim, np.float32)
    for row in range(n):
        if row + AHEAD < n:
            for column in range(0, dim, LINE):
                _prefetch(rows, row + AHEAD, column)
        if count == 1:
            total = np.float32(0)
            for j in range(dim):
                total += np.float32(rows[row, j]) * queries[0, j]
            out[0, row] = total
        else:
            for j in range(dim):
                wide[j] = np.float32(rows[row, j])
            _multiply(wide, queries, out, row)


@_compiled
def scan_float16(rows, queries, out):  # type: ignore[no-untyped-def]
    """Multiply rows (n, dim), float16 seen as int16, by queries (q, dim) into out (q, n)."""
    n, dim = rows.shape
    count = queries.shape[0]
    wide = np.empty(dim, np.float32)
    for row in range(n):
        if row + AHEAD < n:
            for column in range(0, dim, LINE // 2):
                _prefetch(rows, row + AHEAD, column)
        if count == 1:
            total = np.float32(0)
            for j in range(dim):
                total += _widen_half(rows[row, j]) * queries[0, j]
            out[0, row] = total
        else:
            for j in range(dim):
                wide[j] = _widen_half(rows[row, j])
            _multiply(wide, queries, out, row)


@_compiled
def _multiply(wide, queries, out, row):  # type: ignore[no-untyped-def]
    """Multiply one widened row by all queries, four of them in one go."""
    dim = wide.shape[0]
    count = queries.shape[0]
    first = 0
    while first + QUERIES <= count:
        a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for j in range(dim):
            value = wide[j]
            a += value * queries[first, j]
            b += value * queries[first + 1, j]
            c += value * queries[first + 2, j]
            d += value * queries[first + 3, j]
        out[first, row], out[first + 1, row] = a, b
        out[first + 2, row], out[first + 3, row] = c, d
        first += QUERIES
    for k in range(first, count):
        total = np.float32(0)
        for j in range(dim):
            total += wide[j] * queries[k, j]
        out[k, row] = total
