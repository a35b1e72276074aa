"""Micro-kernels: a register tile of C, a loop over K, and what they fetch ahead."""

from __future__ import annotations

from typing import TypeAlias

from llvmlite import ir

from graphc.ir.types import Dim

from .builder import F32, I64, PTR, Emitter, i64, zeros
from .operands import View

Value: TypeAlias = ir.Value

CACHE_LINE = 64
# Elements of a segment that are written out at a time, and their multiply-adds: in more of them
# LLVM moves so many loads ahead that there are no registers for them.
MOST_WRITTEN_OUT, MOST_MULTIPLIED = 4, 48


def micro_kernel(
    outer: Emitter, height: int, vectors: int, a: View, n: int, beside: int, together: int
) -> ir.Function:
    """C[height, vectors] (+)= A B over a block of K, C in registers; shared in the module.

    f(A, B, C, depth, whether C starts at 0, A's strides along K and between rows, B's next stripe,
    its elements between rows, an address in each of the matrices beside C): strides that are
    constants are compiled in. When A is no matrix, depth counts segments, instead of the stride
    between rows there is the elements of a segment, and two more arguments hold the offsets of the
    rows and of the segments.

    Args:
        height: rows of the tile.
        vectors: vectors of the tile's rows.
        a: how to walk A.
        n: elements between rows of the matrices beside C.
        beside: how many of these there are.
        together: elements of K in a vector, for each column; C has the sums of each apart.
    """
    by = _written_out(a, height * vectors, together)
    segment = f"by_{by}" if by == a.depth else f"by_{by}s"
    shape = _label(a.row_stride) if a.is_matrix else segment
    name = f"micro_{height}x{vectors * outer.target.lanes}_{shape}_{_label(a.stride)}"
    name += f"_{beside}x{n}" if beside else ""
    name += f"_{together}k" if together > 1 else ""
    module = outer.function.module
    if name in module.globals:
        return module.globals[name]
    tables = [] if a.is_matrix else [PTR, PTR]
    signature = ir.FunctionType(
        ir.VoidType(),
        [PTR, PTR, PTR, I64, ir.IntType(1), I64, I64, PTR, I64] + [PTR] * beside + tables,
    )
    function = ir.Function(module, signature, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    for argument in function.args[:3]:
        argument.add_attribute("noalias")
    _MicroKernel(
        Emitter(function, outer.target, {}), height, vectors, a, n, beside, together
    ).fill()
    return function


def _written_out(a: View, sums: int, together: int) -> int:
    """How many elements of a segment are written out for this many sums, in a loop over as many
    segments as there are of these."""
    if not isinstance(a.depth, int):
        return 0
    most = min(max(MOST_MULTIPLIED // sums, 1), MOST_WRITTEN_OUT)
    return together * max(by for by in range(1, most + 1) if a.depth // together % by == 0)


def _label(stride: Dim) -> str:
    return str(stride).replace("*", "_")


class _MicroKernel:
    def __init__(
        self, e: Emitter, height: int, vectors: int, a: View, n: int, beside: int, together: int
    ) -> None:
        self.e, self.height, self.vectors, self.a, self.n = e, height, vectors, a, n
        self.together = together
        (
            self.a_base, self.b_base, self.c_base, self.depth, self.first, k_stride, row_stride,
            self.next_base, self.next_step, *rest,
        ) = e.function.args  # fmt: skip
        self.beside, self.tables = rest[:beside], rest[beside:]
        self.segment_depth = row_stride
        self.k_stride = i64(a.stride) if isinstance(a.stride, int) else k_stride
        fixed = isinstance(a.row_stride, int)
        self.row_stride = i64(a.row_stride) if fixed else row_stride  # type: ignore[arg-type]
        self.lanes = e.target.lanes

    def fill(self) -> None:
        """Loads the tile, goes over K, stores the tile."""
        e = self.e
        tile = [
            e.address(self.c_base, "f32", i64(at * self.lanes))
            for at in range(self.height * self.vectors)
        ]
        initial = self._initial(tile)
        sums = self._matrix(initial) if self.a.is_matrix else self._segments(initial)
        for value, place in zip(sums, tile, strict=True):
            e.store(value, place, "f32", self.lanes)
        e.ir.ret_void()

    def _initial(self, tile: list[Value]) -> list[Value]:
        """C is loaded only when an earlier block left something there."""
        e = self.e
        entry = e.ir.block
        with e.ir.if_then(e.ir.not_(self.first)):
            loaded = [e.load(place, "f32", self.lanes) for place in tile]
            inside = e.ir.block
        initial = []
        for value in loaded:
            phi = e.ir.phi(ir.VectorType(F32, self.lanes))
            phi.add_incoming(zeros(F32, self.lanes), entry)
            phi.add_incoming(value, inside)
            initial.append(phi)
        return initial

    def _multiply(
        self, rows: list[Value], b_at: Value, sums: list[Value], step: int
    ) -> list[Value]:
        """One broadcast of A and a multiply-add a row and vector."""
        e, result = self.e, []
        b_row = [
            e.load(
                e.address(b_at, "f32", i64((step * self.vectors + v) * self.lanes)), "f32",
                self.lanes,
            )
            for v in range(self.vectors)
        ]  # fmt: skip
        for row, place in enumerate(rows):
            at = e.address(place, "f32", e.mul(self.k_stride, step * self.together))
            spread = e.load_spread(at, self.lanes, self.together)
            for v in range(self.vectors):
                result.append(e.fma(spread, b_row[v], sums[row * self.vectors + v]))
        return result

    def _steps(self, rows: list[Value], b_at: Value, sums: list[Value], count: int) -> list[Value]:
        """The first elements of a segment, written out."""
        for step in range(count // self.together):
            sums = self._multiply(rows, b_at, sums, step)
        return sums

    def _fetch(self, pointer: Value, write: bool) -> None:
        for at in range(0, self.vectors * self.lanes * 4, CACHE_LINE):
            self.e.prefetch(self.e.address(pointer, "u8", i64(at)), write)

    def _matrix(self, sums: list[Value]) -> list[Value]:
        """K as one run, with B's next stripe, a row for each k, fetched into cache on the way, and
        the matrices that the epilogue reads beside C, a row for each turn of the loop."""
        e, unroll = self.e, 2
        whole = e.mul(e.div(self.depth, unroll), unroll)
        for start, stop, step in ((i64(0), whole, unroll), (whole, self.depth, 1)):
            with e.loop(start, stop, step, sums) as (k, carried, carry):
                inner = carried
                a_at = e.address(self.a_base, "f32", e.mul(k, self.k_stride))
                rows = [
                    e.address(a_at, "f32", e.mul(self.row_stride, row))
                    for row in range(self.height)
                ]
                b_at = e.address(self.b_base, "f32", e.mul(k, self.vectors * self.lanes))
                for at in range(step):
                    inner = self._multiply(rows, b_at, inner, at)
                    ahead = e.mul(e.add(k, at), self.next_step)
                    self._fetch(e.address(self.next_base, "f32", ahead), False)
                if step == unroll:
                    row = e.ir.and_(e.div(k, 4), i64(15))
                    for pointer in self.beside:
                        self._fetch(e.address(pointer, "f32", e.mul(row, self.n)), True)
                carry(inner)
            sums = e.carried
        return sums

    def _segments(self, sums: list[Value]) -> list[Value]:
        """K segment by segment, rows and segments at offsets from tables."""
        e, depth = self.e, self.a.depth
        assert isinstance(depth, int)
        row_table, segment_table = self.tables
        bases = [
            e.address(self.a_base, "f32", e.ir.load(e.address(row_table, "i64", i64(row)), typ=I64))
            for row in range(self.height)
        ]
        width = self.vectors * self.lanes // self.together
        with e.loop(i64(0), self.depth, 1, sums) as (segment, carried, carry):
            offset = e.ir.load(e.address(segment_table, "i64", segment), typ=I64)
            rows = [e.address(base, "f32", offset) for base in bases]
            by = _written_out(self.a, self.height * self.vectors, self.together)
            known = i64(depth) if by == depth else self.segment_depth
            b_at = e.address(self.b_base, "f32", e.mul(e.mul(segment, known), width))
            if by == depth:
                carry(self._steps(rows, b_at, carried, by))
            else:
                with e.loop(i64(0), known, by, carried) as (k, so_far, carry_inner):
                    at_k = [e.address(row, "f32", e.mul(k, self.k_stride)) for row in rows]
                    b_k = e.address(b_at, "f32", e.mul(k, width))
                    carry_inner(self._steps(at_k, b_k, so_far, by))
                carry(e.carried)
        return e.carried
