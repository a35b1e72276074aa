"""Thin products: a few rows of A by a matrix B that is read where it is, once, in order.

What such a product takes is the time to read B, which packing would triple. So a few rows of B at
a time, each along all of a thread's columns, are multiplied and added to C, which stays in the
first-level cache: B comes in long streams. Every element of C is summed over K in order, as tiles
are: with the same bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from llvmlite import ir

from graphc.ir.types import Size

from .builder import F32, I64, PTR, Emitter, i64, zeros
from .epilogue import Epilogue
from .operands import Product

Value: TypeAlias = ir.Value

# The most rows of C: with more, packing B pays.
THIN_ROWS = 8
# Elements of B at least: fewer are packed in a microsecond.
LEAST_ELEMENTS = 8192
# Rows that go over B together, the most first, and how many rows of B at a time.
DEPTHS = {4: 4, 2: 8, 1: 8}
# Vectors of a row of B at a time.
VECTORS = 2
# Vectors of C that a share of a thread is a multiple of.
SHARE_VECTORS = 4


def may_be_thin(p: Product) -> bool:
    """Whether a product can have so few rows, its B be read so, and that be worth code."""
    few = isinstance(p.m, Size) or p.m <= THIN_ROWS
    large = not isinstance(p.k, int) or p.k * p.n >= LEAST_ELEMENTS
    return few and large and p.count == 1 and p.a.is_matrix and not (p.transpose_b or p.parts)


def thin_scratch(p: Product, lanes: int) -> int:
    """Bytes that a thread needs: C's rows."""
    return 4 * THIN_ROWS * _padded(p.n, lanes) if may_be_thin(p) else 0


def _padded(n: int, lanes: int) -> int:
    return -(-n // lanes) * lanes


def emit_thin(
    e: Emitter, p: Product, pointers: Sequence[Value], epilogue: Epilogue, thread: Value,
    threads: Value, scratch: Value,
) -> None:  # fmt: skip
    """The product and its epilogue; threads split C's columns.

    Args:
        pointers: of A and B.
    """
    lanes = e.target.lanes
    a, b = pointers
    unit = SHARE_VECTORS * lanes
    low, high = e.share(i64(-(-p.n // unit)), thread, threads)
    start, stop = e.mul(low, unit), e.minimum(e.mul(high, unit), i64(p.n))
    m, depth = e.dim(p.m), e.dim(p.k)
    stride = i64(_padded(p.n, lanes))
    row: Value = i64(0)
    for height in DEPTHS:
        function = _function(e, height, p.n % lanes)
        end = e.add(row, e.mul(e.div(e.sub(m, row), height), height))
        with e.loop(row, end, height) as (at, _, _):
            a_at = e.address(a, "f32", e.mul(at, e.dim(p.a.row_stride)))
            c_at = e.address(scratch, "f32", e.mul(at, stride))
            strides = [e.dim(p.a.row_stride), e.dim(p.a.stride), i64(p.n), stride]
            e.ir.call(function, [a_at, b, c_at, depth, *strides, start, stop])
        row = end
    with e.loop(i64(0), m, 1) as (at, _, _):
        outer = epilogue.outer(at)
        c_row = e.address(scratch, "f32", e.mul(at, stride))

        def finish(column: Value, valids: Sequence[int]) -> None:
            for v, valid in enumerate(valids):
                here = e.add(column, v * lanes)
                sums = e.load(e.address(c_row, "f32", here), "f32", lanes)
                epilogue.finish(outer, here, sums, valid)

        _each_column(e, start, stop, p.n % lanes, finish)


def _each_column(
    e: Emitter, start: Value, stop: Value, tail: int, visit: Callable[[Value, Sequence[int]], None]
) -> None:
    """Visits columns, some vectors at a time: visit(the first, lanes of each vector in memory)."""
    lanes = e.target.lanes
    for vectors in (VECTORS, 1):
        width = vectors * lanes
        end = e.add(start, e.mul(e.div(e.sub(stop, start), width), width))
        with e.loop(start, end, width) as (column, _, _):
            visit(column, [lanes] * vectors)
        start = end
    if tail:
        with e.ir.if_then(e.ir.icmp_signed("<", start, stop)):
            visit(start, [tail])


def _function(outer: Emitter, height: int, tail: int) -> ir.Function:
    """f(A, B, C, depth, A's strides between rows and along K, B's, C's, first column, last + 1)."""
    module = outer.function.module
    name = f"thin_{height}_{tail}"
    if name in module.globals:
        return module.globals[name]
    signature = ir.FunctionType(ir.VoidType(), [PTR, PTR, PTR, *[I64] * 7])
    function = ir.Function(module, signature, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    for argument in function.args[:3]:
        argument.add_attribute("noalias")
    e = Emitter(function, outer.target, {})
    a, b, c, depth, row_stride, k_stride, n, c_stride, start, stop = function.args
    lanes = e.target.lanes
    c_rows = [e.address(c, "f32", e.mul(c_stride, row)) for row in range(height)]

    def clear(column: Value, valids: Sequence[int]) -> None:
        for place in _tile(e, c_rows, column, len(valids)):
            e.store(zeros(F32, lanes), place, "f32", lanes)

    def multiply(
        b_rows: Sequence[Value], spread: Sequence[Sequence[Value]], column: Value,
        valids: Sequence[int],
    ) -> None:  # fmt: skip
        places = _tile(e, c_rows, column, len(valids))
        sums = [e.load(place, "f32", lanes) for place in places]
        for b_row, factors in zip(b_rows, spread, strict=True):
            taken = [
                e.load(e.address(b_row, "f32", e.add(column, v * lanes)), "f32", valid)
                for v, valid in enumerate(valids)
            ]
            pairs = itertools.product(factors, taken)
            sums = [e.fma(*pair, so_far) for pair, so_far in zip(pairs, sums, strict=True)]
        for value, place in zip(sums, places, strict=True):
            e.store(value, place, "f32", lanes)

    _each_column(e, start, stop, tail, clear)
    k: Value = i64(0)
    for step in (DEPTHS[height], 1):
        end = e.mul(e.div(depth, step), step)
        with e.loop(k, end, step) as (k0, _, _):
            a_at = e.address(a, "f32", e.mul(k0, k_stride))
            b_rows = [e.address(b, "f32", e.mul(e.add(k0, at), n)) for at in range(step)]
            columns = [e.address(a_at, "f32", e.mul(k_stride, at)) for at in range(step)]
            spread = [
                [
                    e.load_spread(e.address(at, "f32", e.mul(row_stride, row)), lanes)
                    for row in range(height)
                ]
                for at in columns
            ]
            _each_column(e, start, stop, tail, partial(multiply, b_rows, spread))
        k = end
    e.ir.ret_void()
    return function


def _tile(e: Emitter, rows: Sequence[Value], column: Value, vectors: int) -> list[Value]:
    """Where vectors of some rows stand from a column on, row by row."""
    lanes = e.target.lanes
    return [e.address(row, "f32", e.add(column, v * lanes)) for row in rows for v in range(vectors)]
