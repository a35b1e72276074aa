"""The functions of a program's kernels: kernels that are alike share one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from llvmlite import ir

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import ANNOTATIONS, CONTRACTIONS
from graphc.ir.place import round_up, strip_arguments
from graphc.ir.text import to_text

from .blocking import contraction_scratch, kept_bytes, plan_contraction
from .builder import I64, PTR, Emitter
from .contraction import emit_contraction
from .elementwise import Unsupported
from .loops import emit_columns, emit_loop
from .rows import emit_rows, rows_scratch
from .scatter import emit_scatter
from .target import Target
from .values import Body


class Kernels:
    """Kernel functions, one for all fused nodes that are alike.

    Args:
        few_rows: whether there is to be code of its own for products with a few rows.

    Attributes:
        scratch: bytes of scratch memory that a thread needs.
        kept: how far below its scratch memory, by function, a thread keeps what is the same in all
            steps of a loop: first a word that is 0 until it is there.
        kept_bytes: of all that is kept.
    """

    def __init__(
        self, module: ir.Module, target: Target, symbols: list[str], few_rows: bool
    ) -> None:
        self.module, self.target, self.symbols = module, target, symbols
        self.few_rows = few_rows
        self.made: dict[str, ir.Function] = {}
        self.scratch = self.kept_bytes = 0
        self.kept: dict[str, int] = {}

    def function(
        self, graph: Graph, node: Node, constants: Collection[Node] = (), place: int = 0
    ) -> ir.Function:
        """kernel(thread, threads, scratch, symbols ..., operands ..., results ...).

        One of a strip has more: those of `strip_arguments`.

        Args:
            constants: of the loop that the graph is the body of.
            place: the node's among the body's; kernels at one place share what they keep.
        """
        keeps = _multiplies_constant(graph, node, constants)
        key = signature(graph, node) + (f" {place}" if keeps else "")
        if key not in self.made:
            self.made[key] = self._emit(node, _aliased(graph, node), keeps)
        return self.made[key]

    def _emit(self, node: Node, aliased: set[int], keeps: bool) -> ir.Function:
        graph = node.attrs["body"]
        assert isinstance(graph, Graph)
        inputs, results = graph.inputs(), list(graph.outputs)
        count = len(inputs) + len(results)
        type_ = ir.FunctionType(
            ir.VoidType(),
            [I64, I64, PTR]
            + [I64] * len(self.symbols)
            + [PTR] * count
            + [I64] * len(strip_arguments(node)),
        )
        # Nodes of a loop's body may have the names of nodes around it.
        name = self.module.get_unique_name(node.name)
        function = ir.Function(self.module, type_, name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        thread, threads, scratch, *rest = function.args
        symbols = dict(zip(self.symbols, rest, strict=False))
        pointers = rest[len(self.symbols) : len(self.symbols) + count]
        for at, pointer in enumerate(pointers):
            if at not in aliased:
                pointer.add_attribute("noalias")
        e = Emitter(function, self.target, symbols)
        e.rows = node.attrs.get("owned")
        more = dict(zip(strip_arguments(node), rest[len(self.symbols) + count :], strict=True))
        e.first_strip, e.first_row = more.get("first"), more.get("row")
        body = Body(
            graph,
            dict(zip(inputs, pointers, strict=False)),
            dict(zip(results, pointers[len(inputs) :], strict=True)),
        )
        with _named(node):
            below = self._reserve(node, body, keeps)
            if below:
                self.kept[function.name] = below
            self._fill(str(node.attrs["kind"]), e, body, thread, threads, scratch, below)
        e.ir.ret_void()
        return function

    def _fill(
        self, kind: str, e: Emitter, body: Body, thread: ir.Value, threads: ir.Value,
        scratch: ir.Value, below: int,
    ) -> None:  # fmt: skip
        if kind == "loop":
            emit_loop(e, body, thread, threads)
        elif kind == "columns":
            emit_columns(e, body, thread, threads)
        elif kind == "scatter":
            emit_scatter(e, body, thread, threads)
        elif kind == "rows":
            emit_rows(e, body, thread, threads, scratch)
        else:
            node = next(n for n in body.nodes if n.op in CONTRACTIONS)
            emit_contraction(e, body, node, thread, threads, scratch, below, self.few_rows)

    def _reserve(self, node: Node, body: Body, keeps: bool) -> int:
        """Reserves a kernel's memory of each thread; says how far below it B is kept."""
        if node.attrs["kind"] == "rows":
            self.scratch = max(self.scratch, rows_scratch(body, self.target.lanes))
        elif node.attrs["kind"] == "contraction":
            product = next(n for n in body.nodes if n.op in CONTRACTIONS)
            plan = plan_contraction(body, product, self.target)
            self.scratch = max(self.scratch, contraction_scratch(plan, self.target))
            kept = kept_bytes(plan) if keeps else 0
            self.kept_bytes += kept
            return self.kept_bytes if kept else 0
        return 0

    @property
    def bytes_a_thread(self) -> int:
        """All that a thread needs besides the arena."""
        return round_up(self.scratch) + self.kept_bytes


class Memory(Kernels):
    """The memory of kernels' threads, without code."""

    def _emit(self, node: Node, aliased: set[int], keeps: bool) -> ir.Function | None:
        with _named(node):
            self._reserve(node, Body(node.attrs["body"], {}, {}), keeps)
        return None


@contextmanager
def _named(node: Node) -> Iterator[None]:
    """Says in errors which kernel there is no code for."""
    try:
        yield
    except Unsupported as error:
        where = f" of layer {node.scope.layer!r}" if node.scope.layer else ""
        raise Unsupported(f"kernel {node.name}{where}: {error}") from None


def signature(graph: Graph, node: Node) -> str:
    """All that the code of a fused node's kernel depends on, but for what a loop keeps."""
    aliased = _aliased(graph, node)
    how = [node.attrs["kind"], node.attrs.get("owned"), strip_arguments(node)]
    return f"{' '.join(map(str, how))} {aliased} {_canonical(node)}"


def _multiplies_constant(graph: Graph, node: Node, constants: Collection[Node]) -> bool:
    """Whether a kernel is a product with a constant of the loop that it is in."""
    if not constants or node.attrs["kind"] != "contraction":
        return False
    body = node.attrs["body"]
    assert isinstance(body, Graph)
    contraction = next(n for n in body.nodes() if n.op in CONTRACTIONS)
    given = dict(zip(body.inputs(), graph.operands(node), strict=True))
    return given.get(body.operands(contraction)[1]) in constants


def _aliased(graph: Graph, node: Node) -> set[int]:
    """Positions among operands and results of those whose memory another one shares."""
    items = sorted(graph.users(node), key=lambda item: item.attrs["index"])
    operands = [str(o.attrs["place"]) for o in graph.operands(node)]
    places = operands + [str(i.attrs["place"]) for i in items]
    written = set(places[len(operands) :])
    return {at for at, place in enumerate(places) if place in written and places.count(place) > 1}


def _canonical(node: Node) -> str:
    """A body's text without the names, scopes and annotations that do not matter to its code."""
    body = node.attrs["body"]
    assert isinstance(body, Graph)
    number: dict[Node, int] = {}
    lines = []
    for at, inner in enumerate([*body.inputs(), *(n for n in body.nodes() if n.op != "input")]):
        number[inner] = at
        attrs = " ".join(
            f"{k}={to_text(v) if isinstance(v, Graph) else repr(v)}"
            for k, v in inner.attrs.items()
            if k == "plan" or k not in ANNOTATIONS
        )
        operands = [number[o] for o in body.operands(inner)]
        lines.append(f"{inner.op} {operands} {attrs} {inner.type}")
    return "\n".join([*lines, str([number[o] for o in body.outputs.values()])])
