"""Simplification: constant folding, algebraic identities, common subexpressions, dead code.

The graph is rebuilt once, operands first; each node is made through `Simplifier.make`, which tries
the op's rules (identities.py) and then shares equal nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from graphc.ir.graph import Attributes, Graph, Node
from graphc.ir.interpret import MEANING
from graphc.ir.ops import OPS
from graphc.ir.types import DTYPES, TensorType

from .convolutions import rewrite_convolutions
from .identities import RULES
from .scan import hoist, slim
from .shapes import Builder

Attrs = Attributes


@dataclass
class Rewrite:
    """One rule that fired: the node it was tried on and what stands in its place."""

    rule: str
    before: str
    after: str


@dataclass
class Simplifier:
    """Builds simplified nodes into a new graph."""

    builder: Builder
    differentiated: bool
    shared: dict[object, Node] = field(default_factory=dict)
    rewrites: list[Rewrite] = field(default_factory=list)

    def make(self, op: str, *operands: Node, **attrs: object) -> Node:
        """The node for op(operands), simplified."""
        for rule in RULES.get(op, ()):
            result = rule(self, attrs, *operands)
            if result is not None:
                self._record(rule.__name__.strip("_"), op, operands, result)
                return result
        if OPS[op].elementwise:
            result = _fold(self, op, operands, attrs) or _hoist_broadcast(self, op, operands, attrs)
            if result is not None:
                return result
        if OPS[op].commutative and operands[0].index > operands[1].index:
            operands = operands[::-1]
        key = (op, operands, tuple((k, _hashable(v)) for k, v in sorted(attrs.items())))
        if key not in self.shared:
            self.shared[key] = self.builder.node(op, *operands, **attrs)
        return self.shared[key]

    def _record(self, rule: str, op: str, operands: Sequence[Node], result: Node) -> None:
        before = f"{op}({', '.join(map(str, operands))})"
        self.rewrites.append(Rewrite(rule, before, str(result)))

    def const(self, value: object, dtype: str) -> Node:
        """A shared scalar constant."""
        key = ("const", dtype, _hashable(value))
        if key not in self.shared:
            self.shared[key] = self.builder.const(value, dtype)  # type: ignore[arg-type]
        return self.shared[key]

    def full(self, value: float, like: TensorType) -> Node:
        """A shared constant repeated to a type."""
        scalar = self.const(value, like.dtype)
        return self.make("broadcast", scalar, shape=like.shape, axes=()) if like.rank else scalar

    def item(self, node: Node, index: int) -> Node:
        """A shared result of a node that has several."""
        key = ("item", node, index)
        if key not in self.shared:
            self.shared[key] = self.builder.item(node, index)
        return self.shared[key]

    def operands(self, node: Node) -> list[Node]:
        return self.builder.graph.operands(node)

    def match(self, node: Node, op: str) -> list[Node] | None:
        """The operands of a node if it has this op."""
        return self.operands(node) if node.op == op else None

    def scalar(self, node: Node) -> float | None:
        """The value that all elements of a node are known to have."""
        while node.op == "broadcast":
            (node,) = self.operands(node)
        value = node.attrs["value"] if node.op == "const" else None
        return value if isinstance(value, (int, float)) else None


def _hashable(value: object) -> object:
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return (math.copysign(1.0, value), value)  # 0.0 and -0.0 differ
    return (type(value).__name__, value)


def _fold(s: Simplifier, op: str, operands: Sequence[Node], attrs: Attrs) -> Node | None:
    if any(o.op != "const" or o.tensor.rank for o in operands):
        return None
    values = [np.asarray(o.attrs["value"], DTYPES[o.tensor.dtype]) for o in operands]
    with np.errstate(all="ignore"):
        result = np.asarray(MEANING[op](*values, **attrs))
    dtype = str(attrs["dtype"]) if op == "cast" else operands[-1].tensor.dtype
    return s.const(result.item(), "bool" if result.dtype == np.bool_ else dtype)


def _hoist_broadcast(s: Simplifier, op: str, operands: Sequence[Node], attrs: Attrs) -> Node | None:
    """f(broadcast(x), broadcast(y)) = broadcast(f(x, y)): computed once an element of x and y."""
    if any(o.op != "broadcast" for o in operands) or op == "stop_gradient":
        return None
    inner = [s.operands(o)[0] for o in operands]
    axes = operands[0].attrs["axes"]
    same = all(o.attrs["axes"] == axes for o in operands)
    if not same or any(i.tensor.shape != inner[0].tensor.shape for i in inner):
        return None
    small = s.make(op, *inner, **attrs)
    return s.make("broadcast", small, shape=operands[0].tensor.shape, axes=axes)


def simplify(graph: Graph, differentiated: bool = True) -> tuple[Graph, list[Rewrite]]:
    """An equal graph with less in it, and the rewrites that led there.

    Args:
        graph: before fusion.
        differentiated: False before `gradient`, which still needs stop_gradient.
    """
    graph = rewrite_convolutions(hoist(graph))
    s = Simplifier(Builder(Graph(graph.name)), differentiated)
    target = s.builder.graph
    live = graph.live()
    new: dict[Node, Node] = {}
    moved: dict[Node, dict[int, int]] = {}  # a scan's results: where they stand now
    for node in graph.nodes():
        operands = [new[o] for o in graph.operands(node)] if node in live else []
        s.builder.scope = node.scope
        if node.op == "input":  # kept even when unread: they are the program's signature
            new[node] = target.import_node(node, ())
        elif node not in live:
            continue
        elif node.op == "const" and node.tensor.rank == 0:
            new[node] = s.const(node.attrs["value"], node.tensor.dtype)
        elif node.op == "scan":
            read = {n.attrs["index"] for n in graph.users(node) if n in live}
            new[node], moved[node] = _scan(s, node, operands, read)
        elif node.op == "item":
            (source,) = graph.operands(node)
            new[node] = s.item(new[source], moved[source][node.attrs["index"]])
        else:
            new[node] = s.make(node.op, *operands, **node.attrs)
    target.outputs = {name: new[node] for name, node in graph.outputs.items()}
    # Rules leave operands behind that nobody reads any more.
    result, _ = target.copy(keep=target.live() | set(target.inputs()))
    return result, s.rewrites


def _scan(
    s: Simplifier, node: Node, operands: Sequence[Node], read: set[int]
) -> tuple[Node, dict[int, int]]:
    """A scan whose body is simplified, without what nobody reads, and where its results stand."""
    body, rewrites = simplify(node.attrs["body"], s.differentiated)
    s.rewrites += rewrites
    less = slim({**node.attrs, "body": body}, read)
    return s.builder.scan([operands[at] for at in less.operands], less.attrs), less.results
