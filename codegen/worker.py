"""The steps of a program: each a run through its kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import zip_longest

from llvmlite import ir

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import KERNELS
from graphc.ir.place import Place, body_arenas, place_of
from graphc.ir.scan import parts, stacked
from graphc.ir.types import Dim, Size, TensorType, product

from .builder import I1, I64, PTR, Emitter, i64
from .interface import BATCH, PARAMETER_NAMES, Program, streams
from .target import Target
from .threads import ARGUMENTS, PARAMETERS, THREADS, word

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


class Worker:
    """worker(control, thread): the steps, each a run through the kernels.

    A step's calls are spread over functions of a few dozen: LLVM's register allocator takes a time
    that grows faster than the function it works on.
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
        nodes = _scheduled(self.graph)
        parts = [
            self._part(number, nodes[at : at + CALLS], nodes[at + CALLS : at + CALLS + 1])
            for number, at in enumerate(range(0, len(nodes), CALLS))
        ]
        function = self._function("worker", PTR, I64)
        control, thread = function.args
        with self.e.loop(i64(0), self._parameters(control)[1], 1) as (step, _, _):
            for part in parts:
                self.e.ir.call(part, [control, thread, step])
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

    def _part(self, number: int, nodes: list[Node], after: list[Node]) -> ir.Function:
        """worker.N(control, thread, step): some of a step's kernels, `after` behind them."""
        function = self._function(f"worker.{number}", PTR, I64, I64)
        self.control, self.thread, step = function.args
        e, program = self.e, self.program
        _, _, rows, batch_size, *others = self._parameters(self.control)
        # The threads that were started may be fewer than were asked for.
        self.threads = e.ir.load(word(e, self.control, THREADS), typ=I64)
        self.bases = _Bases(e, self._shared(self.control, ARGUMENTS), [*program.arguments, ""])
        row = e.mul(step, batch_size)
        e.symbols = dict(zip(program.symbols, others, strict=True))
        e.symbols[BATCH] = e.minimum(batch_size, e.sub(rows, row))
        # Offsets are those of a whole batch, also in the last step, which needs no more.
        self.sizes = {**e.symbols, BATCH: batch_size}
        arena = self.bases[""]
        end = e.address(arena, "u8", self._sum(program.arena))
        below = e.add(e.mul(self.thread, program.scratch), program.kept_bytes)
        self.scratch = e.address(end, "u8", below)
        self.begin()
        self._run(self.graph, nodes, after, lambda name: self._argument(name, step, row), arena)
        e.ir.ret_void()
        return function

    def begin(self) -> None:
        """For subclasses: a function with some of a step's kernels begins here."""

    def _run(
        self, graph: Graph, nodes: list[Node], after: list[Node],
        argument: Callable[[str], ir.Value], arena: ir.Value,
    ) -> None:  # fmt: skip
        """Some of a graph's kernels, phase by phase, with a barrier behind each.

        What has little to share, and may leave threads idle, begins with another thread than what
        is beside it in its phase.

        Args:
            after: the kernel behind them, if there is one.
            argument: gives an argument's address, made where it is used: thousands of them that
                live through all of a large program take LLVM's register allocator minutes.
        """
        e = self.e
        symbols = [e.symbols[s] for s in (BATCH, *self.program.symbols)]

        def address(node: Node) -> ir.Value:
            place: Place = place_of(node.attrs)
            if place.argument:
                return argument(place.argument)
            return e.address(arena, "u8", self._sum(place.offset))

        beside: Counter[object] = Counter()
        for node, following in zip_longest(nodes, [*nodes[1:], *after]):
            thread = self.thread
            if _shares_little(node):
                thread = self._turned(beside[node.attrs["phase"]])
                beside[node.attrs["phase"]] += 1
            operands = [address(o) for o in graph.operands(node)]
            items = {i.attrs["index"]: i for i in graph.users(node)}
            results = [address(items[at]) for at in range(len(items))]
            if node.op == "scan":
                inner = e.address(arena, "u8", self._sum(self.body_arenas[node]))
                own, self.thread = self.thread, thread
                self._scan(node, operands, results, inner)
                self.thread = own
            else:
                common = [thread, self.threads, self.scratch, *symbols]
                e.ir.call(self.functions[node], [*common, *operands, *results])
                self.done(node)
            last = following is None or following.attrs["phase"] != node.attrs["phase"]
            if last and not (node.op == "fused" and "owned" in node.attrs):
                self._meet()

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
            self._run(body, _scheduled(body), [], (fixed | here).__getitem__, arena)

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

    def _sum(self, terms: tuple[Dim, ...]) -> ir.Value:
        """A byte count's value."""
        e = self.e
        total: ir.Value = i64(0)
        for term in terms:
            value: ir.Value = i64(term if isinstance(term, int) else term.factor)
            for symbol in term.symbols if isinstance(term, Size) else ():
                value = e.mul(value, self.sizes[symbol])
            total = e.add(total, value)
        return total

    def _argument(self, name: str, step: ir.Value, row: ir.Value) -> ir.Value:
        """An argument's address in this step."""
        e, base = self.e, self.bases[name]
        is_input = name in self.graph and self.graph[name].op == "input"
        node = self.graph[name] if is_input else self.graph.outputs[name]
        fixed = is_input and node.attrs["role"] in ("state", "scalar")
        if not fixed and streams(node.tensor):
            elements = e.mul(row, e.dim(product(node.tensor.shape[1:])))
            return e.address(base, node.tensor.dtype, elements)
        if not is_input:
            return e.address(base, node.tensor.dtype, e.mul(step, e.dim(node.tensor.elements)))
        return base


class _Bases:
    """The arguments' first addresses, each loaded where it is used."""

    def __init__(self, e: Emitter, arguments: ir.Value, names: Sequence[str]) -> None:
        self.e, self.arguments = e, arguments
        self.at = {name: at for at, name in enumerate(names)}

    def __getitem__(self, name: str) -> ir.Value:
        place = self.e.ir.gep(self.arguments, [i64(self.at[name])], source_etype=PTR)
        return self.e.ir.load(place, typ=PTR)
