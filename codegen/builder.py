"""Building blocks of emitted code: a builder with loops, vectors, and partial loads and stores."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from llvmlite import ir

from graphc.ir.types import Dim, Size

from .target import Target

I1, I8, I32, I64 = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)
F32, F64 = ir.FloatType(), ir.DoubleType()
PTR = ir.PointerType()
SCALARS: dict[str, ir.Type] = {
    "f32": F32, "f64": F64, "i8": I8, "i16": ir.IntType(16), "i32": I32, "i64": I64,
    "u8": I8, "u16": ir.IntType(16), "u32": I32, "bool": I1,
}  # fmt: skip


def memory_type(dtype: str) -> ir.Type:
    """The LLVM type that an element has in memory: a bool takes a byte."""
    return I8 if dtype == "bool" else SCALARS[dtype]


def i64(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


def splat(value: object, scalar: ir.Type, lanes: int) -> ir.Constant:
    """A constant vector of one value."""
    if isinstance(scalar, ir.FloatType):
        value = float(np.float32(value))  # type: ignore[arg-type]
    return Splat(ir.Constant(scalar, value), lanes)


class Splat(ir.Constant):
    """A constant vector of one value, which LLVM reads faster than its elements one by one."""

    def __init__(self, element: ir.Constant, lanes: int) -> None:
        super().__init__(ir.VectorType(element.type, lanes), None)
        self.element = element

    def _get_reference(self) -> str:
        return f"splat ({self.element})"


def zeros(scalar: ir.Type, lanes: int) -> ir.Constant:
    """A constant vector of zeros."""
    return Splat(ir.Constant(scalar, None), lanes)


class Emitter:
    """An llvmlite builder within one function, with what kernels need on top.

    Attributes:
        ir: the plain IRBuilder.
        target: the CPU.
        symbols: the values (i64) of symbolic dimensions.
        rows: the dimension whose rows a thread has some of, if work is to be shared so.
        first_strip: where a kernel adds to what it wrote for earlier rows: 1 if there were none.
        first_row: of the batch, that the kernel's row 0 is; None for the batch's own.
    """

    rows: Dim | None = None
    first_strip: ir.Value | None = None
    first_row: ir.Value | None = None

    def __init__(self, function: ir.Function, target: Target, symbols: dict[str, ir.Value]) -> None:
        self.function = function
        self.ir = ir.IRBuilder(function.append_basic_block("entry"))
        self.target = target
        self.symbols = symbols

    def aimed(self, target: Target) -> Emitter:
        """This emitter, for another target's vectors."""
        other = copy.copy(self)
        other.target = target
        return other

    def dim(self, dim: Dim | ir.Value) -> ir.Value:
        """A dimension's value; a value as it is."""
        if isinstance(dim, ir.Value):
            return dim
        if isinstance(dim, int):
            return i64(dim)
        value: ir.Value = i64(dim.factor)
        for symbol in dim.symbols:
            value = self.mul(value, self.symbols[symbol])
        return value

    def add(self, a: ir.Value, b: ir.Value | int) -> ir.Value:
        """a + b for indices, folded where it can be."""
        b = i64(b) if isinstance(b, int) else b
        known = _known(a), _known(b)
        if known[0] is not None and known[1] is not None:
            return i64(known[0] + known[1])
        if 0 in known:
            return a if known[1] == 0 else b
        return self.ir.add(a, b, flags=["nsw"])

    def mul(self, a: ir.Value, b: ir.Value | int) -> ir.Value:
        """a * b for indices, folded where it can be."""
        b = i64(b) if isinstance(b, int) else b
        known = _known(a), _known(b)
        if known[0] is not None and known[1] is not None:
            return i64(known[0] * known[1])
        if 1 in known:
            return a if known[1] == 1 else b
        return i64(0) if 0 in known else self.ir.mul(a, b, flags=["nsw"])

    def sub(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.ir.sub(a, b, flags=["nsw"])

    def minimum(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.ir.select(self.ir.icmp_signed("<", a, b), a, b)

    def div(self, a: ir.Value, b: ir.Value | int) -> ir.Value:
        return self.ir.udiv(a, i64(b) if isinstance(b, int) else b)

    def rem(self, a: ir.Value, b: ir.Value | int) -> ir.Value:
        return self.ir.urem(a, i64(b) if isinstance(b, int) else b)

    def share(
        self, total: ir.Value, thread: ir.Value, threads: ir.Value, rows: Dim | None = None
    ) -> tuple[ir.Value, ir.Value]:
        """The thread's part [low, high) of `total` tasks: those of its rows, where it has some."""
        rows = self.rows if rows is None else rows
        count = total if rows is None else self.dim(rows)
        low = self.div(self.mul(count, thread), threads)
        high = self.div(self.mul(count, self.add(thread, 1)), threads)
        if rows is None:
            return low, high
        each = self.div(total, count)
        return self.mul(low, each), self.mul(high, each)

    @contextmanager
    def loop(
        self, start: ir.Value, stop: ir.Value, step: int, carried: Sequence[ir.Value] = ()
    ) -> Iterator[tuple[ir.Value, list[ir.Value], Callable[[Sequence[ir.Value]], None]]]:
        """for index in range(start, stop, step), with values carried from turn to turn.

        Yields the index, the carried values at the turn's start, and a function that sets them for
        the next turn. After the loop, `self.carried` has the last ones.
        """
        b = self.ir
        before = b.block
        head = self.function.append_basic_block("head")
        body = self.function.append_basic_block("body")
        done = self.function.append_basic_block("done")
        b.branch(head)
        b.position_at_end(head)
        index = b.phi(I64)
        index.add_incoming(start, before)
        phis = [b.phi(value.type) for value in carried]
        for phi, value in zip(phis, carried, strict=True):
            phi.add_incoming(value, before)
        b.cbranch(b.icmp_signed("<", index, stop), body, done)
        b.position_at_end(body)
        following = list(phis)

        def carry(values: Sequence[ir.Value]) -> None:
            following[:] = values

        yield index, phis, carry
        index.add_incoming(b.add(index, i64(step), flags=["nsw"]), b.block)
        for phi, value in zip(phis, following, strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(done)
        self.carried: list[ir.Value] = phis

    def declare(self, name: str, result: ir.Type, *arguments: ir.Type) -> ir.Function:
        """The external function or intrinsic of this name."""
        module = self.function.module
        if name in module.globals:
            return module.globals[name]
        return ir.Function(module, ir.FunctionType(result, arguments), name)

    def intrinsic(self, name: str, *arguments: ir.Value) -> ir.Value:
        """Calls llvm.<name> for the type of the first argument, which is the result's too."""
        type_ = arguments[0].type
        vector = isinstance(type_, ir.VectorType)
        scalar = type_.element if vector else type_
        short = {F32: "f32", F64: "f64"}.get(scalar) or f"i{scalar.width}"
        suffix = f"v{type_.count}{short}" if vector else short
        full = f"llvm.{name}.{suffix}"
        return self.ir.call(self.declare(full, type_, *(a.type for a in arguments)), arguments)

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a * b + c, in one rounding where the target has the instruction."""
        return self.intrinsic("fmuladd", a, b, c)

    def prefetch(self, pointer: ir.Value, write: bool) -> None:
        """Asks for a cache line, for reading or writing."""
        function = self.declare("llvm.prefetch.p0", ir.VoidType(), PTR, I32, I32, I32)
        locality, data = ir.Constant(I32, 3), ir.Constant(I32, 1)
        self.ir.call(function, [pointer, ir.Constant(I32, int(write)), locality, data])

    def address(self, base: ir.Value, dtype: str, index: ir.Value) -> ir.Value:
        """base + index elements."""
        return self.ir.gep(base, [index], source_etype=memory_type(dtype))

    def spread(self, scalar: ir.Value, lanes: int) -> ir.Value:
        """A vector of one scalar."""
        single = ir.Constant(ir.VectorType(scalar.type, 1), ir.Undefined)
        single = self.ir.insert_element(single, scalar, ir.Constant(I32, 0))
        return self._repeat(single, lanes)

    def _repeat(self, few: ir.Value, lanes: int) -> ir.Value:
        """The lanes of a short vector, again and again."""
        count, undefined = few.type.count, ir.Constant(few.type, ir.Undefined)
        order = ir.Constant(ir.VectorType(I32, lanes), [lane % count for lane in range(lanes)])
        mask = zeros(I32, lanes) if count == 1 else order
        return self.ir.shuffle_vector(few, undefined, mask)

    def load_spread(self, pointer: ir.Value, lanes: int, count: int = 1) -> ir.Value:
        """A vector of so many floats in memory, again and again."""
        if count == 2:  # as one number, which there is an instruction for
            pair = self.ir.load(pointer, typ=F64, align=4)
            return self.ir.bitcast(self.spread(pair, lanes // 2), ir.VectorType(F32, lanes))
        few = self.ir.load(pointer, typ=ir.VectorType(F32, count), align=4)
        return self._repeat(few, lanes)

    def load_scalar(self, pointer: ir.Value, dtype: str) -> ir.Value:
        """One element; a bool as i1."""
        type_ = memory_type(dtype)
        value = self.ir.load(pointer, typ=type_, align=_align(type_))
        return self.ir.icmp_unsigned("!=", value, ir.Constant(I8, 0)) if dtype == "bool" else value

    def load(self, pointer: ir.Value, dtype: str, valid: int) -> ir.Value:
        """A vector whose first `valid` lanes are read from memory; the others are 0."""
        lanes, type_ = self.target.lanes, memory_type(dtype)
        vector = ir.VectorType(type_, lanes)
        if valid == lanes:
            value = self.ir.load(pointer, typ=vector, align=_align(type_))
        elif self.maskable(dtype):
            value = self.load_masked(pointer, dtype, self._mask(valid))
        else:
            value = zeros(type_, lanes)
            for lane in range(valid):
                element = self.load_lane(pointer, type_, lane)
                value = self.ir.insert_element(value, element, ir.Constant(I32, lane))
        if dtype == "bool":
            return self.ir.icmp_unsigned("!=", value, zeros(type_, lanes))
        return value

    def maskable(self, dtype: str) -> bool:
        """Whether `load_masked` takes the dtype."""
        return self.target.masked and dtype in ("f32", "i32", "u32")

    def load_masked(self, pointer: ir.Value, dtype: str, mask: ir.Value) -> ir.Value:
        """A vector of the lanes that a mask (a bit a lane) has; the others are 0, and not read."""
        lanes, type_ = self.target.lanes, memory_type(dtype)
        vector = ir.VectorType(type_, lanes)
        name = "f32" if dtype == "f32" else "i32"
        function = self.declare(
            f"llvm.masked.load.v{lanes}{name}.p0", vector, PTR, ir.VectorType(I1, lanes), vector
        )
        return self.ir.call(function, [pointer, mask, zeros(type_, lanes)])

    def load_lane(self, pointer: ir.Value, type_: ir.Type, lane: int) -> ir.Value:
        return self.ir.load(
            self.ir.gep(pointer, [i64(lane)], source_etype=type_), typ=type_, align=_align(type_)
        )

    def store(self, value: ir.Value, pointer: ir.Value, dtype: str, valid: int) -> None:
        """Writes the first `valid` lanes of a vector."""
        lanes, type_ = self.target.lanes, memory_type(dtype)
        if dtype == "bool":
            value = self.ir.zext(value, ir.VectorType(I8, lanes))
        if valid == lanes:
            self.ir.store(value, pointer, align=_align(type_))
        elif self.maskable(dtype):
            name = "f32" if dtype == "f32" else "i32"
            function = self.declare(
                f"llvm.masked.store.v{lanes}{name}.p0",
                ir.VoidType(), value.type, PTR, ir.VectorType(I1, lanes),
            )  # fmt: skip
            self.ir.call(function, [value, pointer, self._mask(valid)])
        else:
            for lane in range(valid):
                element = self.ir.extract_element(value, ir.Constant(I32, lane))
                place = self.ir.gep(pointer, [i64(lane)], source_etype=type_)
                self.ir.store(element, place, align=_align(type_))

    def _mask(self, valid: int) -> ir.Constant:
        lanes = self.target.lanes
        return ir.Constant(ir.VectorType(I1, lanes), [int(lane < valid) for lane in range(lanes)])

    def fold_lanes(
        self, value: ir.Value, combine: Callable[[ir.Value, ir.Value], ir.Value], size: int = 0
    ) -> ir.Value:
        """Combines all lanes, or each so many neighbours, by halves, a fixed tree; the result is in
        every lane, or in the first one of the neighbours."""
        lanes = value.type.count
        half = (size or lanes) // 2
        while half:
            order = [(lane + half) % lanes for lane in range(lanes)]
            value = combine(value, self._shuffled(value, order))
            half //= 2
        return value

    def fold_groups(self, value: ir.Value, size: int) -> ir.Value:
        """The sums of so many neighbouring lanes each, one after the other."""
        if size == 1:
            return value
        lanes = value.type.count
        sums = self.fold_lanes(value, self.ir.fadd, size)
        return self._shuffled(sums, [lane * size % lanes for lane in range(lanes)])

    def _shuffled(self, value: ir.Value, order: Sequence[int]) -> ir.Value:
        """A vector of these lanes of another one."""
        undefined = ir.Constant(value.type, ir.Undefined)
        mask = ir.Constant(ir.VectorType(I32, len(order)), list(order))
        return self.ir.shuffle_vector(value, undefined, mask)


def _known(value: ir.Value) -> int | None:
    return value.constant if isinstance(value, ir.Constant) else None


def _align(type_: ir.Type) -> int:
    if isinstance(type_, ir.IntType):
        return max(type_.width // 8, 1)
    return 4 if type_ == F32 else 8


def is_static(dim: Dim) -> bool:
    return not isinstance(dim, Size)
