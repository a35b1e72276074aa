"""Legalisation: brings a graph to what single kernels can do, before fusion forms them."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import CONTRACTIONS, REDUCTIONS
from graphc.ir.types import Shape, Size

from .shapes import Builder

# Made again in each kernel that reads them: they cost nothing there, and memory otherwise.
FREE = frozenset({"const", "iota", "size", "broadcast", "slice", "windows"})
# Elements of their operands, at other places.
LOADS = frozenset({"transpose", "gather", "reverse", "pad", "concat", "fold"})
# Read all operands at places of their own choice: operands must be in memory, in their own order.
ADDRESSES = CONTRACTIONS | {"gather", "scatter_add", "scan"}
# Parts of the batch that a kernel's gradient is summed over, each by itself: where its tiles are
# too few for threads, and where its parts, written and read a few times each, are less than what
# they are made of in so many rows.
PARTS, FEW_ELEMENTS = 16, 12_000
TIMES, ROWS = 3, 32


def squeeze(shape: Shape) -> Shape:
    """The shape without its sizes of 1."""
    return tuple(dim for dim in shape if dim != 1)


def reduced_axes(node: Node) -> tuple[int, ...]:
    """The axes that a reduction takes away."""
    axis = node.attrs.get("axis")
    return (axis,) if isinstance(axis, int) else node.attrs["axes"]


def is_view(graph: Graph, node: Node) -> bool:
    """A reshape that is another view of its operand's memory.

    One that only adds or drops sizes of 1 changes nothing within a kernel, and is a member of one
    unless its operand is in memory anyway.
    """
    if node.op != "reshape":
        return False
    (operand,) = graph.operands(node)
    same = squeeze(node.tensor.shape) == squeeze(operand.tensor.shape)
    return not same or operand.op == "input" or is_view(graph, operand)


def is_free(graph: Graph, node: Node) -> bool:
    """Whether a node is made again in each kernel that reads it: also with sizes of 1 changed."""
    if node.op == "reshape" and not is_view(graph, node):
        return is_free(graph, graph.operands(node)[0])
    return node.op in FREE


def legalize(graph: Graph) -> Graph:
    """Brings a graph to what kernels can do.

    - A reduction over several axes that cannot be one kernel becomes two.
    - argmax is along the last axis.
    - A small convolution kernel's gradient is summed in parts, so that threads can share it.
    - What views, contractions and gathers read is in memory: what fusion would make again in
      each reader is copied for them.
    - Results that no kernel would write (inputs, constants, views, a result under its second
      name) are copied.
    """
    legalizer = _Legalizer(graph)
    result = legalizer.result
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        new[node] = legalizer.node(node, [new[o] for o in graph.operands(node)])
    taken: set[Node] = set()
    for name, node in graph.outputs.items():
        target = new[node]
        legalizer.builder.scope = node.scope
        alone = target.op != "input" and not is_free(result, target) and not is_view(result, target)
        if not alone or target in taken:
            target = legalizer.builder.node("copy", target)
        taken.add(target)
        result.outputs[name] = target
    return result


class _Legalizer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.result = Graph(graph.name)
        self.builder = Builder(self.result)
        self.copies: dict[Node, Node] = {}

    def node(self, node: Node, operands: Sequence[Node]) -> Node:
        """The legal node for a node over operands that are legal already."""
        self.builder.scope = node.scope
        if node.op == "argmax":
            return self._argmax(node, operands[0])
        if node.op in REDUCTIONS:
            return self._reduce(node, operands[0])
        if node.op == "conv_kernel_grad":
            return self._kernel_gradient(node, operands)
        if node.op in ADDRESSES or is_view(self.graph, node):
            operands = [self._in_memory(operand) for operand in operands]
        return self.result.import_node(node, operands)

    def _in_memory(self, node: Node) -> Node:
        """The node, or a copy of what has no memory of its own."""
        if not is_free(self.result, node):
            return node
        if node not in self.copies:
            self.copies[node] = copy = self.builder.node("copy", node)
            if "again" in node.attrs:
                copy.attrs["again"] = node.attrs["again"]
        return self.copies[node]

    def _kernel_gradient(self, node: Node, operands: Sequence[Node]) -> Node:
        operands = [self._in_memory(operand) for operand in operands]
        if node.attrs["parts"] != 1 or not _has_small_parts(node, operands):
            return self.result.import_node(node, operands)
        split = {**node.attrs, "parts": PARTS}
        total = self.builder.node(
            "reduce_sum", self.builder.node(node.op, *operands, **split), axes=(0,)
        )
        return self.builder.reshape(total, node.tensor.shape)

    def _argmax(self, node: Node, x: Node) -> Node:
        """The rows' kernels find it along the last axis."""
        axis = node.attrs["axis"]
        assert isinstance(axis, int)
        last = x.tensor.rank - 1
        if all(dim == 1 for dim in x.tensor.shape[axis + 1 :]):
            return self.result.import_node(node, (x,))
        permutation = (*(a for a in range(last + 1) if a != axis), axis)
        turned = self.builder.node("transpose", x, permutation=permutation)
        return self.result.import_node(node, (turned,), axis=last)

    def _reduce(self, node: Node, x: Node) -> Node:
        """Sizes of 1 are dropped; then the axes that one kernel can do, then the others."""
        axes, shape = reduced_axes(node), x.tensor.shape
        units = [a for a in axes if shape[a] == 1]
        if units:
            x = self.builder.reshape(x, [d for a, d in enumerate(shape) if a not in units])
            axes = _without(axes, units)
        if first := _first_axes(axes, x.tensor.shape):
            x = self.builder.node(node.op, x, axes=first)
            axes = _without(axes, first)
        return self.result.import_node(node, (x,), axes=axes) if axes else x


def _has_small_parts(gradient: Node, operands: Sequence[Node]) -> bool:
    """Whether parts of a kernel's gradient cost little, beside what they are sums of."""
    elements = gradient.tensor.elements
    if not isinstance(elements, int):
        return False
    given = (operand.tensor.elements for operand in operands)
    read = sum(e.factor * ROWS if isinstance(e, Size) else e for e in given)
    return elements <= FEW_ELEMENTS or TIMES * PARTS * elements <= read


def _without(axes: Sequence[int], gone: Sequence[int]) -> tuple[int, ...]:
    """The axes as they are numbered when some are gone."""
    return tuple(a - sum(g < a for g in gone) for a in axes if a not in gone)


def _first_axes(axes: tuple[int, ...], shape: Shape) -> tuple[int, ...] | None:
    """The axes to reduce in a kernel of their own first, if one kernel cannot do all of them."""
    kept = [axis for axis, dim in enumerate(shape) if dim != 1 and axis not in axes]
    if not kept:
        # All of several axes: rows in parallel first, then over the rows' results.
        return axes[-1:] if len(axes) > 1 else None
    trailing = tuple(axis for axis in axes if axis > kept[-1])
    return trailing if 0 < len(trailing) < len(axes) else None
