"""Kernels without reductions along a row: elementwise loops, and reductions over leading axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeAlias

from llvmlite import ir

from graphc.ir.graph import Node
from graphc.ir.ops import REDUCTIONS
from graphc.ir.types import FLOATS, Dim, Shape, product

from .builder import SCALARS, Emitter, i64, is_static, splat
from .elementwise import LOWERINGS, extremum
from .indexing import MAPS, Index
from .values import MOST_UNROLLED, Body, Point, counting, squeezed

Value: TypeAlias = ir.Value

# Vectors of a row that are unrolled rather than looped over.
UNROLLED = 4


def each_vector(
    e: Emitter,
    size: Dim,
    visit: Callable[[Value, int, list[Value]], list[Value]],
    carried: Sequence[Value] = (),
    span: tuple[Value, Value] | None = None,
) -> list[Value]:
    """Visits a range of elements vector by vector: visit(first index, valid lanes, carried values).

    Whole vectors in a loop (unrolled when few), then the tail: one partial vector when the size is
    known, element by element when it is not. `span` restricts a symbolic size to a part.
    """
    lanes, values = e.target.lanes, list(carried)
    if span is None and is_static(size):
        assert isinstance(size, int)
        whole = size - size % lanes
        if whole <= UNROLLED * lanes:
            for start in range(0, whole, lanes):
                values = visit(i64(start), lanes, values)
        else:
            with e.loop(i64(0), i64(whole), lanes, values) as (index, inner, carry):
                carry(visit(index, lanes, inner))
            values = e.carried
        return visit(i64(whole), size % lanes, values) if size % lanes else values
    low, high = span or (i64(0), e.dim(size))
    whole_end = e.add(low, e.mul(e.div(e.sub(high, low), lanes), lanes))
    with e.loop(low, whole_end, lanes, values) as (index, inner, carry):
        carry(visit(index, lanes, inner))
    with e.loop(whole_end, high, 1, e.carried) as (index, inner, carry):
        carry(visit(index, 1, inner))
    return e.carried


def _is_flat(body: Body, full: Shape) -> bool:
    """Whether every array is read either whole, in the domain's own order, or as one scalar."""
    order = tuple(range(len(full)))
    for node in body.nodes:
        if node.op in MAPS.keys() - {"broadcast"} or node.op in (
            "gather",
            "iota",
            "concat",
            "fold",
        ):
            return False
        if node.op in ("broadcast", "input"):
            axes = body.access(node).axes
            if axes and (axes != order or len(squeezed(node)) != len(full)):
                return False
        if node.op == "const" and node.tensor.rank:
            return False
    return True


def emit_loop(e: Emitter, body: Body, thread: Value, threads: Value) -> None:
    """Elementwise over the domain, split by elements when it is flat, else by rows."""
    outputs = body.graph.outputs
    full = squeezed(next(iter(outputs.values())))

    def write(point: Point) -> None:
        point.store_all((node, body.results[name]) for name, node in outputs.items())

    if not full:
        with e.ir.if_then(e.ir.icmp_unsigned("==", thread, i64(0))):
            write(Point(e, body, [], None))
    elif (flat := _is_flat(body, full)) or (e.rows is not None and len(full) == 1):
        # Shares are multiples of a cache line, so that no two threads write to one, or rows.
        unit = 64 if e.rows is None else 1
        total = e.dim(product(full))
        low, high = e.share(e.div(e.add(total, unit - 1), unit), thread, threads)
        span = (e.mul(low, unit), e.minimum(e.mul(high, unit), total))

        def visit_line(index: Value, valid: int, carried: list[Value]) -> list[Value]:
            write(Point(e, body, [index], valid, flat=flat))
            return carried

        each_vector(e, product(full), visit_line, span=span)
    else:
        low, high = e.share(e.dim(product(full[:-1])), thread, threads)
        with counting(e, low, high, full[:-1]) as (_, outer):

            def visit(index: Index, valid: int) -> None:
                write(Point(e, body, [*outer, index], valid))

            for start, size in _pieces(body, full, e.target.lanes):
                _each_vector_of(e, start, size, visit)


def _each_vector_of(e: Emitter, start: int, size: Dim, visit: Callable[[Index, int], None]) -> None:
    """Visits a piece of a row vector by vector: visit(index, valid lanes)."""
    span = (start, start + size) if isinstance(size, int) else None

    def within(at: Value, valid: int, carried: list[Value]) -> list[Value]:
        visit(Index(e.add(at, start), 1, span=span), valid)
        return carried

    each_vector(e, size, within)


def _pieces(body: Body, full: Shape, lanes: int) -> list[tuple[int, Dim]]:
    """(start, size) of the parts of a row: cut where a concatenation's parts and padding begin.

    A cut that would leave less than a vector is not made.
    """
    size = full[-1]
    if not is_static(size):
        return [(0, size)]
    assert isinstance(size, int)
    cuts = set()
    for node in body.nodes:
        axis = node.tensor.rank - 1
        if squeezed(node) != full or node.tensor.shape[-1] == 1:
            continue
        if node.op == "concat" and node.attrs["axis"] == axis:
            parts = [o.tensor.shape[axis] for o in body.operands[node]]
            cuts |= set(accumulate(part for part in parts if isinstance(part, int)))
        elif node.op == "pad" and not node.attrs["interior"][axis]:
            cuts |= {node.attrs["low"][axis], size - node.attrs["high"][axis]}
    result: list[tuple[int, Dim]] = []
    start = 0
    for cut in sorted(cuts):
        if cut - start >= lanes and size - cut >= lanes:
            result.append((start, cut - start))
            start = cut
    return [*result, (start, size - start)]


def extreme(dtype: str, sign: int, lanes: int) -> ir.Constant:
    """A vector of the dtype's largest (sign 1) or smallest (sign -1) value."""
    scalar = SCALARS[dtype]
    if dtype in FLOATS:
        return splat(sign * float("inf"), scalar, lanes)
    bits = scalar.width
    if dtype.startswith("u") or dtype == "bool":
        return splat(0 if sign < 0 else 2**bits - 1, scalar, lanes)
    return splat(-(2 ** (bits - 1)) if sign < 0 else 2 ** (bits - 1) - 1, scalar, lanes)


def neutral(node: Node, lanes: int) -> ir.Constant:
    """The vector that a reduction starts from."""
    if node.op == "reduce_sum":
        return splat(0, SCALARS[node.tensor.dtype], lanes)
    return extreme(node.tensor.dtype, -1 if node.op == "reduce_max" else 1, lanes)


def combiner(e: Emitter, node: Node) -> Callable[[Value, Value], Value]:
    """The function of two vectors that a reduction repeats."""
    if node.op == "reduce_sum":
        return lambda x, y: LOWERINGS["add"](e, {}, x, y)
    operator = ">" if node.op == "reduce_max" else "<"
    attrs = {"unsigned": node.tensor.dtype.startswith("u")}
    return lambda x, y: extremum(operator)(e, attrs, x, y)


def emit_columns(e: Emitter, body: Body, thread: Value, threads: Value) -> None:
    """Reductions that keep the domain's last axis: threads split columns, each sums in order.

    Other axes that are kept and stand behind the reduced ones, when short, as a window's places in
    the gradient of a depthwise kernel, are taken together: what they share is read once.
    """
    reductions = [n for n in body.nodes if n.op in REDUCTIONS]
    first = reductions[0]
    operand = body.operands[first][0]
    full = squeezed(operand)
    axes: tuple[int, ...] = first.attrs["axes"]
    positions = [a for a, dim in enumerate(operand.tensor.shape) if dim != 1]
    *kept, last = [i for i, a in enumerate(positions) if a not in axes]
    reduced = [i for i, a in enumerate(positions) if a in axes]
    behind = [i for i in kept if i > max(reduced)]
    places = product(full[i] for i in behind)
    if not isinstance(places, int) or places > MOST_UNROLLED:
        behind, places = [], 1
    ahead = [i for i in kept if i not in behind]
    windows = [*itertools.product(*(range(full[i]) for i in behind))]  # type: ignore[arg-type]
    outputs = body.graph.outputs.items()
    written = [(name, node) for name, node in outputs if squeezed(node) == full]
    lanes, count = e.target.lanes, len(reductions)

    def block(outer: list[Value], column: Value, valids: Sequence[int]) -> None:
        """One block of vectors: all rows, then the work on the results."""
        cells = [
            ([i64(at) for at in window], e.add(column, v * lanes), valid)
            for window in windows
            for v, valid in enumerate(valids)
        ]
        initial = [neutral(r, lanes) for _ in cells for r in reductions]

        def reduce(taken: list[Value], so_far: list[Value]) -> list[Value]:
            """The accumulators after the elements with these indices along the reduced axes."""
            following = []
            for at, (window, start, valid) in enumerate(cells):
                given = dict(
                    zip([*ahead, *reduced, *behind], [*outer, *taken, *window], strict=True)
                )
                point = Point(e, body, [given.get(axis, start) for axis in range(len(full))], valid)
                for r, before in zip(reductions, so_far[at * count :], strict=False):
                    value = point.value(body.operands[r][0])
                    following.append(combiner(e, r)(before, value))
                point.store_all((node, body.results[name]) for name, node in written)
            return following

        final = _each_index(e, [full[i] for i in reduced], reduce, initial)
        for at, (window, start, valid) in enumerate(cells):
            known = dict(zip(reductions, final[at * count : (at + 1) * count], strict=True))
            result = Point(e, body, [*outer, *window, start], valid, known)
            result.store_all(
                (node, body.results[name]) for name, node in outputs if squeezed(node) != full
            )

    widest = max(UNROLLED // places, 1)
    _each_block(e, full[last], [full[i] for i in ahead], widest, block, thread, threads)


def _each_index(
    e: Emitter,
    dims: Sequence[Dim],
    visit: Callable[[list[Value], list[Value]], list[Value]],
    carried: list[Value],
) -> list[Value]:
    """Visits all indices of these axes in order: visit(index, carried values).

    Axes are nested loops; the last ones are written out when they are short, as a window's are.
    """
    size = product(dims)
    if isinstance(size, int) and size <= MOST_UNROLLED:
        for place in itertools.product(*(range(dim) for dim in dims)):  # type: ignore[arg-type]
            carried = visit([i64(at) for at in place], carried)
        return carried
    with e.loop(i64(0), e.dim(dims[0]), 1, carried) as (at, so_far, carry):
        carry(_each_index(e, dims[1:], lambda rest, c: visit([at, *rest], c), so_far))
    return e.carried


def _each_block(
    e: Emitter,
    columns: Dim,
    outer_dims: Sequence[Dim],
    widest: int,
    block: Callable[[list[Value], Value, Sequence[int]], None],
    thread: Value,
    threads: Value,
) -> None:
    """Splits outer axes times blocks of columns among threads: the widest blocks first, of so many
    vectors, then the rest."""
    lanes = e.target.lanes
    outer_size = e.dim(product(outer_dims))

    def blocks(start: Value, count: Value, width: int, valids: Sequence[int]) -> None:
        low, high = e.share(e.mul(outer_size, count), thread, threads)
        dims = [*outer_dims, count]
        with counting(e, low, high, dims) as (_, (*outer, number)):
            block(outer, e.add(start, e.mul(number, width)), valids)

    if not is_static(columns):
        size = e.dim(columns)
        whole = e.div(size, lanes)
        done = e.mul(whole, lanes)
        blocks(i64(0), whole, lanes, [lanes])
        blocks(done, e.sub(size, done), 1, [1])
        return
    assert isinstance(columns, int)
    start = 0
    # Where there is nothing else to split, narrow blocks leave each thread some.
    for vectors in (widest,) if outer_dims else (widest, 1):
        width = vectors * lanes
        count = (columns - start) // width
        if count:
            blocks(i64(start), i64(count), width, [lanes] * vectors)
            start += count * width
    if start < columns:
        rest = [min(lanes, columns - at) for at in range(start, columns, lanes)]
        blocks(i64(start), i64(1), lanes, rest)
