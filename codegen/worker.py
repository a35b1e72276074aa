"""The steps of a program: each a run through its kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import TypeAlias

from llvmlite import ir

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import KERNELS
from graphc.ir.place import (
    body_arenas,
    parts_summed,
    place_of,
    row_bytes,
    strip_arguments,
    strip_of,
)
from graphc.ir.scan import parts, stacked
from graphc.ir.types import BATCH, Dim, Size, TensorType, product

from .builder import I1, I64, PTR, Emitter, i64
from .interface import FEW_ROWS, PARAMETER_NAMES, Program, streams
from .target import Target
from .threads import ARGUMENTS, PARAMETERS, THREADS, word

# Gives a value's address.
Address: TypeAlias = Callable[[Node], ir.Value]

# Kernels that one of a worker's functions calls.
CALLS = 64


def _scheduled(graph: Graph) -> list[Node]:
    """A graph's kernels and scans in order."""
    return [n for n in graph.nodes() if n.op in KERNELS]


def _all_body_arenas(graph: Graph) -> dict[Node, tuple[Dim, ...]]:
    """Where the bodies of scans, and of scans in these, have their values."""
    starts = body_arenas(graph)
    for scan in list(starts):
        starts |= _all_body_arenas(scan.attrs["body"])
    return starts


def _shares_little(node: Node) -> bool:
    """Whether there may be fewer shares than threads: a loop's rows, or blocks of columns."""
    if node.op == "scan":
        return "owned" in node.attrs
    return node.attrs["kind"] == "columns" and "owned" not in node.attrs


def _cut(nodes: list[Node]) -> list[tuple[list[Node], Node | None]]:
    """Kernels by the function that calls them, and which is the first of the next one."""
    starts = range(0, len(nodes), CALLS)
    return [(nodes[at : at + CALLS], next(iter(nodes[at + CALLS :]), None)) for at in starts]


def _ends(graph: Graph, node: Node, address: Address) -> tuple[list[ir.Value], list[ir.Value]]:
    """Where a kernel's or a scan's operands and results are."""
    items = sorted(graph.users(node), key=lambda item: item.attrs["index"])
    return [address(o) for o in graph.operands(node)], [address(item) for item in items]


class Worker:
    """worker(control, thread): the steps, each a run through the kernels.

    A step's calls are spread over functions of a few dozen: LLVM's register allocator takes a time
    that grows faster than the function it works on. Kernels of a strip have functions of their own,
    which are called for a few rows at a time.
    """

    def __init__(
        self, graph: Graph, program: Program, target: Target, barrier: ir.Function,
        functions: dict[Node, ir.Function],
    ) -> None:  # fmt: skip
        self.graph, self.program, self.target = graph, program, target
        self.barrier, self.functions = barrier, functions
        self.body_arenas = _all_body_arenas(graph)

    def emit(self) -> ir.Function:
        """The function, made with those that it calls."""
        calls: list[ir.Function] = []
        for number, nodes in groupby(_scheduled(self.graph), strip_of):
            cut = _cut(list(nodes))
            if number:
                calls.append(self._strip(number, cut))
            else:
                calls += [self._part(len(calls) + at, *some) for at, some in enumerate(cut)]
        function = self._function("worker", PTR, I64)
        control, thread = function.args
        with self.e.loop(i64(0), self._parameters(control)[1], 1) as (step, _, _):
            for each in calls:
                self.e.ir.call(each, [control, thread, step])
        self.e.ir.ret_void()
        return function

    def _function(self, name: str, *arguments: ir.Type) -> ir.Function:
        """A new function of the module, with what emits its code."""
        function = ir.Function(self.program.module, ir.FunctionType(ir.VoidType(), arguments), name)
        function.linkage = "internal"
        self.e = Emitter(function, self.target, {})
        return function

    def _parameters(self, control: ir.Value) -> list[ir.Value]:
        """Threads (asked for), steps, rows, batch size, and the other symbols' values."""
        e = self.e
        base = self._shared(control, PARAMETERS)
        count = len(PARAMETER_NAMES) + len(self.program.symbols)
        return [e.ir.load(e.address(base, "i64", i64(at)), typ=I64) for at in range(count)]

    def _shared(self, control: ir.Value, at: int) -> ir.Value:
        """An address in the control block."""
        return self.e.ir.inttoptr(self.e.ir.load(word(self.e, control, at), typ=I64), PTR)

    def _enter(self, name: str, *arguments: ir.Type) -> tuple[ir.Function, ir.Value]:
        """name(control, thread, step, ...): a function that knows a step's rows and memory.

        Returns:
            The function, and the step's first row.
        """
        function = self._function(name, PTR, I64, I64, *arguments)
        self.control, self.thread, self.step = function.args[:3]
        e, program = self.e, self.program
        _, _, rows, batch_size, *others = self._parameters(self.control)
        # The threads that were started may be fewer than were asked for.
        self.threads = e.ir.load(word(e, self.control, THREADS), typ=I64)
        self.bases = _Bases(e, self._shared(self.control, ARGUMENTS), [*program.arguments, ""])
        row = e.mul(self.step, batch_size)
        e.symbols = dict(zip(program.symbols, others, strict=True))
        e.symbols[BATCH] = e.minimum(batch_size, e.sub(rows, row))
        # Offsets are those of a whole batch, also in the last step, which needs no more.
        self.sizes = {**e.symbols, BATCH: batch_size}
        self.arena = self.bases[""]
        end = e.address(self.arena, "u8", self._sum(program.arena))
        below = e.add(e.mul(self.thread, program.scratch), program.kept_bytes)
        self.scratch = e.address(end, "u8", below)
        self.strips = e.address(end, "u8", e.mul(self.threads, program.scratch))
        return function, row

    def _part(self, number: int, nodes: list[Node], after: Node | None) -> ir.Function:
        """worker.N(control, thread, step): some of a step's kernels, `after` behind them."""
        function, row = self._enter(f"worker.{number}")
        self.begin()
        self._run(self.graph, nodes, after, partial(self._argument, row), self.arena)
        self.e.ir.ret_void()
        return function

    def _places(self, argument: Callable[[str], ir.Value], arena: ir.Value) -> Address:
        """Gives a value's address, made where it is used: thousands of them that live through all
        of a large program take LLVM's register allocator minutes."""

        def address(node: Node) -> ir.Value:
            place = place_of(node.attrs)
            if place.argument:
                return argument(place.argument)
            return self.e.address(arena, "u8", self._sum(place.offset))

        return address

    def begin(self) -> None:
        """For subclasses: some of a step's kernels begin here."""

    def _run(
        self, graph: Graph, nodes: list[Node], after: Node | None,
        argument: Callable[[str], ir.Value], arena: ir.Value,
    ) -> None:  # fmt: skip
        """Some of a graph's kernels, phase by phase, with a barrier behind each.

        What has little to share, and may leave threads idle, begins with another thread than what
        is beside it in its phase.

        Args:
            after: the kernel behind them, if there is one.
            argument: gives an argument's address.
        """
        e, address = self.e, self._places(argument, arena)
        beside: Counter[object] = Counter()
        for node, following in pairwise([*nodes, after]):
            assert node is not None
            thread = self.thread
            if _shares_little(node):
                thread = self._turned(beside[node.attrs["phase"]])
                beside[node.attrs["phase"]] += 1
            if node.op == "scan":
                inner = e.address(arena, "u8", self._sum(self.body_arenas[node]))
                own, self.thread = self.thread, thread
                self._scan(node, *_ends(graph, node, address), inner)
                self.thread = own
            else:
                self._call(graph, node, address, thread, self.threads)
            last = following is None or following.attrs["phase"] != node.attrs["phase"]
            if last and not (node.op == "fused" and "owned" in node.attrs):
                self._meet()

    def _call(
        self, graph: Graph, node: Node, address: Address, thread: ir.Value,
        threads: ir.Value, *more: ir.Value,
    ) -> None:  # fmt: skip
        """Calls a kernel's function."""
        symbols = [self.e.symbols[s] for s in (BATCH, *self.program.symbols)]
        operands, results = _ends(graph, node, address)
        common = [thread, threads, self.scratch, *symbols]
        self.e.ir.call(self.functions[node], [*common, *operands, *results, *more])
        self.done(node)

    def _turned(self, count: int) -> ir.Value:
        """The thread's number when counting begins with another one."""
        e = self.e
        return e.rem(e.add(self.thread, count), self.threads) if count else self.thread

    def _meet(self) -> None:
        """The barrier."""
        self.e.ir.call(self.barrier, [self.control])
        self.done(None)

    def done(self, kernel: Node | None) -> None:
        """For subclasses: a kernel, a scan's copying or the barrier (None) ends here."""

    def _scan(
        self, node: Node, operands: list[ir.Value], results: list[ir.Value], arena: ir.Value
    ) -> None:
        """The body in a loop; carries are updated where their last values are results.

        Where each thread owns some rows, it does not wait for others.
        """
        e, attrs = self.e, node.attrs
        body: Graph = attrs["body"]
        outer, inner = parts(operands, attrs), parts(body.inputs(), attrs)
        fixed = {n.name: at for n, at in zip(inner.constants, outer.constants, strict=True)}
        for carry, start, state in zip(inner.carries, outer.carries, results, strict=False):
            self._copy(start, state, carry.tensor, attrs.get("owned"))
            fixed[carry.name] = state
        self.done(node)
        if "owned" not in attrs:
            self._meet()
        moving = [
            (n.name, at, n.tensor) for n, at in zip(inner.sequences, outer.sequences, strict=True)
        ]
        behind = results[len(inner.carries) :]
        moving += [
            (name, at, body.outputs[name].tensor)
            for name, at in zip(stacked(body), behind, strict=True)
        ]
        length = e.dim(attrs["length"])
        for kernel in (n for n in _scheduled(body) if n.op == "fused"):
            if below := self.program.kept.get(self.functions[kernel].name):
                e.ir.store(i64(0), e.address(self.scratch, "u8", i64(-below)), align=8)
        with e.loop(i64(0), length, 1) as (count, _, _):
            at = e.sub(e.sub(length, i64(1)), count) if attrs["reverse"] else count
            here = {
                name: e.address(base, type_.dtype, e.mul(at, e.dim(type_.elements)))
                for name, base, type_ in moving
            }
            self._run(body, _scheduled(body), None, (fixed | here).__getitem__, arena)

    def _copy(
        self, source: ir.Value, target: ir.Value, type_: TensorType, owned: Dim | None
    ) -> None:
        """Copies a value, each thread its share, or the rows it owns."""
        e = self.e
        size = e.mul(e.dim(type_.elements), type_.itemsize)
        low, high = e.share(size, self.thread, self.threads, owned)
        ends = [e.address(base, "u8", low) for base in (target, source)]
        e.ir.call(
            e.declare("llvm.memcpy.p0.p0.i64", ir.VoidType(), PTR, PTR, I64, I1),
            [*ends, e.sub(high, low), ir.Constant(I1, 0)],
        )

    def _into(self, node: Node, first: ir.Value, part: ir.Value) -> ir.Value:
        """How far into a value of the whole batch a strip's rows are, or its part of a sum."""
        if each := row_bytes(node):
            return self.e.mul(first, each)
        if node.op == "item" and (count := parts_summed(self.graph.operands(node)[0])):
            size = node.tensor.elements
            assert isinstance(size, int)
            return self.e.mul(part, size // count * node.tensor.itemsize)
        return i64(0)

    # Strips.

    def _strip(self, number: int, cut: Sequence[tuple[list[Node], Node | None]]) -> ir.Function:
        """strip.N(control, thread, step): the batch, a few rows at a time through all kernels.

        A thread has parts of the batch: those of partial gradients where there are any, else parts
        of as many rows as are taken at a time. A batch of few rows goes through the kernels as it
        does outside of strips, as the first part of all sums; their other parts are 0 then.
        """
        kernels = [node for nodes, _ in cut for node in nodes]
        sums, most = max(map(parts_summed, kernels)), kernels[0].attrs["strip_rows"]
        functions = [self._strip_part(f"{number}.{at}", *some) for at, some in enumerate(cut)]
        function, _ = self._enter(f"strip.{number}")
        e = self.e
        batch = e.symbols[BATCH]

        def through(first: ir.Value, rows: ir.Value, part: ir.Value, *how: ir.Value) -> None:
            for inner in functions:
                where = [self.control, self.thread, self.step, first, rows, part, *how]
                e.ir.call(inner, where)

        def in_parts(count: ir.Value) -> None:
            with e.loop(*e.share(count, self.thread, self.threads), 1) as (part, _, _):
                low, high = e.share(batch, part, count)
                # At least one turn: a sum over no rows is 0.
                with e.loop(low, e.intrinsic("smax", high, e.add(low, 1)), most) as (at, _, _):
                    rows = e.minimum(i64(most), e.sub(high, at))
                    new = e.ir.zext(e.ir.icmp_signed("==", at, low), I64)
                    through(at, rows, part, i64(most), new, i64(0))

        few = e.ir.icmp_signed("<=", batch, i64(FEW_ROWS))
        with e.ir.if_else(few) as (then, otherwise):
            with then:
                through(i64(0), batch, i64(0), batch, i64(1), i64(1))
                others = e.loop(*e.share(i64(sums), self.thread, self.threads), 1)
                with others as (part, _, _), e.ir.if_then(e.ir.icmp_signed(">", part, i64(0))):
                    through(i64(0), i64(0), part, i64(most), i64(1), i64(0))
            with otherwise:
                # As many for each thread, where it does not matter how many there are.
                each = e.mul(self.threads, most)
                turns = e.div(e.add(batch, e.sub(each, i64(1))), each)
                in_parts(i64(sums) if sums else e.mul(turns, self.threads))
        self.begin()
        self._meet()
        e.ir.ret_void()
        return function

    def _strip_part(self, name: str, nodes: list[Node], after: Node | None) -> ir.Function:
        """strip.N.M(control, thread, step, first row, rows, part, rows of the strip's memory,
        whether these are its first rows, whether threads share them): some of a strip's kernels.
        """
        function, row = self._enter(f"strip.{name}", *[I64] * 6)
        first, rows, part, room, new, shared = function.args[3:]
        e = self.e
        e.symbols[BATCH] = rows
        together = e.ir.icmp_signed("==", shared, i64(1))
        thread = e.ir.select(together, self.thread, i64(0))
        threads = e.ir.select(together, self.threads, i64(1))
        own = e.mul(e.sub(self.thread, thread), self.program.strips[0])
        memory = e.address(self.strips, "u8", own)
        outside = self._places(partial(self._argument, e.add(row, first)), self.arena)

        def address(node: Node) -> ir.Value:
            place = place_of(node.attrs)
            if place.in_strip:
                return e.address(memory, "u8", self._sum(place.offset, room))
            if place.argument:
                return outside(node)
            return e.address(outside(node), "u8", self._into(node, first, part))

        self.begin()
        for node, following in pairwise([*nodes, after]):
            assert node is not None
            more = [{"first": new, "row": first}[name] for name in strip_arguments(node)]
            self._call(self.graph, node, address, thread, threads, *more)
            if following and following.attrs["phase"] != node.attrs["phase"]:
                with e.ir.if_then(together):
                    self._meet()
        e.ir.ret_void()
        return function

    def _sum(self, terms: tuple[Dim, ...], batch: ir.Value | None = None) -> ir.Value:
        """A byte count's value, for the batch's size or another one."""
        e = self.e
        sizes = self.sizes if batch is None else {**self.sizes, BATCH: batch}
        total: ir.Value = i64(0)
        for term in terms:
            value: ir.Value = i64(term if isinstance(term, int) else term.factor)
            for symbol in term.symbols if isinstance(term, Size) else ():
                value = e.mul(value, sizes[symbol])
            total = e.add(total, value)
        return total

    def _argument(self, row: ir.Value, name: str) -> ir.Value:
        """An argument's address in this step, of this row where it has rows."""
        e, base = self.e, self.bases[name]
        is_input = name in self.graph and self.graph[name].op == "input"
        node = self.graph[name] if is_input else self.graph.outputs[name]
        fixed = is_input and node.attrs["role"] in ("state", "scalar")
        if not fixed and streams(node.tensor):
            elements = e.mul(row, e.dim(product(node.tensor.shape[1:])))
            return e.address(base, node.tensor.dtype, elements)
        if not is_input:
            return e.address(base, node.tensor.dtype, e.mul(self.step, e.dim(node.tensor.elements)))
        return base


class _Bases:
    """The arguments' first addresses, each loaded where it is used."""

    def __init__(self, e: Emitter, arguments: ir.Value, names: Sequence[str]) -> None:
        self.e, self.arguments = e, arguments
        self.at = {name: at for at, name in enumerate(names)}

    def __getitem__(self, name: str) -> ir.Value:
        place = self.e.ir.gep(self.arguments, [i64(self.at[name])], source_etype=PTR)
        return self.e.ir.load(place, typ=PTR)
