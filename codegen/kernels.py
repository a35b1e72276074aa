"""The functions of a program's kernels: kernels that are alike share one."""

from __future__ import annotations

from llvmlite import ir

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import CONTRACTIONS
from graphc.ir.text import to_text

from .builder import I64, PTR, Emitter
from .contraction import contraction_scratch, emit_contraction, plan_contraction
from .elementwise import Unsupported
from .loops import emit_columns, emit_loop
from .rows import emit_rows, rows_scratch
from .scatter import emit_scatter
from .target import Target
from .values import Body


class Kernels:
    """Kernel functions, one for all fused nodes that are alike."""

    def __init__(self, module: ir.Module, target: Target, symbols: list[str]) -> None:
        self.module, self.target, self.symbols = module, target, symbols
        self.made: dict[str, ir.Function] = {}
        self.scratch = 0

    def function(self, graph: Graph, node: Node) -> ir.Function:
        """kernel(thread, threads, scratch, symbols ..., operands ..., results ...)."""
        aliased = _aliased(graph, node)
        key = f"{node.attrs['kind']} {aliased} {_canonical(node)}"
        if key not in self.made:
            self.made[key] = self._emit(node, aliased)
        return self.made[key]

    def _emit(self, node: Node, aliased: set[int]) -> ir.Function:
        graph = node.attrs["body"]
        assert isinstance(graph, Graph)
        inputs, results = graph.inputs(), list(graph.outputs)
        count = len(inputs) + len(results)
        signature = ir.FunctionType(
            ir.VoidType(), [I64, I64, PTR] + [I64] * len(self.symbols) + [PTR] * count
        )
        # Nodes of a loop's body may have the names of nodes around it.
        name = self.module.get_unique_name(node.name)
        function = ir.Function(self.module, signature, name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        thread, threads, scratch, *rest = function.args
        symbols = dict(zip(self.symbols, rest, strict=False))
        pointers = rest[len(self.symbols) :]
        for at, pointer in enumerate(pointers):
            if at not in aliased:
                pointer.add_attribute("noalias")
        e = Emitter(function, self.target, symbols)
        body = Body(
            graph,
            dict(zip(inputs, pointers, strict=False)),
            dict(zip(results, pointers[len(inputs) :], strict=True)),
        )
        try:
            self._fill(str(node.attrs["kind"]), e, body, thread, threads, scratch)
        except Unsupported as error:
            where = f" of layer {node.scope.layer!r}" if node.scope.layer else ""
            raise Unsupported(f"kernel {node.name}{where}: {error}") from None
        e.ir.ret_void()
        return function

    def _fill(
        self, kind: str, e: Emitter, body: Body, thread: ir.Value, threads: ir.Value,
        scratch: ir.Value,
    ) -> None:  # fmt: skip
        if kind == "loop":
            emit_loop(e, body, thread, threads)
        elif kind == "columns":
            emit_columns(e, body, thread, threads)
        elif kind == "scatter":
            emit_scatter(e, body, thread, threads)
        elif kind == "rows":
            self.scratch = max(self.scratch, rows_scratch(body, self.target.lanes))
            emit_rows(e, body, thread, threads, scratch)
        else:
            node = next(n for n in body.nodes if n.op in CONTRACTIONS)
            plan = plan_contraction(body, node, self.target)
            self.scratch = max(self.scratch, contraction_scratch(plan, self.target))
            emit_contraction(e, body, node, thread, threads, scratch)


def _aliased(graph: Graph, node: Node) -> set[int]:
    """Positions among operands and results of those whose memory another one shares."""
    items = sorted(graph.users(node), key=lambda item: item.attrs["index"])
    operands = [str(o.attrs["place"]) for o in graph.operands(node)]
    places = operands + [str(i.attrs["place"]) for i in items]
    written = set(places[len(operands) :])
    return {at for at, place in enumerate(places) if place in written and places.count(place) > 1}


def _canonical(node: Node) -> str:
    """A body's text without the names and scopes that do not matter to its code."""
    body = node.attrs["body"]
    assert isinstance(body, Graph)
    number: dict[Node, int] = {}
    lines = []
    for at, inner in enumerate([*body.inputs(), *(n for n in body.nodes() if n.op != "input")]):
        number[inner] = at
        attrs = " ".join(
            f"{k}={to_text(v) if isinstance(v, Graph) else repr(v)}" for k, v in inner.attrs.items()
        )
        operands = [number[o] for o in body.operands(inner)]
        lines.append(f"{inner.op} {operands} {attrs} {inner.type}")
    return "\n".join([*lines, str([number[o] for o in body.outputs.values()])])
