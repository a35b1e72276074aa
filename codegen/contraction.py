"""The contraction engine: matrix products with fused epilogues.

C[M, N] = A[M, K] B[K, N], either operand transposed in memory. Work is split by tiles of C: a
thread takes a run of tiles in panel-major order (a panel is a stripe of C as wide as the register
tile). For each panel and each block of K it packs B's stripe, which then stays in cache while
micro-kernels walk down the panel's rows; A is read where it is, element by element broadcast.
Every element of C is summed over K in order, whatever the tile and the number of threads. When a
chunk of rows is done, the epilogue goes over it while it is in the first-level cache.

An epilogue that reads matrices beside C (an optimizer's step: weights and slots) is bound by
memory, and stripes are a poor order for that: so several panels are packed as a group, and a few
rows are finished across the whole group before the next rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from llvmlite import ir

from graphc.ir.graph import Node
from graphc.ir.types import Dim, Size

from .builder import Emitter, i64, is_static
from .elementwise import Unsupported
from .microkernel import Operand, micro_kernel
from .packing import Source, Stripe, pack
from .target import Target
from .values import Body, Point

Value: TypeAlias = ir.Value

# Tiles of rows between two epilogues: C's chunk stays in the first-level cache.
CHUNK_TILES = 8
# Panels packed together, and tiles of rows, where the epilogue reads matrices beside C.
GROUP_PANELS, GROUP_CHUNK_TILES = 8, 2
# K's block when it is known only at run time: with a group of panels, within the second cache.
SYMBOLIC_K_BLOCK = 512
# Matrices of the epilogue that micro-kernels fetch into cache ahead of it.
MOST_BESIDE = 4


@dataclass(frozen=True)
class Contraction:
    """Sizes, strides and blocking of one contraction."""

    m: Dim
    n: int
    k: Dim
    a: Operand
    transpose_b: bool
    tile_rows: int
    tile_vectors: int
    k_block: int
    group: int

    @property
    def chunk_rows(self) -> int:
        return (CHUNK_TILES if self.group == 1 else GROUP_CHUNK_TILES) * self.tile_rows


def plan_contraction(body: Body, node: Node, target: Target) -> Contraction:
    """Blocking from the target and the shape.

    Raises:
        Unsupported: for dtypes and symbolic sizes that there is no code for.
    """
    a, b = (operand.tensor for operand in body.operands[node])
    if node.tensor.dtype != "f32":
        raise Unsupported(f"matmul is compiled for float32 only; got {node.tensor}")
    ta, tb = bool(node.attrs["transpose_a"]), bool(node.attrs["transpose_b"])
    m, n = node.tensor.shape
    k = a.shape[0] if ta else a.shape[1]
    if not is_static(n) or (tb and not is_static(k)):
        raise Unsupported(
            f"matmul of {a} and {b}: the columns of the result must have a fixed size"
        )
    assert isinstance(n, int)
    vectors = min(target.tile_vectors, -(-n // target.lanes))
    width = vectors * target.lanes
    k_block = max(target.panel_bytes // (4 * width), 64)
    if isinstance(k, Size):
        k_block = min(k_block, SYMBOLIC_K_BLOCK)
    else:
        blocks = -(-k // k_block)
        k_block = -(-k // blocks)
    return Contraction(
        m, n, k,
        Operand(1, a.shape[1]) if ta else Operand(a.shape[1], 1),
        tb,
        _tile_rows(m, target.tile_rows),
        vectors,
        k_block,
        min(GROUP_PANELS, -(-n // width)) if matrices_beside(body, node) else 1,
    )  # fmt: skip


def matrices_beside(body: Body, node: Node) -> list[Node]:
    """The epilogue's inputs that it reads where it writes C."""
    inputs = body.graph.inputs()
    return [n for n in inputs if n.tensor == node.tensor and n not in body.operands[node]]


def _tile_rows(m: Dim, most: int) -> int:
    """The tile height: the one, not much below the most, that leaves the fewest rows over."""
    if isinstance(m, Size):
        return most
    if m <= most:
        return m
    return min(range(most, max(most * 2 // 3, 1) - 1, -1), key=lambda rows: -m % rows)


def contraction_scratch(plan: Contraction, target: Target) -> int:
    """Bytes that a thread needs: a packed panel and a chunk of C."""
    width = plan.tile_vectors * target.lanes * 4
    return (plan.group * plan.k_block + plan.chunk_rows) * width


def emit_contraction(
    e: Emitter, body: Body, node: Node, thread: Value, threads: Value, scratch: Value
) -> None:
    """A kernel with a matmul and its epilogue."""
    _Emitter(e, body, node, scratch).run(thread, threads)


class _Emitter:
    def __init__(self, e: Emitter, body: Body, node: Node, scratch: Value) -> None:
        self.e, self.body, self.node = e, body, node
        self.plan = plan_contraction(body, node, e.target)
        a, b = (body.access(o).leaf for o in body.operands[node])
        self.a = body.pointers[a]
        self.source = Source(
            body.pointers[b], self.plan.n, self.plan.k, self.plan.transpose_b, self.plan.k_block
        )
        self.lanes = e.target.lanes
        width = self.plan.tile_vectors * self.lanes
        self.stripes = self.packed = scratch
        self.stripe = self.plan.k_block * width
        self.chunk = e.address(scratch, "f32", i64(self.plan.group * self.stripe))
        self.m, self.k = e.dim(self.plan.m), e.dim(self.plan.k)
        self.beside = [body.pointers[n] for n in matrices_beside(body, node)][:MOST_BESIDE]

    def run(self, thread: Value, threads: Value) -> None:
        """The thread's run of tiles, group of panels by group."""
        e, plan = self.e, self.plan
        width = plan.tile_vectors * self.lanes
        tiles = e.div(e.add(self.m, plan.tile_rows - 1), plan.tile_rows)
        panels = -(-plan.n // width)
        groups = -(-panels // plan.group)
        low, high = e.share(e.mul(tiles, groups), thread, threads)
        with e.ir.if_then(e.ir.icmp_signed("<", low, high)):
            first, last = e.div(low, tiles), e.div(e.sub(high, i64(1)), tiles)
            with e.loop(first, e.add(last, 1), 1) as (group, _, _):
                before = e.mul(group, tiles)
                start = e.intrinsic("smax", e.sub(low, before), i64(0))
                stop = e.minimum(e.sub(high, before), tiles)
                rows = (
                    e.mul(start, plan.tile_rows),
                    e.minimum(e.mul(stop, plan.tile_rows), self.m),
                )
                first_panel = e.mul(group, plan.group)
                end = e.minimum(e.add(first_panel, plan.group), i64(panels))
                self._group((first_panel, end), panels, rows)

    def _group(self, span: tuple[Value, Value], panels: int, rows: tuple[Value, Value]) -> None:
        """Chunks of rows, each across the group's panels."""
        e, plan = self.e, self.plan
        with e.loop(*rows, plan.chunk_rows) as (start, _, _):
            stop = e.minimum(e.add(start, plan.chunk_rows), rows[1])
            with e.loop(*span, 1) as (panel, _, _):
                slot = e.mul(e.sub(panel, span[0]), self.stripe) if plan.group > 1 else i64(0)
                self.packed = e.address(self.stripes, "f32", slot)
                self._each_width(
                    panel, panels, (start, stop), e.ir.icmp_signed("==", start, rows[0])
                )

    def _each_width(
        self, panel: Value, panels: int, rows: tuple[Value, Value], first: Value
    ) -> None:
        """The panel's code: all panels are of full width but, perhaps, the last."""
        e, plan = self.e, self.plan
        width = plan.tile_vectors * self.lanes
        rest = plan.n % width
        column = e.mul(panel, width)
        if not rest:
            self._panel(column, rows, first, [self.lanes] * plan.tile_vectors)
            return
        valids = [min(self.lanes, rest - at) for at in range(0, rest, self.lanes)]
        if panels == 1:
            self._panel(i64(0), rows, first, valids)
            return
        is_last = e.ir.icmp_signed("==", panel, i64(panels - 1))
        with e.ir.if_else(is_last) as (then, otherwise):
            with then:
                self._panel(i64((panels - 1) * width), rows, first, valids)
            with otherwise:
                self._panel(column, rows, first, [self.lanes] * plan.tile_vectors)

    def _panel(
        self, column: Value, rows: tuple[Value, Value], first: Value, valids: Sequence[int]
    ) -> None:
        """A chunk of rows of a panel: product, then epilogue. `first`: no stripe is packed yet."""
        e, plan = self.e, self.plan
        # A stripe of one block stays packed for the chunks that follow.
        several = e.ir.icmp_signed(">", self.k, i64(plan.k_block))
        with e.loop(i64(0), self.k, plan.k_block) as (k0, _, _):
            depth = e.minimum(e.sub(self.k, k0), i64(plan.k_block))
            with e.ir.if_then(e.ir.or_(first, several)):
                pack(e, self.source, Stripe(column, k0, depth, valids), self.packed)
            self._tiles(rows, first, column, k0, depth, len(valids))
        self._epilogue(*rows, column, valids)

    # Micro-kernels.

    def _tiles(
        self, rows: tuple[Value, Value], first: Value, column: Value, k0: Value, depth: Value,
        vectors: int,
    ) -> None:  # fmt: skip
        """All tiles of a chunk: whole ones, then the rows left over by fours and one by one."""
        e, plan = self.e, self.plan
        start, stop = rows
        heights = [plan.tile_rows]
        if isinstance(plan.m, Size) or plan.m % plan.tile_rows:
            heights += [h for h in (4, 1) if h < plan.tile_rows]
        row = start
        for height in heights:
            count = e.div(e.sub(stop, row), height)
            end = e.add(row, e.mul(count, height))
            micro = micro_kernel(e, height, vectors, plan.a, plan.n, len(self.beside))
            with e.loop(row, end, height) as (at, _, _):
                offset = e.add(
                    e.mul(at, e.dim(plan.a.row_stride)), e.mul(k0, e.dim(plan.a.k_stride))
                )
                ahead = e.add(e.mul(at, plan.n), column)
                is_first_tile = e.ir.icmp_signed("==", at, start)
                e.ir.call(
                    micro,
                    [
                        e.address(self.a, "f32", offset),
                        self.packed,
                        self._chunk_row(e.sub(at, start), vectors),
                        depth,
                        e.ir.icmp_signed("==", k0, i64(0)),
                        e.dim(plan.a.k_stride),
                        e.dim(plan.a.row_stride),
                        *self._next_panel(e.ir.and_(first, is_first_tile), column, vectors),
                        *(e.address(pointer, "f32", ahead) for pointer in self.beside),
                    ],
                )
            row = end

    def _next_panel(self, wanted: Value, column: Value, vectors: int) -> tuple[Value, Value]:
        """Where B's next stripe begins and its elements from k to k + 1, for fetching ahead.

        Only one tile of a panel does it; the others are told to stand still.
        """
        e, plan = self.e, self.plan
        width = vectors * self.lanes
        following = e.add(column, width)
        start = e.mul(following, e.dim(plan.k)) if plan.transpose_b else following
        step = i64(width if plan.transpose_b else plan.n)
        return e.address(self.source.base, "f32", start), e.ir.select(wanted, step, i64(0))

    def _chunk_row(self, row: Value, vectors: int) -> Value:
        return self.e.address(self.chunk, "f32", self.e.mul(row, vectors * self.lanes))

    # Epilogue.

    def _epilogue(self, start: Value, stop: Value, column: Value, valids: Sequence[int]) -> None:
        """The elementwise work on a finished chunk, and the stores."""
        e = self.e
        with e.loop(start, stop, 1) as (row, _, _):
            base = self._chunk_row(e.sub(row, start), len(valids))
            for v, valid in enumerate(valids):
                product = e.load(e.address(base, "f32", i64(v * self.lanes)), "f32", self.lanes)
                index = [row, e.add(column, v * self.lanes)]
                kept = [i for i, dim in zip(index, self.node.tensor.shape, strict=True) if dim != 1]
                point = Point(e, self.body, kept, valid, {self.node: product})
                if self.plan.n == 1:  # no axis of lanes: the one column
                    point.valid = None
                point.store_all(
                    (node, self.body.results[name])
                    for name, node in self.body.graph.outputs.items()
                )
