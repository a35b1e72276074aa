"""The graph: nodes and edges in one networkx.MultiDiGraph, outputs by name."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any

import networkx as nx

from .types import NodeType, Size, TensorType

_origins = itertools.count(1)

_Edges = dict["Node", dict["Node", dict[int, object]]]

# Their kinds are declared op by op in ops.py, and checked by the verifier.
Attributes = dict[str, Any]


class GraphError(ValueError):
    """A graph breaks a rule; the message names the node and the rule."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a node comes from: the layer, the phase, and the user's line that called the layer."""

    layer: str = ""
    phase: str = "forward"  # or backward, update
    where: str = ""
    # The first node that this one descends from, by number: passes hand it on with the rest of the
    # scope. It links the stages of one compilation, and is no part of the text.
    origin: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.layer}:{self.phase}"


@dataclass(eq=False, slots=True)
class Node:
    """One operation. Its operands are the graph's in-edges, keyed by position: never kept here."""

    name: str
    op: str
    attrs: Attributes
    type: NodeType
    scope: Scope
    index: int = field(repr=False)

    @property
    def tensor(self) -> TensorType:
        """The type of a node that has one result."""
        if not isinstance(self.type, TensorType):
            raise GraphError(f"%{self.name} ({self.op}) has several results; use item to take one")
        return self.type

    def __repr__(self) -> str:
        return f"%{self.name}"


_creation = attrgetter("index")
_position = itemgetter(0)


class Graph:
    """A pure program over tensors: a DAG whose sources are inputs and constants.

    `outputs` maps a result's name to its node, in order. A state input "w" is updated when an
    output has its name.
    """

    def __init__(self, name: str = "graph") -> None:
        self.name = name
        self.nx = nx.MultiDiGraph()
        # networkx's own dictionaries, {node: {neighbour: {position: data}}}: its views of them make
        # several objects a query, which took a quarter of the passes' time.
        self._into: _Edges = self.nx._pred
        self._out: _Edges = self.nx._succ
        self.outputs: dict[str, Node] = {}
        self._by_name: dict[str, Node] = {}
        self._counter = itertools.count()

    def add(
        self,
        op: str,
        operands: Sequence[Node] = (),
        attrs: Attributes | None = None,
        *,
        type: NodeType,
        scope: Scope = Scope(),
        name: str | None = None,
    ) -> Node:
        """Appends a node; `name` is made unique when it is left out.

        Raises:
            GraphError: when the name is taken or an operand is not in this graph.
        """
        index = next(self._counter)
        if name is None:
            name = self.free_name(f"{op}_{index}")
        elif name in self._by_name:
            raise GraphError(f"%{name}: the name is taken by another node")
        if not scope.origin:
            scope = Scope(scope.layer, scope.phase, scope.where, next(_origins))
        node = Node(name, op, attrs or {}, type, scope, index)
        for operand in operands:
            if operand not in self._into:
                raise GraphError(f"%{name}: operand {operand} is not a node of this graph")
        self.nx.add_node(node)
        self._by_name[name] = node
        for position, operand in enumerate(operands):
            self.nx.add_edge(operand, node, position)
        return node

    def free_name(self, name: str) -> str:
        """The name, or one like it that no node has."""
        while name in self._by_name:
            name += "_"
        return name

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __len__(self) -> int:
        return len(self.nx)

    def _repr_html_(self) -> str:
        from .text import to_html  # noqa: PLC0415 (text is written in terms of this module)

        return to_html(self)

    def operands(self, node: Node) -> list[Node]:
        """The node's operands in order of position."""
        edges = [(at, source) for source, ats in self._into[node].items() for at in ats]
        if len(edges) > 1:
            edges.sort(key=_position)
        return [source for _, source in edges]

    def users(self, node: Node) -> list[Node]:
        """The nodes that read this one, each once, in order of creation."""
        return sorted(self._out[node], key=_creation)

    def nodes(self) -> list[Node]:
        """All nodes, operands before users, otherwise in order of creation.

        Raises:
            GraphError: when the graph has a cycle, naming the nodes on it.
        """
        # A graph that only `add` made is in that order already.
        if all(o.index < node.index for node, operands in self._into.items() for o in operands):
            return list(self._into)
        try:
            return list(nx.lexicographical_topological_sort(self.nx, key=_creation))
        except nx.NetworkXUnfeasible:
            cycle = " -> ".join(str(u) for u, *_ in nx.find_cycle(self.nx))
            raise GraphError(f"the graph has a cycle: {cycle}") from None

    def inputs(self, role: str | None = None) -> list[Node]:
        """The input nodes (of one role), in order of creation."""
        found = (n for n in self.nx if n.op == "input" and role in (None, n.attrs["role"]))
        return sorted(found, key=_creation)

    def live(self) -> set[Node]:
        """The nodes that some output depends on."""
        alive: set[Node] = set()
        stack = list(self.outputs.values())
        while stack:
            node = stack.pop()
            if node not in alive:
                alive.add(node)
                stack.extend(self._into[node])
        return alive

    def symbols(self) -> list[str]:
        """The names of the symbolic dimensions of the inputs, sorted."""
        dims = itertools.chain.from_iterable(n.tensor.shape for n in self.inputs())
        return sorted({s for dim in dims if isinstance(dim, Size) for s in dim.symbols})

    def import_node(self, node: Node, operands: Sequence[Node], **changes: object) -> Node:
        """Adds a copy of another graph's node over this graph's operands, name kept if free."""
        attrs = dict(node.attrs)
        attrs.update(changes)
        # Numbered names follow the new graph's numbering.
        numbered = node.name == f"{node.op}_{node.index}"
        name = None if numbered or node.name in self._by_name else node.name
        return self.add(node.op, operands, attrs, type=node.type, scope=node.scope, name=name)

    def copy(self, keep: set[Node] | None = None) -> tuple[Graph, dict[Node, Node]]:
        """A copy (of the nodes and outputs in `keep`, when given) and the map from old to new."""
        result = Graph(self.name)
        new: dict[Node, Node] = {}
        for node in self.nodes():
            if keep is None or node in keep:
                new[node] = result.import_node(node, [new[o] for o in self.operands(node)])
        result.outputs = {name: new[node] for name, node in self.outputs.items() if node in new}
        return result, new
