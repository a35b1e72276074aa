"""The contraction engine: matrix products and convolutions with fused epilogues.

C[m, n] = A[m, k] B[k, n], A walked as operands.py says, in blocks as blocking.py says. Work is
split by tiles of C: a thread takes a run of tiles, group of panels by group (a panel is a stripe of
C as wide as the register tile; a group is a few of them). A chunk of rows is finished across a
group before the next. For each block of K it packs B's stripe for each panel, unless that is still
there from the chunk before, and micro-kernels walk down the panel's rows; A is read where it is,
element by element broadcast, unless its strides do not suit the cache. Every element of C is summed
over K in order, whatever the tile and the number of threads. When the chunk's products are done,
the epilogue goes over it row by row, while it is in cache.

Where C has few columns, a vector holds several elements of K for each of them; their sums are added
up in the epilogue, always in the same order.

A gradient in parts that sums strips of a batch is one product, added to what was there.

In a loop whose threads own rows, a thread's share are its rows, across all groups; and a B that is
the loop's constant stays packed from step to step, in memory of the thread's own.

An epilogue that reads matrices beside C (an optimizer's step: weights and slots) is bound by
memory: then groups are wide and chunks low, which makes these streams long. That is for a K of one
block. When there are more (gradients of kernels, whose K is the batch times the places or steps),
each chunk packs B's stripes again, and chunks are made large instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from llvmlite import ir

from graphc.ir.graph import Node
from graphc.ir.types import Size, product

from .blocking import multiplier, plan_contraction
from .builder import I1, Emitter, i64
from .epilogue import Epilogue, matrices_beside
from .microkernel import CACHE_LINE, micro_kernel
from .operands import Loops, product_of
from .packing import Source, Stripe, pack, pack_rows
from .thin import THIN_ROWS, emit_thin, may_be_thin
from .values import Body, counting

Value: TypeAlias = ir.Value

# Matrices of the epilogue that micro-kernels fetch into cache ahead of it.
MOST_BESIDE = 4


def emit_contraction(
    e: Emitter, body: Body, node: Node, thread: Value, threads: Value, scratch: Value, kept: int,
    few_rows: bool,
) -> None:  # fmt: skip
    """A kernel with a contraction and its epilogue.

    Args:
        kept: how far below its scratch memory a thread keeps B; 0 if it does not.
        few_rows: whether there is to be code of its own for a few rows of C.
    """
    p = product_of(node, body.operands[node])
    if kept or e.rows is not None or not (few_rows and may_be_thin(p)):
        _Emitter(e, body, node, scratch, kept).run(thread, threads)
        return
    with e.ir.if_else(e.ir.icmp_signed("<=", e.dim(p.m), i64(THIN_ROWS))) as (few, many):
        with few:
            pointers = [body.pointers[body.access(o).leaf] for o in body.operands[node]]
            emit_thin(e, p, pointers, Epilogue(e, body, node), thread, threads, scratch)
        with many:
            _Emitter(e, body, node, scratch).run(thread, threads)


@dataclass(frozen=True)
class _Block:
    """A block of K; `fresh`: its stripes are to be packed."""

    k0: Value
    depth: Value
    fresh: Value


@dataclass(frozen=True)
class _Panel:
    """A panel: its first column and its group's, whether it is the group's last, where its stripe
    of B and its part of C's chunk are, and the lanes of each vector that C has."""

    column: Value
    first_column: Value
    last: Value
    stripe: Value
    chunk: Value
    valids: Sequence[int]


class _Emitter:
    def __init__(self, e: Emitter, body: Body, node: Node, scratch: Value, kept: int = 0) -> None:
        self.e, self.epilogue = e, Epilogue(e, body, node)
        self.plan = plan = plan_contraction(body, node, e.target)
        self.product = p = plan.product
        if e.first_strip is not None:
            self.product = p = replace(p, count=1, parts=False)
        a, b = (body.access(o).leaf for o in body.operands[node])
        self.a = self.a_start = body.pointers[a]
        self.b = body.pointers[b]
        self.source = Source(self.b, p.n, p.k, p.transpose_b, plan.k_block, plan.together)
        self.lanes, self.width = plan.lanes, plan.width
        self.multiplying = e.aimed(multiplier(p, e.target))
        self.stripes, self.kept = scratch, kept
        if kept:
            self.is_kept = e.address(scratch, "u8", i64(-kept))
            self.stripes = e.address(self.is_kept, "u8", i64(CACHE_LINE))
        self.panels = -(-p.n // self.width)
        self.groups = -(-self.panels // plan.group)
        self.stripe, self.panel_chunk = plan.k_block * self.width, plan.chunk_rows * self.width
        self.chunk = e.address(scratch, "f32", i64(plan.stripes * self.stripe))
        self.row_table = e.address(self.chunk, "f32", i64(plan.group * self.panel_chunk))
        self.segment_table = e.address(self.row_table, "i64", i64(plan.chunk_rows))
        self.view, self.packed = p.a, self.row_table
        if plan.packed_rows:
            self.view = replace(p.a, stride=plan.packed_rows)
        self.m, self.k_start, self.k_stop = e.dim(p.m), i64(0), e.dim(p.k)
        self.base_row: Value = i64(0)
        # Along offsets from tables nothing is fetched ahead.
        beside = matrices_beside(body, node) if p.a.is_matrix else []
        self.beside = [body.pointers[n] for n in beside[:MOST_BESIDE]]

    def run(self, thread: Value, threads: Value) -> None:
        """The thread's share, and that B is there for the loop's next step."""
        e = self.e
        if self.kept:
            self.missing = e.ir.icmp_signed("==", e.load_scalar(self.is_kept, "i64"), i64(0))
        if e.rows is not None and self.product.count == 1:
            rows = e.share(self.m, thread, threads)
            some = e.ir.icmp_signed("<", *rows)
            with e.ir.if_then(some), e.loop(i64(0), i64(self.groups), 1) as (group, _, _):
                self._group(group, rows)
        else:
            self._run_tiles(thread, threads)
        if self.kept:
            e.ir.store(i64(1), self.is_kept, align=8)

    def _run_tiles(self, thread: Value, threads: Value) -> None:
        """The thread's run of tiles: product by product, group of panels by group."""
        e, plan, groups = self.e, self.plan, self.groups
        tiles = e.div(e.add(self.m, plan.tile_rows - 1), plan.tile_rows)
        units = e.mul(tiles, groups)
        low, high = e.share(e.mul(units, e.dim(self.product.count)), thread, threads)
        with e.ir.if_then(e.ir.icmp_signed("<", low, high)):
            first, last = e.div(low, tiles), e.div(e.sub(high, i64(1)), tiles)
            with e.loop(first, e.add(last, 1), 1) as (number, _, _):
                before = e.mul(number, tiles)
                start = e.intrinsic("smax", e.sub(low, before), i64(0))
                stop = e.minimum(e.sub(high, before), tiles)
                rows = (
                    e.mul(start, plan.tile_rows),
                    e.minimum(e.mul(stop, plan.tile_rows), self.m),
                )
                group = number
                if self.product.count != 1:
                    self._choose_product(e.div(number, groups))
                    group = e.rem(number, groups)
                self._group(group, rows)

    def _choose_product(self, number: Value) -> None:
        """Makes one of several products the one that is worked on."""
        e, p = self.e, self.product
        self.base_row = e.mul(number, self.m)
        if not p.parts:
            a, b = (
                e.address(base, "f32", e.mul(number, e.dim(step)))
                for base, step in ((self.a_start, p.a_step), (self.b, p.b_step))
            )
            self.a, self.source = a, replace(self.source, base=b)
            return
        (batch, _), *rest = p.a.segments
        inner = e.mul(e.dim(product(count for count, _ in rest)), e.dim(p.a.depth))
        total, parts = e.dim(batch), e.dim(p.count)
        self.k_start = e.mul(e.div(e.mul(total, number), parts), inner)
        self.k_stop = e.mul(e.div(e.mul(total, e.add(number, 1)), parts), inner)

    def _group(self, number: Value, rows: tuple[Value, Value]) -> None:
        """Chunks of rows, each across the group's panels: products block by block of K, then the
        epilogue row by row."""
        e, plan, panels = self.e, self.plan, self.panels
        first_panel = e.mul(number, plan.group)
        span = first_panel, e.minimum(e.add(first_panel, plan.group), i64(panels))
        # A group's stripes of one block stay packed for the chunks that follow.
        anew: Value = ir.Constant(I1, plan.stripes < plan.group)
        if plan.stripes == plan.group:
            anew = e.ir.icmp_signed(">", e.sub(self.k_stop, self.k_start), i64(plan.k_block))
        # At least one turn: a sum over nothing is 0.
        k_stop = e.intrinsic("smax", self.k_stop, e.add(self.k_start, 1))
        with e.loop(*rows, plan.chunk_rows) as (start, _, _):
            chunk = start, e.minimum(e.add(start, plan.chunk_rows), rows[1])
            fresh = e.ir.or_(e.ir.icmp_signed("==", start, rows[0]), anew)
            if self.kept:
                fresh = e.ir.and_(fresh, self.missing)
            if not self.product.a.is_matrix:
                count = e.sub(chunk[1], start)
                self._fill_table(self.row_table, self.product.a.rows, start, count)
            with e.loop(self.k_start, k_stop, plan.k_block) as (k0, _, _):
                depth = e.minimum(e.sub(self.k_stop, k0), i64(plan.k_block))
                if not self.product.a.is_matrix:
                    segment = self.product.a.depth
                    first, count = e.div(k0, segment), e.div(depth, segment)
                    self._fill_table(self.segment_table, self.product.a.segments, first, count)
                if plan.packed_rows:
                    self._pack_rows(chunk, k0, depth)
                block = _Block(k0, depth, fresh)
                self._each_panel(span, panels, partial(self._multiply, chunk, block))
            with e.loop(*chunk, 1) as (row, _, _):
                self._each_panel(span, panels, partial(self._finish, chunk, row))

    def _pack_rows(self, chunk: tuple[Value, Value], k0: Value, depth: Value) -> None:
        """Lays out a block of the rows of A that a chunk reads."""
        e, stride = self.e, self.e.dim(self.product.a.stride)
        source = e.address(self.a, "f32", e.add(chunk[0], e.mul(k0, stride)))
        count = e.sub(chunk[1], chunk[0])
        pack_rows(e, source, stride, count, depth, self.packed, self.plan.packed_rows)

    def _fill_table(self, table: Value, loops: Loops, start: Value, count: Value) -> None:
        """Writes the offsets of `count` turns of nested loops, from turn `start` on."""
        e = self.e
        turns = e.add(start, count)
        with counting(e, start, turns, [size for size, _ in loops]) as (turn, indices):
            offset: Value = i64(0)
            for index, (_, stride) in zip(indices, loops, strict=True):
                offset = e.add(offset, e.mul(index, e.dim(stride)))
            e.ir.store(offset, e.address(table, "i64", e.sub(turn, start)), align=8)

    def _each_panel(
        self, span: tuple[Value, Value], panels: int, work: Callable[[_Panel], None]
    ) -> None:
        """Work on a group's panels: all are of full width but, perhaps, the last of C."""
        e, full = self.e, [self.lanes] * self.plan.tile_vectors
        rest = self.product.n % self.width
        valids = [min(self.lanes, rest - at) for at in range(0, rest, self.lanes)] or full
        if panels == 1:
            work(self._panel(i64(0), span, valids))
            return
        with e.loop(*span, 1) as (number, _, _):
            if rest:
                is_last = e.ir.icmp_signed("==", number, i64(panels - 1))
                with e.ir.if_else(is_last) as (then, otherwise):
                    with then:
                        work(self._panel(i64(panels - 1), span, valids))
                    with otherwise:
                        work(self._panel(number, span, full))
            else:
                work(self._panel(number, span, full))

    def _panel(self, number: Value, span: tuple[Value, Value], valids: Sequence[int]) -> _Panel:
        e = self.e
        slot = e.sub(number, span[0])
        place = number if self.kept else slot if self.plan.stripes > 1 else i64(0)
        stripe = e.address(self.stripes, "f32", e.mul(place, self.stripe))
        chunk = e.address(self.chunk, "f32", e.mul(slot, self.panel_chunk))
        last = e.ir.icmp_signed("==", e.add(number, 1), span[1])
        column, first = e.mul(number, self.width), e.mul(span[0], self.width)
        return _Panel(column, first, last, stripe, chunk, valids)

    def _multiply(self, rows: tuple[Value, Value], block: _Block, panel: _Panel) -> None:
        """A chunk of rows of a panel times a block of K."""
        e = self.e
        with e.ir.if_then(block.fresh):
            stripe = Stripe(panel.column, block.k0, block.depth, panel.valids)
            pack(self.multiplying, self.source, stripe, panel.stripe)
        self._tiles(rows, block, panel)

    # Micro-kernels.

    def _tiles(self, rows: tuple[Value, Value], block: _Block, panel: _Panel) -> None:
        """All tiles of a chunk: whole ones, then one of what is left over; where that is known only
        at run time, by what it is a multiple of, or by fours and one by one."""
        e, plan, p = self.e, self.plan, self.product
        start, stop = rows
        heights = [plan.tile_rows]
        if isinstance(p.m, Size):
            common = math.gcd(p.m.factor, plan.tile_rows)
            rest = (4, 1) if common == 1 else (common,)
            heights += [h for h in rest if h < plan.tile_rows]
        elif p.m % plan.tile_rows:
            heights.append(p.m % plan.tile_rows)
        depth = block.depth if p.a.is_matrix else e.div(block.depth, p.a.depth)
        vectors = len(panel.valids)
        row = start
        for height in heights:
            count = e.div(e.sub(stop, row), height)
            end = e.add(row, e.mul(count, height))
            micro = micro_kernel(
                self.multiplying, height, vectors, self.view, p.n, len(self.beside), plan.together
            )
            with e.loop(row, end, height) as (at, _, _):
                ahead = e.add(e.mul(e.add(self.base_row, at), p.n), panel.column)
                is_first_tile = e.ir.icmp_signed("==", at, start)
                in_chunk = e.sub(at, start)
                e.ir.call(
                    micro,
                    [
                        self._a_address(at, block.k0, in_chunk),
                        panel.stripe,
                        self._chunk_row(panel, in_chunk),
                        depth,
                        e.ir.icmp_signed("==", block.k0, self.k_start),
                        e.dim(self.view.stride),
                        e.dim(p.a.row_stride if p.a.is_matrix else p.a.depth),
                        *self._next_stripe(e.ir.and_(block.fresh, is_first_tile), block, panel),
                        *(e.address(pointer, "f32", ahead) for pointer in self.beside),
                        *self._tables(in_chunk),
                    ],
                )
            row = end

    def _a_address(self, row: Value, k: Value, in_chunk: Value) -> Value:
        """Where a tile of A begins; for a view by offsets, where the offsets count from."""
        e, a = self.e, self.product.a
        if self.plan.packed_rows:
            return e.address(self.packed, "f32", in_chunk)
        if not a.is_matrix:
            return self.a
        offset = e.add(e.mul(row, e.dim(a.row_stride)), e.mul(k, e.dim(a.stride)))
        return e.address(self.a, "f32", offset)

    def _tables(self, row: Value) -> list[Value]:
        if self.product.a.is_matrix:
            return []
        return [self.e.address(self.row_table, "i64", row), self.segment_table]

    def _next_stripe(self, wanted: Value, block: _Block, panel: _Panel) -> tuple[Value, Value]:
        """Where the stripe of B that is packed next begins, and its elements from k to k + 1, for
        fetching ahead: the next panel's, or behind a group's last the first one's next block of K.

        Only one tile of a stripe does it; the others are told to stand still.
        """
        e, p = self.e, self.product
        width = len(panel.valids) * self.lanes
        below = e.add(block.k0, self.plan.k_block)
        turns = e.ir.and_(panel.last, e.ir.icmp_signed("<", below, self.k_stop))
        k = e.ir.select(turns, below, block.k0)
        at = e.ir.select(turns, panel.first_column, e.add(panel.column, width))
        rows = (at, e.dim(p.k), k) if p.transpose_b else (k, i64(p.n), at)
        start = e.add(e.mul(rows[0], rows[1]), rows[2])
        step = i64(width if p.transpose_b else p.n)
        return e.address(self.source.base, "f32", start), e.ir.select(wanted, step, i64(0))

    def _chunk_row(self, panel: _Panel, row: Value) -> Value:
        return self.e.address(panel.chunk, "f32", self.e.mul(row, len(panel.valids) * self.lanes))

    # Epilogue.

    def _finish(self, rows: tuple[Value, Value], row: Value, panel: _Panel) -> None:
        """The elementwise work on a row of a finished chunk, and the stores."""
        e = self.e
        base = self._chunk_row(panel, e.sub(row, rows[0]))
        outer = self.epilogue.outer(e.add(self.base_row, row))
        for v, valid in enumerate(panel.valids):
            sums = e.load(e.address(base, "f32", i64(v * self.lanes)), "f32", self.lanes)
            sums = e.fold_groups(sums, self.plan.together)
            column = e.add(panel.column, v * self.lanes)
            if e.first_strip is not None:
                sums = self._with_earlier(sums, row, column, valid)
            self.epilogue.finish(outer, column, sums, valid)

    def _with_earlier(self, sums: Value, row: Value, column: Value, valid: int) -> Value:
        """The sums, and those of the strips before this one."""
        e = self.e
        (result,) = self.epilogue.body.results.values()
        place = e.address(result, "f32", e.add(e.mul(row, self.product.n), column))
        total = e.ir.fadd(e.load(place, "f32", valid), sums)
        return e.ir.select(e.ir.icmp_signed("==", e.first_strip, i64(1)), sums, total)
