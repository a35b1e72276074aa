"""Loops whose threads need not wait for each other: each owns some rows of the batch throughout.

A body qualifies when every kernel writes values that have a row for each row of the batch, and
reads of what the loop itself writes only the row that it is at work on. Recurrent layers do: a
step's row of the state follows from that row of the step before. Then a thread runs all steps of
its own rows, without a barrier, and without moving rows from one core's cache to another's.

Kernels with large constant matrices are left alone: there threads had better split the columns,
so that each reads its part of the matrix only, and the barriers do not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc.ir.graph import Attributes, Graph, Node
from graphc.ir.ops import CONTRACTIONS, KERNELS, OPS
from graphc.ir.scan import parts
from graphc.ir.types import Dim, Size

# Bytes of a contraction's constant operand at most.
MOST_BYTES = 512 * 1024

# Whether a row of a result that has the rows follows from that row of its operands alone, given the
# attributes, the node, and which nodes are owned: follow from what the loop writes.
Rule = Callable[[Attributes, Node, list[Node], set[Node]], bool]


def owned_rows(attrs: Attributes) -> Dim | None:
    """The dimension whose rows the threads of a scan with a fused body can own."""
    body: Graph = attrs["body"]
    kinds = parts(body.inputs(), attrs)
    sizes = {c.tensor.shape[:1] for c in kinds.carries}
    if len(sizes) != 1 or not (size := sizes.pop()) or not isinstance(size[0], Size):
        return None
    dim = size[0]
    if dim.factor != 1 or len(dim.symbols) != 1:
        return None
    shared = {*kinds.constants, *kinds.sequences}
    for kernel in (n for n in body.nodes() if n.op in KERNELS):
        if kernel.op == "scan" or kernel.attrs["kind"] == "scatter":
            return None
        if not _is_local(body, kernel, shared, dim):
            return None
    return dim


def _is_local(graph: Graph, kernel: Node, shared: set[Node], dim: Dim) -> bool:
    body: Graph = kernel.attrs["body"]
    if any(n.tensor.shape[:1] != (dim,) for n in body.outputs.values()):
        return False
    owned = {
        inner
        for inner, operand in zip(body.inputs(), graph.operands(kernel), strict=True)
        if viewed(graph, operand) not in shared
    }
    if any(n.tensor.shape[:1] != (dim,) for n in owned):
        return False
    products = (node for node in body.nodes() if node.op in CONTRACTIONS)
    return all(_is_small(body.operands(n)[1]) for n in products) and follows_rows(body, owned, dim)


def follows_rows(body: Graph, owned: set[Node], dim: Dim) -> bool:
    """Whether a row of all that a kernel makes of owned inputs follows from that row of theirs.

    Args:
        owned: inputs with rows along this dimension.
    """
    owned = set(owned)
    for node in body.nodes():
        operands = body.operands(node)
        if not owned.intersection(operands):
            continue
        rule = RULES.get(node.op, _elementwise if OPS[node.op].elementwise else _never)
        if node.tensor.shape[:1] != (dim,) or not rule(node.attrs, node, operands, owned):
            return False
        owned.add(node)
    return True


def viewed(graph: Graph, node: Node) -> Node:
    """What a view is of."""
    while node.op == "reshape":
        (node,) = graph.operands(node)
    return node


def _is_small(constant: Node) -> bool:
    """Whether a contraction's second operand is cheap to read for every thread."""
    size = constant.tensor.elements
    return isinstance(size, Size) or size * constant.tensor.itemsize <= MOST_BYTES


def _never(attrs: Attributes, node: Node, operands: list[Node], owned: set[Node]) -> bool:
    return False


def _elementwise(attrs: Attributes, node: Node, operands: list[Node], owned: set[Node]) -> bool:
    return all(o.tensor.shape == node.tensor.shape for o in operands if o in owned)


def _only_first(attrs: Attributes, node: Node, operands: list[Node], owned: set[Node]) -> bool:
    """A product's or convolution's rows are its first operand's."""
    return operands[1] not in owned and not attrs.get("transpose_a") and node.tensor.rank > 1


def _product(attrs: Attributes, node: Node, operands: list[Node], owned: set[Node]) -> bool:
    """Several products are a row each."""
    return node.tensor.rank > 2 or _only_first(attrs, node, operands, owned)


def _by_attributes(holds: Callable[[dict[str, Any], Node], bool]) -> Rule:
    return lambda attrs, node, operands, owned: holds(attrs, node)


# Op -> its rule; elementwise ops have one, all others never qualify.
RULES: dict[str, Rule] = {
    "broadcast": _by_attributes(lambda a, node: a["axes"][:1] == (0,)),
    "reshape": _by_attributes(lambda a, node: True),
    "transpose": _by_attributes(lambda a, node: a["permutation"][0] == 0),
    "slice": _by_attributes(lambda a, node: (a["starts"][0], a["steps"][0]) == (0, 1)),
    "reverse": _by_attributes(lambda a, node: 0 not in a["axes"]),
    "pad": _by_attributes(
        lambda a, node: not any(a[side][0] for side in ("low", "high", "interior"))
    ),
    "concat": _by_attributes(lambda a, node: a["axis"] > 0),
    "windows": _by_attributes(lambda a, node: a["axis"] > 0),
    "fold": _by_attributes(lambda a, node: a["axis"] > 0),
    "reduce_sum": _by_attributes(lambda a, node: 0 not in a["axes"]),
    "reduce_max": _by_attributes(lambda a, node: 0 not in a["axes"]),
    "reduce_min": _by_attributes(lambda a, node: 0 not in a["axes"]),
    "argmax": _by_attributes(lambda a, node: a["axis"] != 0),
    "matmul": _product,
    "conv": _only_first,
    "gather": lambda a, node, operands, owned: operands[0] not in owned,
}
