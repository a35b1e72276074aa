"""Graphs written as expressions, to test rewrites in one line: "mul(x, add(y, 1.0))".

Every op is a function of nodes and attributes. A number is a constant of the type of the other
operands, repeated to their shape; printed back, it is the number again.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphs import BATCH, typed

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import OPS
from graphc.passes.shapes import Builder

# What a name stands for in an expression: inputs by their first letter.
TYPES = {
    "x": "f32[4, 3]",
    "y": "f32[4, 3]",
    "q": "f32[4, 4]",
    "v": "f32[3]",
    "w": "f32[4]",
    "s": "f32[]",
    "c": "bool[4, 3]",
    "i": "i32[4, 3]",
    "t": "f32[2, 4, 3]",
    "n": "f32[batch, 3]",
}


class _Names(dict[str, object]):
    """Names of an expression: ops, and inputs made when they are first read."""

    def __init__(self, builder: Builder, types: Mapping[str, str]) -> None:
        super().__init__({op: self._function(op) for op in OPS}, batch=BATCH)
        self.builder, self.types = builder, types

    def _function(self, op: str) -> object:
        def function(*operands: Node | float, **attrs: object) -> Node:
            like = next((o.tensor for o in operands if isinstance(o, Node)), None)
            nodes = []
            for operand in operands:
                if isinstance(operand, Node):
                    nodes.append(operand)
                elif like is not None and op != "select":
                    nodes.append(self.builder.full(operand, like))
                else:
                    dtype = "bool" if isinstance(operand, bool) else "f32"
                    nodes.append(self.builder.const(operand, dtype))
            return self.builder.node(op, *nodes, **attrs)

        return function

    def __missing__(self, name: str) -> Node:
        graph = self.builder.graph
        type_ = typed(self.types.get(name) or TYPES[name[0]])
        self[name] = graph.add("input", (), {"role": "data"}, type=type_, name=name)
        return graph[name]


def graph_of(text: str | Mapping[str, str], types: Mapping[str, str] | None = None) -> Graph:
    """The graph of an expression, its output "y", or of several by output's name."""
    builder = Builder(Graph("test"))
    names = _Names(builder, types or {})
    outputs = {"y": text} if isinstance(text, str) else text
    for name, expression in outputs.items():
        value = eval(expression, {"__builtins__": {}}, names)
        builder.graph.outputs[name] = (
            value if isinstance(value, Node) else builder.const(value, "f32")
        )
    return builder.graph


def expression(graph: Graph, node: Node | None = None) -> str:
    """The expression of a node, by default that of the output "y"."""
    node = node or graph.outputs["y"]
    operands = graph.operands(node)
    if node.op == "input":
        return node.name
    if node.op == "const":
        return str(node.attrs["value"])
    if node.op == "broadcast" and operands[0].op == "const" and not operands[0].tensor.rank:
        return expression(graph, operands[0])
    parts = [expression(graph, operand) for operand in operands]
    parts += [f"{key}={value!r}" for key, value in node.attrs.items()]
    return f"{node.op}({', '.join(parts)})"
