"""Scatter-add kernels: rows of updates added to the rows that an index names."""

from __future__ import annotations

from typing import TypeAlias

from llvmlite import ir

from graphc.ir.types import product

from .builder import I64, SCALARS, Emitter, i64, memory_type, zeros
from .elementwise import LOWERINGS
from .loops import each_vector
from .values import Body

Value: TypeAlias = ir.Value


def emit_scatter(e: Emitter, body: Body, thread: Value, threads: Value) -> None:
    """A kernel of one scatter_add. Threads split the result's rows, and each reads the whole index,
    so that every row is summed in the order of the index; rows out of range are left out."""
    (name, node), *_ = body.graph.outputs.items()
    index, updates = body.operands[node]
    dtype = node.tensor.dtype
    columns = product(node.tensor.shape[1:])
    width = e.dim(columns)
    target = body.results[name]
    source, numbers = (body.pointers[body.access(o).leaf] for o in (updates, index))
    low, high = e.share(e.dim(node.tensor.shape[0]), thread, threads)
    _clear(e, target, dtype, e.mul(low, width), e.mul(high, width))
    with e.loop(i64(0), e.dim(index.tensor.elements), 1) as (at, _, _):
        row = e.load_scalar(e.address(numbers, index.tensor.dtype, at), index.tensor.dtype)
        row = row if row.type == I64 else e.ir.sext(row, I64)
        mine = e.ir.and_(e.ir.icmp_signed(">=", row, low), e.ir.icmp_signed("<", row, high))
        with e.ir.if_then(mine):
            to = e.address(target, dtype, e.mul(row, width))
            given = e.address(source, dtype, e.mul(at, width))

            def visit(column: Value, valid: int, carried: list[Value]) -> list[Value]:
                place, term = e.address(to, dtype, column), e.address(given, dtype, column)
                total = LOWERINGS["add"](
                    e, {}, e.load(place, dtype, valid), e.load(term, dtype, valid)
                )
                e.store(total, place, dtype, valid)
                return carried

            each_vector(e, columns, visit)


def _clear(e: Emitter, target: Value, dtype: str, start: Value, stop: Value) -> None:
    """Sets elements to 0."""
    zero = zeros(memory_type(dtype) if dtype == "bool" else SCALARS[dtype], e.target.lanes)

    def visit(at: Value, valid: int, carried: list[Value]) -> list[Value]:
        e.store(zero, e.address(target, dtype, at), dtype, valid)
        return carried

    each_vector(e, 0, visit, span=(start, stop))
