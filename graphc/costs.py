"""What layers and kernels cost: arithmetic of contractions and bytes of memory, for given sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .ir.graph import Graph, Node
from .ir.ops import CONTRACTIONS
from .ir.types import evaluate
from .passes.shapes import multiplications

# Read only some of their operand's elements.
PICKS = frozenset({"gather", "slice"})


def kernel_flops(kernel: Node, symbols: dict[str, int]) -> int:
    """Floating-point operations of a fused node's contractions: a multiplication and an addition
    each. Elementwise work and reductions, which memory limits, are not counted.
    """
    body = kernel.attrs["body"]
    assert isinstance(body, Graph)
    return sum(_flops(body, n, symbols) for n in body.nx if n.op in CONTRACTIONS)


def _flops(graph: Graph, contraction: Node, symbols: dict[str, int]) -> int:
    return 2 * evaluate(multiplications(graph, contraction), symbols)


def layer_flops(graph: Graph, symbols: dict[str, int], times: int = 1) -> Counter[str]:
    """The same of a graph that is not fused, by the layer that its nodes come from."""
    found: Counter[str] = Counter()
    for node in graph.nx:
        if node.op in CONTRACTIONS:
            found[node.scope.layer] += times * _flops(graph, node, symbols)
        elif node.op == "scan":
            steps = evaluate(node.attrs["length"], symbols)
            found += layer_flops(node.attrs["body"], symbols, times * steps)
    return found


def kernel_bytes(kernel: Node, symbols: dict[str, int]) -> int:
    """The least a fused node moves: the elements it needs of each operand, and each result."""
    body = kernel.attrs["body"]
    assert isinstance(body, Graph)

    def size(node: Node) -> int:
        return evaluate(node.tensor.elements, symbols) * node.tensor.itemsize

    total = sum(map(size, body.outputs.values()))
    for operand in body.inputs():
        users = body.users(operand)
        if all(u.op in PICKS and body.operands(u)[0] is operand for u in users):
            total += min(size(operand), sum(map(size, users)))
        else:
            total += size(operand)
    return total


def kernels(graph: Graph, symbols: dict[str, int], times: int = 1) -> list[tuple[Node, int]]:
    """The fused nodes of a graph and its scans' bodies, and how often each runs in a step."""
    found = []
    for node in graph.nodes():
        if node.op == "fused":
            found.append((node, times))
        elif node.op == "scan":
            steps = evaluate(node.attrs["length"], symbols)
            found += kernels(node.attrs["body"], symbols, times * steps)
    return found


def step_flops(graph: Graph, symbols: dict[str, int]) -> int:
    """Floating-point operations of all contractions in a step."""
    return sum(times * kernel_flops(node, symbols) for node, times in kernels(graph, symbols))


def scaled(value: float, base: int, units: Sequence[str]) -> tuple[float, str]:
    """A number and the unit, the last in which it is at least 1."""
    unit, *larger_units = units
    for larger in larger_units:
        if value < base:
            break
        value, unit = value / base, larger
    return float(value), unit
