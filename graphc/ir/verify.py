"""The verifier: every broken graph gets an error that names the node and the rule it breaks."""

from __future__ import annotations

import numpy as np

from .graph import Graph, GraphError, Node
from .ops import ANNOTATIONS, OPS
from .scan import result_types
from .text import to_text
from .types import DTYPES, Size, TensorType

_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "bool": (bool,),
    "str": (str,),
    "dim": (int, Size),
    "scalar": (bool, int, float, np.ndarray),
    "graph": (Graph,),
}
ROLES = ("data", "index", "state", "scalar")


def verify(graph: Graph) -> None:
    """Checks structure: ops known, arity, attributes, names, edges, outputs, no cycle.

    Types are checked against the ops' rules by `passes.shapes.check`, where those rules are.

    Raises:
        GraphError: naming the first broken node and the rule, with the node's text.
    """
    for node in graph.nodes():
        try:
            _verify_node(graph, node)
        except GraphError as error:
            raise GraphError(f"{graph.name}: %{node.name} ({node.op}): {error}") from None
    for name, node in graph.outputs.items():
        if node not in graph.nx:
            raise GraphError(f"{graph.name}: output {name!r}: {node} is not a node of the graph")
        if not isinstance(node.type, TensorType):
            raise GraphError(f"{graph.name}: output {name!r}: {node} has several results")
        if name not in graph or graph[name].attrs.get("role") != "state":
            continue
        updated = graph[name]
        if updated.type != node.type:
            raise GraphError(
                f"{graph.name}: output {name!r}: rule: an input that an output updates is state of "
                f"its type, {node.type}; got role {updated.attrs['role']!r}, {updated.type}"
            )


def _verify_node(graph: Graph, node: Node) -> None:
    if node.name not in graph or graph[node.name] is not node:
        raise GraphError("rule: the name is the node's alone")
    if node.op not in OPS:
        raise GraphError("rule: the op is in the op set")
    op = OPS[node.op]
    positions = sorted(key for *_, key in graph.nx.in_edges(node, keys=True))
    arity = len(positions) if op.operands == ("...",) else len(op.operands)
    if positions != list(range(arity)):
        raise GraphError(
            f"rule: operands are {', '.join(op.operands) or 'none'}; got positions {positions}"
        )
    for key, kind in op.attributes.items():
        if key not in node.attrs:
            raise GraphError(f"rule: attribute {key!r} ({kind}) is required")
        _verify_attribute(key, kind, node.attrs[key])
    for key in node.attrs:
        if key in ANNOTATIONS:
            _verify_attribute(key, ANNOTATIONS[key], node.attrs[key])
        elif key not in op.attributes:
            raise GraphError(f"rule: no attribute {key!r}")
    types = (node.type,) if isinstance(node.type, TensorType) else node.type
    for type_ in types:
        if type_.dtype not in DTYPES:
            raise GraphError(f"rule: dtype {type_.dtype!r} is known")
    if node.op == "input" and node.attrs["role"] not in ROLES:
        raise GraphError(f"rule: role is one of {', '.join(ROLES)}; got {node.attrs['role']!r}")
    if node.op == "fused":
        _verify_body(graph, node)
    elif node.op == "scan":
        types = result_types([operand.tensor for operand in graph.operands(node)], node.attrs)
        if node.type != types:
            raise GraphError(f"rule: the type is {types}; got {node.type}")
        verify(node.attrs["body"])
    elif node.op == "item":
        _verify_item(graph, node)


def _verify_attribute(key: str, kind: str, value: object) -> None:
    if kind in ("shape", "ints"):
        allowed = (int, Size) if kind == "shape" else (int,)
        ok = isinstance(value, tuple) and all(isinstance(v, allowed) for v in value)
    elif kind == "int":
        ok = isinstance(value, int) and not isinstance(value, bool)
    elif kind == "dtype":
        ok = isinstance(value, str) and value in DTYPES
    else:
        ok = isinstance(value, _KINDS[kind])
    if not ok:
        raise GraphError(f"rule: attribute {key!r} is of kind {kind}; got {value!r}")


def _verify_body(graph: Graph, node: Node) -> None:
    body = node.attrs["body"]
    assert isinstance(body, Graph)
    inputs = body.inputs()
    given = [operand.type for operand in graph.operands(node)]
    if [i.type for i in inputs] != given:
        wanted = ", ".join(str(i.type) for i in inputs)
        raise GraphError(f"rule: operands match the body's inputs ({wanted}); got {given}")
    results = tuple(o.type for o in body.outputs.values())
    if node.type != results:
        raise GraphError(f"rule: the type is the body's results {results}; got {node.type}")
    verify(body)


def _verify_item(graph: Graph, node: Node) -> None:
    (source,) = graph.operands(node)
    index, types = node.attrs["index"], source.type
    assert isinstance(index, int)
    if isinstance(types, TensorType) or not 0 <= index < len(types):
        raise GraphError(f"rule: index is that of one of several results; got {index} of {types}")
    if node.type != types[index]:
        raise GraphError(f"rule: the type is the result's, {types[index]}; got {node.type}")


def equal(a: Graph, b: Graph) -> bool:
    """Whether two graphs have the same nodes, names, edges, attributes and outputs."""
    return to_text(a) == to_text(b)
