"""Micro-kernels: a register tile of C, a loop over K, and what they fetch ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from llvmlite import ir

from graphc.ir.types import Dim

from .builder import F32, I64, PTR, Emitter, i64, zeros

Value: TypeAlias = ir.Value

CACHE_LINE = 64


@dataclass(frozen=True)
class Operand:
    """A matrix in memory as the micro-kernel walks it: elements between rows, and along K."""

    row_stride: Dim
    k_stride: Dim


def micro_kernel(
    outer: Emitter, height: int, vectors: int, a: Operand, n: int, beside: int
) -> ir.Function:
    """C[height, vectors] (+)= A B over a block of K, C in registers; shared in the module.

    f(A, B, C, depth, whether C starts at 0, A's strides along K and between rows, B's next stripe,
    its elements between rows, an address in each of the matrices beside C): strides that are
    constants are compiled in.

    Args:
        height: rows of the tile.
        vectors: vectors of the tile's rows.
        a: A's strides.
        n: elements between rows of the matrices beside C.
        beside: how many of these there are.
    """
    name = f"micro_{height}x{vectors}_{_label(a.row_stride)}_{_label(a.k_stride)}"
    name += f"_{beside}x{n}" if beside else ""
    module = outer.function.module
    if name in module.globals:
        return module.globals[name]
    signature = ir.FunctionType(
        ir.VoidType(), [PTR, PTR, PTR, I64, ir.IntType(1), I64, I64, PTR, I64] + [PTR] * beside
    )
    function = ir.Function(module, signature, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    for argument in function.args[:3]:
        argument.add_attribute("noalias")
    _fill(Emitter(function, outer.target, {}), height, vectors, a, n)
    return function


def _label(stride: Dim) -> str:
    return str(stride).replace("*", "_")


def _fill(e: Emitter, height: int, vectors: int, a: Operand, n: int) -> None:
    """The loop over K: one broadcast of A and a multiply-add a row and vector.

    On the way it fetches into cache what is needed next: B's next stripe, a row for each k, and
    the matrices that the epilogue reads beside C, a row for each turn of the loop.
    """
    a_base, b_base, c_base, depth, first, k_argument, row_argument, *ahead = e.function.args
    next_base, next_step, *beside = ahead
    lanes = e.target.lanes
    k_stride = i64(a.k_stride) if isinstance(a.k_stride, int) else k_argument
    row_stride = i64(a.row_stride) if isinstance(a.row_stride, int) else row_argument
    vector = ir.VectorType(F32, lanes)
    zero = zeros(F32, lanes)
    tile = [
        e.address(c_base, "f32", i64((row * vectors + v) * lanes))
        for row in range(height)
        for v in range(vectors)
    ]

    def multiply(a_at: Value, b_at: Value, sums: list[Value], step: int) -> list[Value]:
        b_row = [
            e.load(e.address(b_at, "f32", i64((step * vectors + v) * lanes)), "f32", lanes)
            for v in range(vectors)
        ]
        result = []
        for row in range(height):
            offset = e.add(e.mul(row_stride, row), e.mul(k_stride, step))
            spread = e.load_spread(e.address(a_at, "f32", offset), lanes)
            for v in range(vectors):
                result.append(e.fma(spread, b_row[v], sums[row * vectors + v]))
        return result

    def fetch(pointer: Value, write: bool) -> None:
        for at in range(0, vectors * lanes * 4, CACHE_LINE):
            e.prefetch(e.address(pointer, "u8", i64(at)), write)

    # C is loaded only when an earlier block left something there.
    entry = e.ir.block
    with e.ir.if_then(e.ir.not_(first)):
        loaded = [e.load(place, "f32", lanes) for place in tile]
        inside = e.ir.block
    initial = []
    for value in loaded:
        phi = e.ir.phi(vector)
        phi.add_incoming(zero, entry)
        phi.add_incoming(value, inside)
        initial.append(phi)
    unroll = 2
    whole = e.mul(e.div(depth, unroll), unroll)
    sums: list[Value] = initial
    for start, stop, step in ((i64(0), whole, unroll), (whole, depth, 1)):
        with e.loop(start, stop, step, sums) as (k, carried, carry):
            inner = carried
            a_at = e.address(a_base, "f32", e.mul(k, k_stride))
            b_at = e.address(b_base, "f32", e.mul(k, vectors * lanes))
            for at in range(step):
                inner = multiply(a_at, b_at, inner, at)
                fetch(e.address(next_base, "f32", e.mul(e.add(k, at), next_step)), False)
            if step == unroll:
                row = e.ir.and_(e.div(k, 4), i64(15))
                for pointer in beside:
                    fetch(e.address(pointer, "f32", e.mul(row, n)), True)
            carry(inner)
        sums = e.carried
    for value, place in zip(sums, tile, strict=True):
        e.store(value, place, "f32", lanes)
    e.ir.ret_void()
