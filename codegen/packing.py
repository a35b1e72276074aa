"""Packing: operands laid out as the micro-kernel reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from llvmlite import ir

from graphc.ir.types import Dim

from .builder import F32, I32, I64, PTR, Emitter, i64, zeros

Value: TypeAlias = ir.Value


@dataclass(frozen=True)
class Source:
    """The matrix B[K, N] in memory, or [N, K] when transposed, K's blocks, and how many elements of
    K a vector has for each column."""

    base: Value
    n: int
    k: Dim
    transposed: bool
    k_block: int
    together: int


@dataclass(frozen=True)
class Stripe:
    """A stripe of B: from column and k0 on, depth rows of vectors with `valids` lanes in memory."""

    column: Value
    k0: Value
    depth: Value
    valids: Sequence[int]


def pack(e: Emitter, b: Source, stripe: Stripe, packed: Value) -> None:
    """Writes the stripe as depth rows of the tile's width, zeros beyond N."""
    if b.transposed:
        _pack_transposed(e, b, stripe, packed)
        return
    if b.together > 1:
        _pack_together(e, b, stripe, packed)
        return
    lanes = e.target.lanes
    width = len(stripe.valids) * lanes
    with e.loop(i64(0), stripe.depth, 1) as (k, _, _):
        row = e.add(e.mul(e.add(stripe.k0, k), b.n), stripe.column)
        for v, valid in enumerate(stripe.valids):
            source = e.address(b.base, "f32", e.add(row, v * lanes))
            target = e.address(packed, "f32", e.add(e.mul(k, width), v * lanes))
            e.store(e.load(source, "f32", valid), target, "f32", lanes)


def pack_rows(
    e: Emitter, source: Value, stride: Value, count: Value, depth: Value, packed: Value, rows: int
) -> None:
    """Writes runs of `count` elements, `stride` apart, as rows of `rows` elements."""
    lanes = e.target.lanes
    whole = e.ir.icmp_signed("==", count, i64(rows))
    with e.loop(i64(0), depth, 1) as (k, _, _):
        start = e.address(source, "f32", e.mul(k, stride))
        target = e.address(packed, "f32", e.mul(k, rows))
        with e.ir.if_else(whole) as (then, otherwise):
            with then:
                for at in range(0, rows, lanes):
                    valid = min(lanes, rows - at)
                    value = e.load(e.address(start, "f32", i64(at)), "f32", valid)
                    e.store(value, e.address(target, "f32", i64(at)), "f32", valid)
            with otherwise, e.loop(i64(0), count, 1) as (at, _, _):
                element = e.load_scalar(e.address(start, "f32", at), "f32")
                e.ir.store(element, e.address(target, "f32", at), align=4)


def _pack_together(e: Emitter, b: Source, stripe: Stripe, packed: Value) -> None:
    """Several elements of K for each column, element by element: there are few columns."""
    lanes, (columns,) = e.target.lanes, stripe.valids
    with e.loop(i64(0), stripe.depth, b.together) as (k, _, _):
        target = e.address(packed, "f32", e.mul(e.div(k, b.together), lanes))
        e.store(zeros(F32, lanes), target, "f32", lanes)
        for at in range(b.together):
            row = e.mul(e.add(e.add(stripe.k0, k), at), b.n)
            for column in range(columns):
                element = e.load_scalar(e.address(b.base, "f32", e.add(row, column)), "f32")
                place = e.address(target, "f32", i64(column * b.together + at))
                e.ir.store(element, place, align=4)


def _pack_transposed(e: Emitter, b: Source, stripe: Stripe, packed: Value) -> None:
    """From B stored as [N, K]: squares of lanes x lanes are transposed in registers."""
    lanes = e.target.lanes
    whole = e.mul(e.div(stripe.depth, lanes), lanes)
    assert isinstance(b.k, int)
    with e.loop(i64(0), whole, lanes) as (k, _, _):
        _pack_square(e, b, stripe, packed, k, lanes)
    # The tail of K is the same for every block but the last; its size is known only there.
    last = b.k % b.k_block
    tails = {b.k_block % lanes, (last or b.k_block) % lanes} - {0}
    for tail in sorted(tails):
        with e.ir.if_then(e.ir.icmp_signed("==", e.sub(stripe.depth, whole), i64(tail))):
            _pack_square(e, b, stripe, packed, whole, tail)


def _pack_square(
    e: Emitter, b: Source, stripe: Stripe, packed: Value, k: Value, depth: int
) -> None:
    lanes = e.target.lanes
    width = len(stripe.valids) * lanes
    row = e.dim(b.k)
    for v, valid in enumerate(stripe.valids):
        source = e.add(e.mul(e.add(stripe.column, v * lanes), row), e.add(stripe.k0, k))
        target = e.add(e.mul(k, width), v * lanes)
        addresses = e.address(b.base, "f32", source), e.address(packed, "f32", target)
        function = _square_function(e, valid, depth)
        e.ir.call(function, [addresses[0], row, addresses[1], i64(width)])


def _square_function(outer: Emitter, valid: int, depth: int) -> ir.Function:
    """f(source, row, target, width): transposes `valid` rows of `depth` elements; shared."""
    module, lanes = outer.function.module, outer.target.lanes
    name = f"transpose_{valid}x{depth}_by_{lanes}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [PTR, I64, PTR, I64]), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    e = Emitter(function, outer.target, {})
    source, row, target, width = function.args
    zero = zeros(F32, lanes)
    rows = [
        e.load(e.address(source, "f32", e.mul(row, lane)), "f32", depth) if lane < valid else zero
        for lane in range(lanes)
    ]
    for at, value in enumerate(transpose_square(e, rows)[:depth]):
        e.store(value, e.address(target, "f32", e.mul(width, at)), "f32", lanes)
    e.ir.ret_void()
    return function


def transpose_square(e: Emitter, rows: list[Value]) -> list[Value]:
    """The columns of a square of vectors, by log2(lanes) rounds of two-input shuffles."""
    lanes = len(rows)
    half = lanes // 2
    while half:
        result: list[Value] = list(rows)
        low = [lane if not lane & half else lanes + (lane ^ half) for lane in range(lanes)]
        high = [lane | half if not lane & half else lanes + lane for lane in range(lanes)]
        for row in range(lanes):
            if not row & half:
                pair = rows[row], rows[row | half]
                result[row] = e.ir.shuffle_vector(*pair, _mask(low))
                result[row | half] = e.ir.shuffle_vector(*pair, _mask(high))
        rows = result
        half //= 2
    return rows


def _mask(order: Sequence[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(I32, len(order)), list(order))
