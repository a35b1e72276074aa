"""Kernels with reductions along rows: softmax, losses, norms, sums over all elements.

A body's values are full (one element a point of the domain) or row values (one a row). A row is
swept once for each level: a reduction's result is ready one level after its operand. Rows of a
few vectors are held in registers from sweep to sweep; longer ones are computed again, but for
costly functions, which a thread keeps in its scratch memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from llvmlite import ir

from graphc.ir.graph import Node
from graphc.ir.ops import REDUCTIONS
from graphc.ir.types import Shape, product

from .builder import I32, Emitter, i64, splat
from .elementwise import LOWERINGS, is_float
from .loops import UNROLLED, combiner, each_vector, extreme, neutral
from .values import Body, Point, counting, squeezed, unravel

Value: TypeAlias = ir.Value

COSTLY = frozenset(
    [
        "exp",
        "expm1",
        "log",
        "log1p",
        "sin",
        "cos",
        "tanh",
        "sigmoid",
        "erf",
        "power",
        "div",
        "sqrt",
        "rsqrt",
        "random_uniform",
    ]
)


@dataclass
class Plan:
    """How a rows kernel goes about its work."""

    full: Shape
    part: Shape
    level: dict[Node, int]
    kept: list[Node]  # costly full values that a later sweep reads
    in_registers: bool

    @property
    def scratch_bytes(self) -> int:
        """Per thread: a row of each kept value."""
        columns = product(self.full[len(self.part) :])
        return len(self.kept) * columns * 8 if isinstance(columns, int) else 0


def plan_rows(body: Body, lanes: int) -> Plan:
    """Levels, and which values to keep."""
    reductions = [n for n in body.nodes if n.op in REDUCTIONS]
    if reductions:
        operand, part = body.operands[reductions[0]][0], squeezed(reductions[0])
        full = squeezed(operand)
    else:  # row values that are broadcast along their rows
        full = max((squeezed(n) for n in body.graph.outputs.values()), key=len)
        operands = (body.operands[n][0] for n in body.nodes if n.op == "broadcast")
        part = next(
            squeezed(operand)
            for operand in operands
            if operand.op not in ("input", "const", "size", "iota", "broadcast")
            and 0 < len(squeezed(operand)) < len(full)
        )
    level: dict[Node, int] = {}
    for node in body.nodes:
        below = max((level[o] for o in body.operands[node]), default=0)
        level[node] = below + 1 if node.op in REDUCTIONS else below
    columns = product(full[len(part) :])
    single = len(full) == len(part) + 1
    in_registers = single and isinstance(columns, int) and columns <= UNROLLED * lanes
    kept = []
    if isinstance(columns, int) and not in_registers:
        last = _last_use(body, level)
        kept = [
            n for n in body.nodes
            if n.op in COSTLY and squeezed(n) == full and last[n] > level[n]
        ]  # fmt: skip
    return Plan(full, part, level, kept, in_registers)


def _last_use(body: Body, level: dict[Node, int]) -> dict[Node, int]:
    """The last sweep that computes from each node, as operands are computed again for users."""
    last = dict(level)
    for node in body.graph.outputs.values():
        last[node] = max(last[node], level[node])
    for node in reversed(body.nodes):
        for operand in body.operands[node]:
            at = last[node] - 1 if node.op in REDUCTIONS else last[node]
            last[operand] = max(last[operand], at)
    return last


class RowEmitter:
    """Emits one rows kernel."""

    def __init__(self, e: Emitter, body: Body, plan: Plan, scratch: Value) -> None:
        self.e, self.body, self.plan = e, body, plan
        self.scratch = scratch
        self.known: dict[Node, Value] = {}
        self.points: list[Point] = []
        self.outer: list[Value] = []

    def run(self, thread: Value, threads: Value) -> None:
        """All rows of the thread's share."""
        low, high = self.e.share(self.e.dim(product(self.plan.part)), thread, threads)
        with counting(self.e, low, high, self.plan.part) as (_, self.outer):
            self.known, self.points = {}, []
            self._row()

    def _row(self) -> None:
        plan = self.plan
        for level in range(max(plan.level.values()) + 1):
            self._row_values(level)
            reductions = [
                n for n in self.body.nodes if n.op in REDUCTIONS and plan.level[n] == level + 1
            ]
            self._sweep(level, reductions)
        # At the end, as a later level may read what is written here.
        point = Point(self.e, self.body, self.outer, None, self.known)
        point.store_all(
            (node, self.body.results[name])
            for name, node in self.body.graph.outputs.items()
            if squeezed(node) == plan.part
        )

    def _row_values(self, level: int) -> None:
        """Computes what is known once a row at this level."""
        point = Point(self.e, self.body, self.outer, None, self.known)
        for node in self.body.nodes:
            here = squeezed(node) == self.plan.part and self.plan.level[node] == level
            if here and node.op not in ("input", "broadcast", "const", "size", "iota"):
                self.known[node] = point.value(node)

    def _sweep(self, level: int, reductions: list[Node]) -> None:
        """Goes over the row's elements once, if this level has anything to do there."""
        plan = self.plan
        outputs = [
            (name, node) for name, node in self.body.graph.outputs.items()
            if squeezed(node) == plan.full and plan.level[node] == level
        ]  # fmt: skip
        keep = [n for n in plan.kept if plan.level[n] == level]
        if not (outputs or reductions or keep):
            return
        reducers = [self._reducer(r) for r in reductions]
        initial = [value for reducer in reducers for value in reducer.initial]
        at = 0

        def visit(
            index: Value, valid: int, carried: list[Value], middle: list[Value]
        ) -> list[Value]:
            nonlocal at
            point = self._point(at, [*self.outer, *middle, index], valid, level)
            at += 1
            following = []
            for reducer in reducers:
                count = len(reducer.initial)
                so_far, carried = carried[:count], carried[count:]
                following += reducer.step(so_far, point)
            for node in keep:
                self._keep(node, point)
            point.store_all((node, self.body.results[name]) for name, node in outputs)
            return following

        *middle_dims, columns = plan.full[len(plan.part) :]
        if middle_dims:
            with self.e.loop(i64(0), self.e.dim(product(middle_dims)), 1, initial) as (
                m,
                inner,
                carry,
            ):
                middle = unravel(self.e, m, middle_dims)
                carry(each_vector(self.e, columns, lambda i, v, c: visit(i, v, c, middle), inner))
            final = self.e.carried
        else:
            final = each_vector(self.e, columns, lambda i, v, c: visit(i, v, c, []), initial)
        for reducer, node in zip(reducers, reductions, strict=True):
            count = len(reducer.initial)
            self.known[node] = reducer.finish(final[:count])
            final = final[count:]

    def _point(self, at: int, index: list[Value], valid: int, level: int) -> Point:
        """The point of a vector; the same from sweep to sweep when rows are in registers."""
        if self.plan.in_registers:
            if at == len(self.points):
                self.points.append(Point(self.e, self.body, index, valid))
            self.points[at].values.update(self.known)
            return self.points[at]
        point = Point(self.e, self.body, index, valid, self.known)
        for node in self.plan.kept:
            if self.plan.level[node] < level:
                point.values[node] = self.e.load(
                    self._kept_address(node, point), node.tensor.dtype, valid
                )
        return point

    def _keep(self, node: Node, point: Point) -> None:
        value = point.value(node)
        self.e.store(value, self._kept_address(node, point), node.tensor.dtype, point.valid or 0)

    def _kept_address(self, node: Node, point: Point) -> Value:
        first = len(self.plan.part)
        columns = product(self.plan.full[first:])
        assert isinstance(columns, int)
        index: Value = i64(0)
        for axis in range(first, len(self.plan.full)):
            index = self.e.add(
                self.e.mul(index, self.e.dim(self.plan.full[axis])), point.index[axis].base
            )
        base = i64(self.plan.kept.index(node) * columns * 8)
        row = self.e.address(self.scratch, "u8", base)
        return self.e.address(row, node.tensor.dtype, index)

    def _reducer(self, node: Node) -> Reducer:
        if node.op == "argmax":
            return _argmax(self.e, self.body.operands[node][0])
        return _simple(self.e, node)


@dataclass
class Reducer:
    """A reduction over lanes and vectors: carried values, one step, and the end."""

    initial: list[Value]
    step: Callable[[list[Value], Point], list[Value]]
    finish: Callable[[list[Value]], Value]


def _masked(e: Emitter, value: Value, valid: int, other: Value) -> Value:
    """The value with lanes that are not in memory replaced."""
    if valid == e.target.lanes:
        return value
    mask = ir.Constant(
        ir.VectorType(ir.IntType(1), e.target.lanes),
        [int(i < valid) for i in range(e.target.lanes)],
    )
    return e.ir.select(mask, value, other)


def _simple(e: Emitter, node: Node) -> Reducer:
    start = neutral(node, e.target.lanes)
    combine = combiner(e, node)

    def step(carried: list[Value], point: Point) -> list[Value]:
        value = point.value(point.body.operands[node][0])
        return [combine(carried[0], _masked(e, value, point.valid or 0, start))]

    return Reducer([start], step, lambda carried: e.fold_lanes(carried[0], combine))


def _argmax(e: Emitter, operand: Node) -> Reducer:
    """The first of the largest: vectors of the best value and its index, then over lanes.

    NaN is larger than all numbers, as in NumPy.
    """
    lanes, b = e.target.lanes, e.ir
    lane_numbers = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    lowest = extreme(operand.tensor.dtype, -1, lanes)

    attrs = {"unsigned": operand.tensor.dtype.startswith("u")}

    def greater(x: Value, y: Value) -> Value:
        result = LOWERINGS["less"](e, attrs, y, x)
        if not is_float(x):
            return result
        return b.or_(result, b.and_(_is_nan(e, x), b.not_(_is_nan(e, y))))

    def same(x: Value, y: Value) -> Value:
        result = LOWERINGS["equal"](e, {}, x, y)
        return b.or_(result, b.and_(_is_nan(e, x), _is_nan(e, y))) if is_float(x) else result

    def step(carried: list[Value], point: Point) -> list[Value]:
        best, where = carried
        value = _masked(e, point.value(operand), point.valid or 0, lowest)
        index = b.add(e.spread(b.trunc(point.index[-1].base, I32), lanes), lane_numbers)
        better = greater(value, best)
        return [b.select(better, value, best), b.select(better, index, where)]

    def finish(carried: list[Value]) -> Value:
        best, where = carried
        top = e.fold_lanes(best, lambda x, y: b.select(greater(x, y), x, y))
        far = splat(2**31 - 1, I32, lanes)
        return e.fold_lanes(
            b.select(same(best, top), where, far),
            lambda x, y: b.select(b.icmp_signed("<", x, y), x, y),
        )

    return Reducer([lowest, lane_numbers], step, finish)


def _is_nan(e: Emitter, x: Value) -> Value:
    return e.ir.fcmp_unordered("uno", x, x)


def emit_rows(e: Emitter, body: Body, thread: Value, threads: Value, scratch: Value) -> None:
    """A rows kernel: threads split rows."""
    RowEmitter(e, body, plan_rows(body, e.target.lanes), scratch).run(thread, threads)


def rows_scratch(body: Body, lanes: int) -> int:
    """Bytes of scratch memory that a thread needs."""
    return plan_rows(body, lanes).scratch_bytes
